"""`python -m bench.store_chain URI ...`: the whole archive on each of some storages.

The same alerts are sent as fast as Kafka takes them, to an archive on each storage in turn, warm.
What counts is the time until the last is durable and published, and the CPU time of all processes
but Kafka and stores on this machine. For s3:// the keys are in the environment.
"""

import argparse
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.chains.archive import settings_for
from bench.meter import Meter
from bench.options import add_common, begin, working_folder
from bench.running import RunningArchive, running_archive
from bench.topics import ZTF_PACKETS, Feed, read_feed, send
from finkray.ledger.read import read_state
from finkray.storage.opening import StorageLocation, open_storage
from sim.broker.kafka import Kafka

NOT_OURS = ("kafka.Kafka", "versitygw", "weed", "hadoop")
"""Words of the command lines of servers beside the archive."""

_LOG = logging.getLogger("bench.store_chain")
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one storage.

    Attributes
    ----------
    storage
        its scheme, or ``folder``
    alerts_per_s
        from sending the first until the last is published
    cpu_s_per_1000
        of the archive and its Ray, for 1000 alerts
    """

    storage: str
    alerts_per_s: float
    cpu_s_per_1000: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each storage, and print a table."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (ZTF_PACKETS,)):
        return 2
    found = []
    with (
        working_folder("store-chain", options.folder, keep=options.keep) as folder,
        Kafka.running(folder / "kafka") as kafka,
    ):
        feed = read_feed("containers", options.data)
        for number, uri in enumerate(options.uri):
            found.append(_measure(kafka, feed, uri, folder / str(number), options))
            _LOG.info("%s", found[-1])
    print(render(found))
    if options.json:
        options.json.write_text(json.dumps([asdict(each) for each in found]), encoding="utf-8")
    return 0


def render(found: Sequence[Measured]) -> str:
    """Return the table as text; the ratios are to the first storage."""
    first = found[0]
    lines = ["storage    alerts/s   of first   CPU s/1000   rate by CPU, of first"]
    lines += [
        f"{each.storage:9}  {each.alerts_per_s:8.0f}  {each.alerts_per_s / first.alerts_per_s:8.0%}"
        f"  {each.cpu_s_per_1000:11.3f}  {first.cpu_s_per_1000 / each.cpu_s_per_1000:22.0%}"
        for each in found
    ]
    return "\n".join(lines)


def _measure(
    kafka: Kafka, feed: Feed, uri: str, folder: Path, options: argparse.Namespace
) -> Measured:
    topic = f"store_{uuid.uuid4().hex[:8]}"
    kafka.create_topic(topic, partitions=options.partitions)
    schema = feed.write_schema(folder)
    settings = settings_for(kafka.bootstrap_servers, topic, feed.wire, schema, options.cores)
    location = f"{uri.rstrip('/')}/{topic}"
    with running_archive(folder / "archive", settings, location) as archive:
        send(kafka, topic, feed, options.warm, options.partitions)
        _wait_until_published(archive, options.warm, options.timeout)
        meter = Meter(os.getpid(), without=NOT_OURS)
        before, begun_s = meter.sample(), time.perf_counter()
        send(kafka, topic, feed, options.alerts, options.partitions)
        _wait_until_published(archive, options.warm + options.alerts, options.timeout)
        took_s, after = time.perf_counter() - begun_s, meter.sample()
    open_storage(StorageLocation(location)).delete_folder("")
    return Measured(
        storage=uri.partition("://")[0] if "://" in uri else "folder",
        alerts_per_s=options.alerts / took_s,
        cpu_s_per_1000=1000 * (after.cpu_s - before.cpu_s) / options.alerts,
    )


def _wait_until_published(archive: RunningArchive, alerts: int, timeout_s: float) -> None:
    ends_s = time.monotonic() + timeout_s
    archive.wait_until(
        f"{alerts} alerts are durable", lambda sheet: sheet.archived >= alerts, ends_s
    )
    while list(archive.storage.walk("staging")):
        if time.monotonic() > ends_s:
            raise RuntimeError(f"files of {alerts} durable alerts are not published")
        time.sleep(_POLL_S)
    if read_state(archive.storage).state.balance().difference:
        raise RuntimeError("the archive's balance has a difference")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.store_chain", description=__doc__)
    add = parser.add_argument
    add("uri", nargs="+", help="a folder, s3://BUCKET/PREFIX, hdfs://HOST:PORT/F")
    add("--alerts", type=int, default=30_000, metavar="N", help="that count (%(default)s)")
    add("--warm", type=int, default=5_000, metavar="N", help="before, not counted (%(default)s)")
    add("--timeout", type=float, default=600.0, metavar="S", help="of each step (%(default)s)")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
