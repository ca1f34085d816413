"""`python -m bench`: measure the chains side by side, and print a table for each feed."""

import argparse
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil

from bench.comparison import Comparison, Found, chains_of
from bench.figures import median
from bench.options import add_common, begin, working_folder
from bench.run import CHAINS
from bench.table import render
from bench.topics import FEEDS, read_feed
from finkray.host.java import find_java
from sim.broker.kafka import Kafka

_LOG = logging.getLogger("bench")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 1 if a chain failed."""
    options = _parser().parse_args(arguments)
    if not begin(options.data):
        return 2
    feeds = {name: read_feed(name, options.data) for name in options.feeds}
    if any(chain.name.startswith("fink-") for name in feeds for chain in chains_of(options, name)):
        _LOG.info("Resolving Spark's Kafka source and Avro reader")
        _resolve_packages()
    with (
        working_folder("bench", options.folder, keep=options.keep) as folder,
        Kafka.running(folder / "kafka") as kafka,
    ):
        comparison = Comparison(options, kafka, folder)
        found = {name: comparison.measure(feed) for name, feed in feeds.items()}
    for name, results in found.items():
        table = render(chains_of(options, name), results.rounds, results.visits_s)
        print(f"\n{feeds[name].what}\n\n{table}")
    if options.json:
        options.json.write_text(json.dumps(_report(options, found), indent=2), encoding="utf-8")
    return 1 if comparison.failed else 0


def _resolve_packages() -> None:
    """Fetch Spark's packages once, so that no measurement does."""
    subprocess.run(
        [sys.executable, "-m", "bench.chains.spark"],
        check=True,
        env=find_java().environment(),
        capture_output=True,
    )


def _report(options: argparse.Namespace, found: Mapping[str, Found]) -> dict[str, object]:
    """Return all figures, the options and the machine, for JSON."""
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
                    "rounds": [asdict(round_) for round_ in figures],
                    "visit_s": one_feed.visits_s.get(name),
                }
                for name, figures in one_feed.rounds.items()
            }
            for feed, one_feed in found.items()
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
        "--visit",
        type=int,
        default=10_000,
        metavar="N",
        help="alerts of ZTF that come at once while a chain runs, for the last column; 0: none "
        "(%(default)s)",
    )
    parser.add_argument(
        "--lsst-visit",
        type=int,
        default=1000,
        metavar="N",
        help="the same of LSST, not for fink-production; 0: none (%(default)s)",
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
