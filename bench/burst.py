"""`python -m bench.burst`: measure how soon a visit that comes in one burst is durable."""

import argparse
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.chains.archive import settings_for
from bench.durable import last_commit_unix_s
from bench.meter import Meter
from bench.options import add_common, begin, working_folder
from bench.running import running_archive
from bench.topics import Feed, read_feed, send
from sim.broker.kafka import Kafka

_LOG = logging.getLogger("bench.burst")

QUIET_S = 10.0
"""Pause between two visits."""

SAMPLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Burst:
    """A visit that was sent as fast as Kafka took it.

    Attributes
    ----------
    feed, alerts
        name of the feed, and number of alerts
    sent_s
        from the first alert to Kafka's last acknowledgement
    durable_after_s
        from that until the last of them was in the ledger
    peak_rss_bytes
        of all processes of the archive and of its Ray during the burst; shared memory counts once
        for each process
    first_s
        from the start of the archive, on a Ray that was up, until its first alert was durable
    """

    feed: str
    alerts: int
    sent_s: float
    durable_after_s: float
    peak_rss_bytes: int
    first_s: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all visits and print the figures."""
    options = _parser().parse_args(arguments)
    if not begin(options.data):
        return 2
    bursts: list[Burst] = []
    with (
        working_folder("burst", options.folder, keep=options.keep) as folder,
        Kafka.running(folder / "kafka") as kafka,
    ):
        for name, sizes in (("containers", options.ztf), ("lsst", options.lsst)):
            if sizes:
                feed = read_feed(name, options.data)
                bursts += _measure(kafka, feed, sizes, options, folder)
    print(render(bursts))
    if options.json:
        report = [asdict(burst) for burst in bursts]
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 0


def render(bursts: Sequence[Burst]) -> str:
    """Return the table as text, one line a visit."""
    lines = ["feed         alerts  sent in s  durable after s  peak RSS MB  first after s"]
    lines += [
        f"{burst.feed:10}  {burst.alerts:7}  {burst.sent_s:9.1f}  {burst.durable_after_s:15.1f}  "
        f"{burst.peak_rss_bytes / 1e6:11.0f}  {burst.first_s:13.1f}"
        for burst in bursts
    ]
    return "\n".join(lines)


def _measure(
    kafka: Kafka, feed: Feed, sizes: Sequence[int], options: argparse.Namespace, folder: Path
) -> Iterator[Burst]:
    topic = f"burst_{feed.name}"
    schema = feed.write_schema(folder)
    kafka.create_topic(topic, partitions=options.partitions)
    total = options.partitions
    send(kafka, topic, feed, total, options.partitions)
    settings = settings_for(kafka.bootstrap_servers, topic, feed.wire, schema, options.cores)
    deadline_s = time.monotonic() + options.timeout
    with running_archive(folder / f"archive-{feed.name}", settings) as archive:
        archive.wait_until(
            "the first alerts are durable", lambda sheet: sheet.archived >= total, deadline_s
        )
        first_s = last_commit_unix_s(archive.storage) - archive.launched_unix_s
        for alerts in sizes:
            time.sleep(QUIET_S)
            _LOG.info("%s: a visit of %d alerts", feed.name, alerts)
            total += alerts
            with _sampled_rss_bytes() as rss_bytes:
                begun_unix_s = time.time()
                send(kafka, topic, feed, alerts, options.partitions)
                acked_unix_s = time.time()
                archive.wait_until(
                    f"{total} alerts are durable",
                    lambda sheet, total=total: sheet.archived >= total,  # type: ignore[misc]
                    deadline_s,
                )
            yield Burst(
                feed=feed.name,
                alerts=alerts,
                sent_s=acked_unix_s - begun_unix_s,
                durable_after_s=last_commit_unix_s(archive.storage) - acked_unix_s,
                peak_rss_bytes=max(rss_bytes),
                first_s=first_s,
            )
    kafka.delete_topic(topic)


@contextmanager
def _sampled_rss_bytes() -> Iterator[list[int]]:
    """Sample the resident memory of all that this process started, without Kafka."""
    found = [0]
    ended = threading.Event()

    def run() -> None:
        meter = Meter(os.getpid(), without=("kafka.Kafka",))
        while not ended.wait(SAMPLE_S):
            found.append(meter.sample().rss_bytes)

    thread = threading.Thread(target=run, name="meter")
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.burst",
        description="Start the archive, send a visit as fast as Kafka takes it, and see how soon "
        "all of it is durable, and what memory that took; then the next visit.",
        epilog="Close what else runs first. A quick look: python -m bench.burst --lsst ''",
    )
    parser.add_argument(
        "--ztf",
        type=_sizes,
        default="10000,32000",
        metavar="N,N",
        help="visits of ZTF's alerts (%(default)s)",
    )
    parser.add_argument(
        "--lsst", type=_sizes, default="2000", metavar="N,N", help="and of LSST's (%(default)s)"
    )
    parser.add_argument(
        "--timeout", type=float, default=600, metavar="S", help="of one archive (%(default)s)"
    )
    add_common(parser)
    return parser


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size]


if __name__ == "__main__":
    sys.exit(main())
