"""`python -m bench.beside_streamout`: measure what streaming out costs, and its delay.

Costs: after a warm-up, alerts are sent as fast as Kafka takes them; first to an archive alone, then
to the same archive beside the process that streams out, with filters of three cuts, then to the
archive alone again, because it gets faster for a while, and other work on the machine comes and
goes. Measured are the time until the last alert is durable, and the CPU time of all processes.

Delay: beside another archive `classify` runs, and filters that need its result. Alerts come at an
even rate, and a consumer of all topics notes when it receives each message. The delay counts from
the ledger's entry, with which an alert is durable.

The run fails if an alert that was sent is not received exactly once.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import harmonic_mean
from typing import Final, NamedTuple

import numpy as np
import psutil

from bench.beside import SERVICES, service_beside, wait_until_live, wait_until_served
from bench.classify import make_catalog
from bench.durable import alerts_of, durable_claims, results_after_s
from bench.options import add_common, begin, working_folder
from bench.quantiles import latency_quantiles
from bench.stream import Stream, running_stream
from bench.streamout import publish
from bench.streamout_latency import (
    INSTANCE,
    decoded,
    latencies_s,
    streaming_out,
    subscribed,
    wait_until_judged,
    wait_until_received,
)
from bench.topics import ZTF_PACKETS, Feed, read_feed
from finkray.settings.streamout import StreamoutSettings
from sim.broker.kafka import Kafka

PARTS: Final = {
    "kafka.Kafka": "Kafka",
    "jobs.daemons.streamout": "streaming out",
    "finkray.streamout.fork_server": "filters",
}
"""The part of the work by a word of the command line; other processes are the archive's."""

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
        alerts/s until the last was durable, without streaming out (twice) and with it
    alone_cpu_us, beside_cpu_us
        CPU time for an alert by part of the work, without and with streaming out
    messages
        messages that were received at the even rate, behind `classify`
    p50_s, p95_s, p99_s
        from an alert's commit until the subscriber has the message
    classed_p50_s, classed_p95_s
        from an alert's commit until its class is durable; the delay above contains it
    """

    alerts: int
    alone_per_s: tuple[float, float]
    beside_per_s: float
    alone_cpu_us: dict[str, float]
    beside_cpu_us: dict[str, float]
    messages: int
    p50_s: float
    p95_s: float
    p99_s: float
    classed_p50_s: float
    classed_p95_s: float

    @property
    def share(self) -> float:
        """The archive's rate beside streaming out, as a share of its mean rate alone."""
        return self.beside_per_s / harmonic_mean(self.alone_per_s)


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
    before, after = measured.alone_per_s
    cpu_us = ", ".join(
        f"{part} {measured.alone_cpu_us.get(part, 0):,.0f} and {beside_us:,.0f}"
        for part, beside_us in measured.beside_cpu_us.items()
    )
    return (
        f"{measured.alerts:,} alerts at once: {before:,.0f} alerts/s alone, "
        f"{measured.beside_per_s:,.0f} beside streaming out, {after:,.0f} alone again: "
        f"{measured.share:.0%}\n"
        f"CPU for an alert alone and beside, us: {cpu_us}\n"
        f"a class is durable after p50 {measured.classed_p50_s:.2f} s, "
        f"p95 {measured.classed_p95_s:.2f} s\n"
        f"behind classify, {measured.messages:,} messages: p50 {measured.p50_s:.2f} s, "
        f"p95 {measured.p95_s:.2f} s, p99 {measured.p99_s:.2f} s"
    )


