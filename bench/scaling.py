"""`python -m bench.scaling`: what partitions, actors and the sizes of claims and packets do.

One thing is changed at a time, everything else is left as in `python -m bench`: four partitions,
one actor, and a task slot for each core. Each case reads a topic that is full before it starts.
"""

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.chains.chain_run import ChainRun
from bench.figures import Figures, median
from bench.options import add_common, begin, working_folder
from bench.run import CHAINS, OURS, measure
from bench.table import layout
from bench.topics import Feed, fill, read_feed, without_cutouts
from sim.broker.kafka import Kafka

COLUMNS = (
    "changed",
    "to",
    "kB/packet",
    "alerts/s warm",
    "MB/s warm",
    "CPU s/1000",
    "peak RSS MB",
)

_LOG = logging.getLogger("bench.scaling")
_FEEDS = ("small", "bare", "containers", "lsst")


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the measurement.

    Attributes
    ----------
    changed, to
        what differs from `python -m bench`, and its value
    feed
        name of the feed
    partitions
        partitions of the topic; None is four
    ingest
        keys of [ingest] that differ from their defaults
    """

    changed: str
    to: str
    feed: str = "containers"
    partitions: int | None = None
    ingest: Mapping[str, Any] = field(default_factory=dict)


CASES = (
    *(
        Case("partitions, actors", f"{partitions}, {actors}", "containers", partitions, keys)
        for partitions, actors in ((1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4))
        # A claim has at most an eighth of what an actor may hold: each may have 32 MiB.
        for keys in [{"actors": actors, "held_bytes": f"{max(512, 256 * actors)} MiB"}]
    ),
    *(
        Case("bytes of a claim", size, ingest={"claim_bytes": size})
        for size in ("2 MiB", "8 MiB", "32 MiB", "64 MiB")
    ),
    *(Case("packets", feed, feed) for feed in _FEEDS),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    options = _parser().parse_args(arguments)
    if not begin(options.data):
        return 2
    cases = [case for case in CASES if not options.only or case.changed in options.only]
    with (
        working_folder("scaling", options.folder, keep=options.keep) as folder,
        Kafka.running(folder / "kafka") as kafka,
    ):
        found = _measure_all(kafka, cases, folder, options)
    print(render(found))
    if options.json:
        report = [{**asdict(case), **asdict(figures)} for case, figures in found]
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 0


def render(found: Sequence[tuple[Case, Figures]]) -> str:
    """Return the table as text."""
    return layout([COLUMNS, *(_row(case, figures) for case, figures in found)], left=2)


def _row(case: Case, figures: Figures) -> tuple[str, ...]:
    rate, bytes_per_s = figures.warm_per_s, figures.warm_bytes_per_s
    return (
        case.changed,
        case.to,
        f"{bytes_per_s / rate / 1e3:.1f}" if rate and bytes_per_s else "-",
        f"{rate:.0f}" if rate else "-",
        f"{bytes_per_s / 1e6:.0f}" if bytes_per_s else "-",
        "-" if figures.cpu_s_per_1000 is None else f"{figures.cpu_s_per_1000:.2f}",
        f"{figures.peak_rss_bytes / 1e6:.0f}",
    )


def _measure_all(
    kafka: Kafka, cases: Sequence[Case], folder: Path, options: argparse.Namespace
) -> list[tuple[Case, Figures]]:
    """Measure all cases in each round; return of each case the round with the median rate."""
    feeds = {name: _feed(name, options.data) for name in sorted({case.feed for case in cases})}
    schemas = {name: feed.write_schema(folder) for name, feed in feeds.items()}
    sizes: dict[str, float] = {}
    rounds: list[list[Figures]] = [[] for _ in cases]
    chain = next(chain for chain in CHAINS if chain.name == OURS)
    for number in range(options.rounds):
        for place, case in enumerate(cases):
            feed = feeds[case.feed]
            partitions = case.partitions or options.partitions
            alerts = _alerts(case.feed, options)
            topic = f"scaling_{case.feed}_{partitions}"
            if topic not in sizes:
                _LOG.info("Filling %s with %d alerts", topic, alerts)
                sizes[topic] = fill(kafka, topic, feed, alerts, partitions)
            _LOG.info("%s: %s, round %d of %d", case.changed, case.to, number + 1, options.rounds)
            chain_run = ChainRun(
                bootstrap_servers=kafka.bootstrap_servers,
                topic=topic,
                wire=feed.wire,
                partitions=partitions,
                alerts=alerts,
                folder=str(folder / f"{place}-{number}"),
                schema_file=str(schemas[case.feed]),
                cores=options.cores,
                per_trigger=alerts,
                ingest=dict(case.ingest),
            )
            figures = measure(
                chain,
                chain_run,
                warm_after=int(options.warm_share * alerts),
                message_bytes=sizes[topic],
                timeout_s=options.timeout,
            )
            rounds[place].append(figures)
            _LOG.info("%.0f alerts/s once warm", figures.warm_per_s or 0)
    return [(case, median(figures)) for case, figures in zip(cases, rounds, strict=True)]


def _feed(name: str, data: Path) -> Feed:
    return without_cutouts(read_feed("bare", data)) if name == "small" else read_feed(name, data)


def _alerts(feed: str, options: argparse.Namespace) -> int:
    """Return a number of alerts that takes each case about as long."""
    given: int = options.lsst_alerts if feed == "lsst" else options.alerts
    return 4 * given if feed == "small" else given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = list(dict.fromkeys(case.changed for case in CASES))
    add = parser.add_argument
    add("--only", action="append", choices=kinds, help="again for more (all)")
    add("--alerts", type=int, default=40_000, help="of ZTF (%(default)s)")
    add("--lsst-alerts", type=int, default=4000, help="of LSST (%(default)s)")
    add("--rounds", type=int, default=1, help="of all cases (%(default)s)")
    add(
        "--warm-share",
        type=float,
        default=0.3,
        help="of the alerts, which the rate leaves out (%(default)s)",
    )
    add("--timeout", type=float, default=900, metavar="S", help="of one case (%(default)s)")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
