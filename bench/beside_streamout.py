"""`python -m bench.beside_streamout`: the archive with streaming out beside it, behind `classify`.

After a warm-up, alerts are sent as fast as Kafka takes them, to an archive alone and to the same
archive with the process that streams out beside it, filters of three cuts. What counts is the time
until the last alert is durable. With another archive, `classify` runs, and filters that need its
result; alerts come at an even rate. A consumer of all topics notes when it has each message. The
time counts from the ledger's entry: from then on an alert is durable.

The run fails if an alert that was sent is not received once.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.beside import SERVICES, service_beside, wait_until_live, wait_until_served
from bench.classify import make_catalog
from bench.options import add_common, begin, working_folder
from bench.stream import running_stream
from bench.streamout import publish
from bench.streamout_latency import (
    INSTANCE,
    alerts_of,
    decoded,
    durable_claims,
    latencies_s,
    streaming_out,
    subscribed,
    wait_until_received,
)
from bench.topics import ZTF_PACKETS, Feed, read_feed
from finkray.settings.streamout import StreamoutSettings
from sim.broker.kafka import Kafka

_SOURCES = 20_000
_WARM_ALERTS = 2_000
_LOG = logging.getLogger("bench.beside_streamout")


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a run.

    Attributes
    ----------
    alerts
        sent at once, each time
    alone_per_s, beside_per_s
        alerts/s until the last was durable, without and with streaming out
    messages
        received of the even rate, behind `classify`
    p50_s, p95_s, p99_s
        from an alert's commit until the subscriber has the message
    """

    alerts: int
    alone_per_s: float
    beside_per_s: float
    messages: int
    p50_s: float
    p95_s: float
    p99_s: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 1 if a message was lost or doubled."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (ZTF_PACKETS,)):
        return 2
    try:
        with working_folder("beside-streamout", options.folder, keep=options.keep) as folder:
            measured = measure(options, folder)
    except (RuntimeError, ValueError) as error:
        _LOG.error("%s", error)
        return 1
    print(render(measured))
    if options.json:
        options.json.write_text(json.dumps(asdict(measured), indent=2), encoding="utf-8")
    return 0


def render(measured: Measured) -> str:
    """Return the figures as text."""
    share = measured.beside_per_s / measured.alone_per_s
    return (
        f"{measured.alerts:,} alerts at once: {measured.alone_per_s:,.0f} alerts/s alone, "
        f"{measured.beside_per_s:,.0f} beside streaming out: {share:.0%}\n"
        f"behind classify, {measured.messages:,} messages: p50 {measured.p50_s:.2f} s, "
        f"p95 {measured.p95_s:.2f} s, p99 {measured.p99_s:.2f} s"
    )


def measure(options: argparse.Namespace, folder: Path) -> Measured:
    """Measure the rates, then the latency, each on an archive and a Kafka of its own."""
    make_catalog(folder, _SOURCES, np.random.default_rng(1))
    feed = read_feed("containers", options.data)
    with Kafka.running(folder / "kafka") as kafka:
        alone_per_s, beside_per_s = _rates(kafka, feed, folder, options)
    with Kafka.running(folder / "kafka-classify") as kafka:
        latencies = _latencies_s(kafka, feed, folder, options)
    p50_s, p95_s, p99_s = (float(value) for value in np.quantile(latencies, (0.5, 0.95, 0.99)))
    return Measured(
        alerts=options.alerts,
        alone_per_s=alone_per_s,
        beside_per_s=beside_per_s,
        messages=len(latencies),
        p50_s=p50_s,
        p95_s=p95_s,
        p99_s=p99_s,
    )


def _rates(
    kafka: Kafka, feed: Feed, folder: Path, options: argparse.Namespace
) -> tuple[float, float]:
    """Return the archive's alerts/s alone and beside streaming out."""
    config = {"bootstrap.servers": kafka.bootstrap_servers}
    own = folder / "rates"
    own.mkdir()
    with running_stream(kafka, feed, folder, "rates", options) as stream:
        stream.burst_per_s(_WARM_ALERTS)
        alone_per_s = stream.burst_per_s(options.alerts)
        _LOG.info("alone: %.0f alerts/s", alone_per_s)
        case = ("lite", options.filters)
        storage = stream.archive.storage
        publish(storage, config, StreamoutSettings(instance=INSTANCE), own, case)
        with streaming_out(own, storage, config):
            stream.burst_per_s(_WARM_ALERTS)
            beside_per_s = stream.burst_per_s(options.alerts)
    return alone_per_s, beside_per_s


def _latencies_s(kafka: Kafka, feed: Feed, folder: Path, options: argparse.Namespace) -> np.ndarray:
    """Return how long after their commit messages behind `classify` were received."""
    config = {"bootstrap.servers": kafka.bootstrap_servers}
    own = folder / "behind"
    own.mkdir()
    sky = f'[catalogs]\nfolder = "{folder / "sky"}"\n'
    with (
        running_stream(kafka, feed, folder, "behind-classify", options, more=sky) as stream,
        service_beside(stream.archive, SERVICES["classify"]),
    ):
        wait_until_live(stream, "classify")
        before = stream.sent
        stream.burst_per_s(_WARM_ALERTS)
        wait_until_served(stream, "classify", stream.sent - before)
        storage = stream.archive.storage
        begun = len(durable_claims(storage))
        settings = StreamoutSettings(instance=INSTANCE)
        case = ("lite", options.filters)
        topics = publish(storage, config, settings, own, case, head='NEEDS = ["classify"]\n')
        with (
            subscribed(config, topics) as messages,
            streaming_out(own, storage, config) as log,
        ):
            stream.play(options.rate, options.warm_s)
            stream.wait_until_durable()
            warm = len(durable_claims(storage))
            _LOG.info("%g alerts/s for %g s", options.rate, options.seconds)
            stream.play(options.rate, options.seconds)
            stream.wait_until_durable()
            durable = durable_claims(storage)
            alerts = sum(map(alerts_of, durable[begun:]))
            deadline_s = time.monotonic() + options.timeout
            wait_until_received(config, alerts, messages, deadline_s, log)
    return latencies_s(decoded(messages, config), durable[warm:])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.beside_streamout", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--alerts", type=int, default=20_000, metavar="N", help="at once (%(default)s)")
    add("--filters", type=int, default=10, metavar="N", help="(%(default)s)")
    add("--rate", type=float, default=270.0, metavar="N", help="alerts/s (%(default)s)")
    add("--warm-s", type=float, default=10.0, metavar="S", help="before that (%(default)s)")
    add("--seconds", type=float, default=60.0, metavar="S", help="of the even rate (%(default)s)")
    add("--timeout", type=float, default=300.0, metavar="S", help="of each step (%(default)s)")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