def measure(options: argparse.Namespace, folder: Path) -> Measured:
    """Measure the rates, then the latency, each on an archive and a Kafka of its own."""
    make_catalog(folder, _SOURCES, np.random.default_rng(1))
    feed = read_feed("containers", options.data)
    with Kafka.running(folder / "kafka") as kafka:
        rates = _rates(kafka, feed, folder, options)
    with Kafka.running(folder / "kafka-classify") as kafka:
        latencies, classed = _latencies_s(kafka, feed, folder, options)
    p50_s, p95_s, p99_s = latency_quantiles(latencies)
    classed_p50_s, classed_p95_s = (float(value) for value in np.quantile(classed, (0.5, 0.95)))
    first, beside, last = rates
    return Measured(
        alerts=options.alerts,
        alone_per_s=(first.per_s, last.per_s),
        beside_per_s=beside.per_s,
        alone_cpu_us=first.cpu_us,
        beside_cpu_us=beside.cpu_us,
        messages=len(latencies),
        p50_s=p50_s,
        p95_s=p95_s,
        p99_s=p99_s,
        classed_p50_s=classed_p50_s,
        classed_p95_s=classed_p95_s,
    )


class Burst(NamedTuple):
    """How a burst was archived: alerts/s, and the CPU time for an alert by `PARTS`."""

    per_s: float
    cpu_us: dict[str, float]


def _burst(stream: Stream, alerts: int) -> Burst:
    before = cpu_s()
    per_s = stream.burst_per_s(alerts)
    after = cpu_s()
    cpu_us = {part: 1e6 * (after[part] - before.get(part, 0.0)) / alerts for part in after}
    _LOG.info("%.0f alerts/s, CPU for an alert in us: %s", per_s, cpu_us)
    return Burst(per_s, cpu_us)


def cpu_s() -> dict[str, float]:
    """Return the CPU time of all processes that this one started, by part of the work."""
    found: dict[str, float] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            words, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        part = next((name for word, name in PARTS.items() if word in words), "archive")
        found[part] = found.get(part, 0.0) + times.user + times.system
    return found


def _rates(
    kafka: Kafka, feed: Feed, folder: Path, options: argparse.Namespace
) -> tuple[Burst, Burst, Burst]:
    """Return how bursts were archived alone, beside streaming out, and alone again."""
    config = {"bootstrap.servers": kafka.bootstrap_servers}
    own = folder / "rates"
    own.mkdir()
    with running_stream(kafka, feed, folder, "rates", options) as stream:
        stream.burst_per_s(_WARM_ALERTS)
        first = _burst(stream, options.alerts)
        case = ("lite", options.filters)
        storage = stream.archive.storage
        publish(storage, config, StreamoutSettings(instance=INSTANCE), own, case)
        with streaming_out(own, storage, config) as log:
            stream.burst_per_s(_WARM_ALERTS)
            # Filters are started by the first alerts; all is warm when these are sent.
            deadline_s = time.monotonic() + options.timeout
            wait_until_judged(config, _WARM_ALERTS, deadline_s, log)
            beside = _burst(stream, options.alerts)
            wait_until_judged(config, _WARM_ALERTS + options.alerts, deadline_s, log)
        last = _burst(stream, options.alerts)
    return first, beside, last


def _latencies_s(
    kafka: Kafka, feed: Feed, folder: Path, options: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray]:
    """Return delays from the commit of alerts: of messages behind `classify`, and of classes."""
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
        wait_until_served(stream, "classify", stream.sent - before)
        classed = durable_claims(storage.below("science/classify/1"))
    return latencies_s(decoded(messages, config), durable[warm:]), results_after_s(
        durable[warm:], classed
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.beside_streamout", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--alerts", type=int, default=20_000, metavar="N", help="alerts in a burst (%(default)s)")
    add("--filters", type=int, default=10, metavar="N", help="number of filters (%(default)s)")
    add("--rate", type=float, default=270.0, metavar="N", help="alerts/s (%(default)s)")
    add("--warm-s", type=float, default=10.0, metavar="S", help="of that, unmeasured (%(default)s)")
    add("--seconds", type=float, default=60.0, metavar="S", help="of that, measured (%(default)s)")
    add("--timeout", type=float, default=300.0, metavar="S", help="of each step (%(default)s)")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
