"""`python -m bench`: measure the chains side by side and print one table."""

import argparse
import json
import logging
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

import psutil

from bench.chains.job import Job
from bench.figures import Figures, median
from bench.run import CHAINS, Chain, measure
from bench.table import render
from bench.topics import PACKETS, fill, read_packets
from finkray.java import find_java
from sim.kafka import Kafka

_LOG = logging.getLogger("bench")
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say with the exit code whether every chain got through."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if not (options.data / PACKETS).is_file():
        _LOG.error("There is no %s: set FINKRAY_TEST_DATA, or give --data", options.data / PACKETS)
        return 2
    chains = [chain for chain in CHAINS if chain.name in options.chains]
    # As Ctrl-C does: what was started is ended on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="finkray-bench-", dir=options.folder))
    try:
        rounds, failed = _measure_all(chains, options, folder)
    finally:
        if options.keep:
            _LOG.info("Everything is kept in %s", folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(render(chains, rounds))
    if options.json:
        options.json.write_text(json.dumps(_report(options, rounds), indent=2), encoding="utf-8")
    return 1 if failed else 0


def _measure_all(
    chains: Sequence[Chain], options: argparse.Namespace, folder: Path
) -> tuple[dict[str, list[Figures]], bool]:
    """All chains in each round, one after the other, so that none has the better hour.

    Returns the figures of each chain, and whether one failed; the others go on.
    """
    rounds: dict[str, list[Figures]] = {chain.name: [] for chain in chains}
    failed = False
    if any(chain.name.startswith("fink-") for chain in chains):
        _LOG.info("Resolving Spark's Kafka source and Avro reader")
        _resolve_packages()
    packets = read_packets(options.data)
    schema_file = folder / "schema.avsc"
    schema_file.write_text(packets.schema_text, encoding="utf-8")
    with Kafka.running(folder / "kafka") as kafka:
        _LOG.info("Filling two topics with %d alerts each", options.alerts)
        size = fill(kafka, packets, options.alerts, options.partitions)
        for number, chain in product(range(options.rounds), chains):
            _LOG.info("Round %d of %d: %s", number + 1, options.rounds, chain.name)
            job = Job(
                bootstrap_servers=kafka.bootstrap_servers,
                topic=chain.topic,
                partitions=options.partitions,
                alerts=options.alerts,
                folder=str(folder / f"{chain.name}-{number}"),
                schema_file=str(schema_file),
                cores=options.cores,
                per_trigger=options.per_trigger,
            )
            try:
                figures = measure(
                    chain,
                    job,
                    warm_after=options.warm_after,
                    message_bytes=size[chain.topic] / options.alerts,
                    timeout_s=options.timeout,
                )
            except RuntimeError as error:
                _LOG.error("%s", error)
                failed = True
                continue
            rounds[chain.name].append(figures)
            _LOG.info("%s: %.0f alerts/s once warm", chain.name, figures.warm_per_s or 0)
            if not options.keep:
                shutil.rmtree(job.folder)
    return rounds, failed


def _resolve_packages() -> None:
    """Fetch them once, so that no measurement does."""
    subprocess.run(
        [sys.executable, "-m", "bench.chains.spark"],
        check=True,
        env=find_java().environment(),
        capture_output=True,
    )


def _report(options: argparse.Namespace, rounds: dict[str, list[Figures]]) -> dict[str, object]:
    """Everything that was measured, and on what."""
    return {
        "machine": {
            "cores": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "options": {
            name: str(value) if isinstance(value, Path) else value
            for name, value in vars(options).items()
        },
        "chains": {
            name: {
                "median": asdict(median(figures)) if figures else None,
                "rounds": [asdict(one) for one in figures],
            }
            for name, figures in rounds.items()
        },
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the archive beside a bare loop and the two archive pipelines of "
        "Fink: the same machine, the same Kafka, the same real ZTF alerts.",
        epilog="Close what else runs first. A quick look: python -m bench --alerts 8000 --rounds 1",
    )
    cores = os.cpu_count() or 1
    names = [chain.name for chain in CHAINS]
    parser.add_argument("--alerts", type=int, default=40_000, help="in each topic (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of all chains (%(default)s)")
    parser.add_argument(
        "--chains",
        type=lambda text: _known(text.split(","), names),
        default=names,
        metavar="A,B",
        help=f"which to measure: {', '.join(names)} (all)",
    )
    parser.add_argument(
        "--warm-after",
        type=int,
        default=12_000,
        metavar="N",
        help="the rate once warm leaves out the first N alerts (%(default)s)",
    )
    parser.add_argument("--partitions", type=int, default=4, help="of each topic (%(default)s)")
    parser.add_argument(
        "--cores", type=int, default=cores, help="processes or task slots of a chain (%(default)s)"
    )
    parser.add_argument(
        "--per-trigger",
        type=int,
        default=10_000,
        metavar="N",
        help="Fink's pipelines: most alerts in a micro-batch (%(default)s)",
    )
    parser.add_argument(
        "--timeout", type=float, default=900, metavar="S", help="of one measurement (%(default)s)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("FINKRAY_TEST_DATA", _BESIDE)),
        metavar="FOLDER",
        help="the public test data (FINKRAY_TEST_DATA)",
    )
    parser.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="where to write (the temporary folder)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    parser.add_argument("--keep", action="store_true", help="leave what was written")
    return parser


def _known(chosen: list[str], names: list[str]) -> list[str]:
    for name in chosen:
        if name not in names:
            raise argparse.ArgumentTypeError(f"no chain {name!r}; there are {', '.join(names)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
