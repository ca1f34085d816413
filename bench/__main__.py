"""`python -m bench`: measure the chains side by side, and print a table for each feed."""

import argparse
import json
import logging
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil

from bench.chains.job import Job
from bench.figures import Figures, median
from bench.options import add_common, begin, working_folder
from bench.run import CHAINS, Chain, measure
from bench.table import render
from bench.topics import FEEDS, Feed, fill, read_feed
from finkray.query.java import find_java
from sim.kafka import Kafka

_LOG = logging.getLogger("bench")


_Rounds = dict[str, dict[str, list[Figures]]]
"""By feed, and then by chain."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say with the exit code whether every chain got through."""
    options = _parser().parse_args(arguments)
    if not begin(options.data):
        return 2
    feeds = {name: read_feed(name, options.data) for name in options.feeds}
    with working_folder("bench", options.folder, keep=options.keep) as folder:
        rounds, failed = _measure_all(feeds, options, folder)
    for name, found in rounds.items():
        print(f"\n{feeds[name].what}\n\n{render(_chains(options, name), found)}")
    if options.json:
        options.json.write_text(json.dumps(_report(options, rounds), indent=2), encoding="utf-8")
    return 1 if failed else 0


def _chains(options: argparse.Namespace, feed: str) -> list[Chain]:
    return [chain for chain in CHAINS if chain.name in options.chains and feed in chain.feeds]


def _measure_all(
    feeds: Mapping[str, Feed], options: argparse.Namespace, folder: Path
) -> tuple[_Rounds, bool]:
    """All chains in each round, one after the other, so that none has the better hour.

    Returns the figures, and whether a chain failed; the others go on.
    """
    rounds: _Rounds = {name: {chain.name: [] for chain in _chains(options, name)} for name in feeds}
    failed = False
    if any(chain.startswith("fink-") for chains in rounds.values() for chain in chains):
        _LOG.info("Resolving Spark's Kafka source and Avro reader")
        _resolve_packages()
    schemas = {name: feed.write_schema(folder) for name, feed in feeds.items()}
    with Kafka.running(folder / "kafka") as kafka:
        for feed in feeds.values():
            alerts = options.lsst_alerts if feed.name == "lsst" else options.alerts
            warm_share = options.warm_after / options.alerts
            sizes: dict[int, float] = {}
            for number in range(options.rounds):
                for chain in _chains(options, feed.name):
                    count = int(alerts * chain.share)
                    topic = f"bench_{feed.name}_{count}"
                    if count not in sizes:
                        _LOG.info("Filling %s with %d alerts", topic, count)
                        sizes[count] = fill(kafka, topic, feed, count, options.partitions)
                    _LOG.info(
                        "%s, round %d of %d: %s",
                        *(feed.name, number + 1, options.rounds, chain.name),
                    )
                    job = Job(
                        bootstrap_servers=kafka.bootstrap_servers,
                        topic=topic,
                        wire=feed.wire,
                        partitions=options.partitions,
                        alerts=count,
                        folder=str(folder / f"{feed.name}-{chain.name}-{number}"),
                        schema_file=str(schemas[feed.name]),
                        cores=options.cores,
                        per_trigger=min(options.per_trigger, max(1, alerts // 5)),
                    )
                    try:
                        figures = measure(
                            chain,
                            job,
                            warm_after=int(warm_share * count),
                            message_bytes=sizes[count],
                            timeout_s=options.timeout,
                        )
                    except RuntimeError as error:
                        _LOG.error("%s", error)
                        failed = True
                        continue
                    rounds[feed.name][chain.name].append(figures)
                    _LOG.info("%s: %.0f alerts/s once warm", chain.name, figures.warm_per_s or 0)
                    if not options.keep:
                        shutil.rmtree(job.folder)
            for count in sizes:
                kafka.delete_topic(f"bench_{feed.name}_{count}")
    return rounds, failed


def _resolve_packages() -> None:
    """Fetch them once, so that no measurement does."""
    subprocess.run(
        [sys.executable, "-m", "bench.chains.spark"],
        check=True,
        env=find_java().environment(),
        capture_output=True,
    )


def _report(options: argparse.Namespace, rounds: _Rounds) -> dict[str, object]:
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
        "feeds": {
            feed: {
                name: {
                    "median": asdict(median(figures)) if figures else None,
                    "rounds": [asdict(one) for one in figures],
                }
                for name, figures in chains.items()
            }
            for feed, chains in rounds.items()
        },
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the archive beside a bare loop and the two archive pipelines of "
        "Fink: the same machine, the same Kafka, the same real alerts of ZTF and LSST.",
        epilog="Close what else runs first. A quick look: make bench-quick",
    )
    names = [chain.name for chain in CHAINS]
    parser.add_argument("--alerts", type=int, default=50_000, help="of ZTF (%(default)s)")
    parser.add_argument("--lsst-alerts", type=int, default=4000, help="of LSST (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of all chains (%(default)s)")
    parser.add_argument(
        "--chains",
        type=lambda text: _known(text.split(","), names),
        default=names,
        metavar="A,B",
        help=f"which to measure: {', '.join(names)} (all)",
    )
    parser.add_argument(
        "--feeds",
        type=lambda text: _known(text.split(","), list(FEEDS)),
        default=list(FEEDS),
        metavar="A,B",
        help=f"what they read: {', '.join(FEEDS)} (all)",
    )
    parser.add_argument(
        "--warm-after",
        type=int,
        default=15_000,
        metavar="N",
        help="the rate once warm leaves out the first N of --alerts, and as large a part of other "
        "numbers (%(default)s)",
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
    add_common(parser)
    return parser


def _known(chosen: list[str], names: list[str]) -> list[str]:
    for name in chosen:
        if name not in names:
            raise argparse.ArgumentTypeError(f"no {name!r}; there are {', '.join(names)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
