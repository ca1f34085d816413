"""`python -m bench.trickle`: the files of a quiet night, and how soon its alerts are durable.

Real packets of ZTF are sent at an even rate to a topic of many partitions, to an archive as users
run it. The first seconds do not count: the claims of all partitions begin at once there. The run
fails if a deep audit is not balanced.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import Final

import numpy as np

from bench.chains.archive import settings_for
from bench.durable import kafka_unix_s
from bench.options import add_common, begin, working_folder
from bench.quantiles import latency_quantiles
from bench.running import running_archive
from bench.topics import ZTF_PACKETS, Feed, read_feed, send
from finkray.audit.audit import audit
from finkray.ledger.claims import read_claims
from finkray.storage.contract import Storage
from sim.broker.kafka import Kafka
from sim.player.pace import Pace
from sim.player.play import play
from sim.player.sources import Packet

NIGHT_H: Final = 10.0

_LOG = logging.getLogger("bench.trickle")
_TOPIC: Final = "trickle"
_LONGEST_S: Final = 300.0


@dataclass(frozen=True)
class Measured:
    """The figures of a run.

    Attributes
    ----------
    rate_per_s, partitions, seconds
        the stream, and how long it counted
    alerts, claims, files
        that became durable in this time
    files_a_night
        in `NIGHT_H` hours at this rate
    durable_s
        from the Kafka timestamp until an alert is durable: p50, p95, p99
    """

    rate_per_s: float
    partitions: int
    seconds: float
    alerts: int
    claims: int
    files: int
    files_a_night: float
    durable_s: tuple[float, float, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (ZTF_PACKETS,)):
        return 2
    with (
        working_folder("trickle", options.folder, keep=options.keep) as folder,
        Kafka.running(folder / "kafka") as kafka,
    ):
        measured = measure(options, folder, kafka)
    print(render(measured))
    if options.json:
        options.json.write_text(json.dumps(asdict(measured), indent=2), encoding="utf-8")
    return 0


def measure(options: argparse.Namespace, folder: Path, kafka: Kafka) -> Measured:
    """Archive the stream for a while."""
    feed = read_feed("containers", options.data)
    kafka.create_topic(_TOPIC, partitions=options.partitions)
    schema = feed.write_schema(folder)
    settings = settings_for(kafka.bootstrap_servers, _TOPIC, feed.wire, schema, options.cores)
    settings += f"trickle_s = {options.wait}\n"  # in [spark], which comes last for containers
    with running_archive(folder / "archive", settings) as archive:
        deadline_s = time.monotonic() + options.warm + options.seconds + _LONGEST_S
        sent = options.partitions
        send(kafka, _TOPIC, feed, sent, options.partitions)
        archive.wait_until("it is warm", lambda sheet: sheet.archived >= sent, deadline_s)
        sent += _play(kafka, feed, options.rate, options.warm)
        begun = datetime.now(UTC)
        _LOG.info("%g alerts/s for %g s", options.rate, options.seconds)
        sent += _play(kafka, feed, options.rate, options.seconds)
        ended = datetime.now(UTC)
        archive.wait_until("all are durable", lambda sheet: sheet.archived >= sent, deadline_s)
    report = audit(archive.storage, deep="all")
    if not report.balanced or report.archived != sent:
        raise RuntimeError(f"{sent} alerts were sent, and the audit says: {report.to_json()}")
    return _measured(archive.storage, begun, ended, options)


def _play(kafka: Kafka, feed: Feed, rate_per_s: float, seconds: float) -> int:
    packets = (Packet(message) for message in cycle(feed.messages))
    count = round(rate_per_s * seconds)
    pace = Pace(per_s=rate_per_s)
    return play(packets, kafka.bootstrap_servers, _TOPIC, pace=pace, count=count).alerts


def _measured(
    storage: Storage, begun: datetime, ended: datetime, options: argparse.Namespace
) -> Measured:
    claims = [
        claim
        for claim in read_claims(storage, ("at", "files", "archived")).to_pylist()
        if begun <= claim["at"] < ended
    ]
    latencies = [claim["at"].timestamp() - kafka_unix_s(storage, claim) for claim in claims]
    files = {file["path"] for claim in claims for file in claim["files"]}
    seconds = (ended - begun).total_seconds()
    p50, p95, p99 = latency_quantiles(np.concatenate(latencies))
    return Measured(
        rate_per_s=options.rate,
        partitions=options.partitions,
        seconds=seconds,
        alerts=sum(claim["archived"] for claim in claims),
        claims=len(claims),
        files=len(files),
        files_a_night=len(files) / seconds * NIGHT_H * 3600,
        durable_s=(p50, p95, p99),
    )


def render(measured: Measured) -> str:
    """Return the figures as text."""
    p50, p95, p99 = measured.durable_s
    per_h = measured.files / measured.seconds * 3600
    return (
        f"{measured.rate_per_s:g} alerts/s over {measured.partitions} partitions for "
        f"{measured.seconds:.0f} s: {measured.alerts} alerts in {measured.claims} claims and "
        f"{measured.files} files\n"
        f"{per_h:.0f} files an hour, {measured.files_a_night:.0f} a night of {NIGHT_H:g} hours\n"
        f"an alert is durable after {p50:.1f} s (p50), {p95:.1f} s (p95), {p99:.1f} s (p99)"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.trickle", description=__doc__)
    parser.add_argument("--rate", type=float, default=28.0, help="alerts/s (%(default)s)")
    parser.add_argument("--seconds", type=float, default=240.0, help="that count (%(default)s)")
    parser.add_argument("--warm", type=float, default=30.0, help="seconds before (%(default)s)")
    parser.add_argument("--wait", type=float, default=5.0, help="spark.trickle_s (%(default)s)")
    add_common(parser)
    parser.set_defaults(partitions=16)
    return parser


if __name__ == "__main__":
    sys.exit(main())
