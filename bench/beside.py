"""`python -m bench.beside`: the archive with services beside it, and how soon alerts have a class.

After a warm-up, the same alerts are sent as fast as Kafka takes them, to an archive alone,
then to one with `classify` and `crossmatch` beside it, each as `finkray start` runs it. What counts
is the time until the last alert is durable. Then alerts are sent at an even rate, and the time from
Kafka's timestamp until the class is durable is read from the ledger of the results. With
`--night-alerts` the archive alone takes the same once more, beside the build of a HATS night.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench import hats_night
from bench.classify import make_catalog
from bench.durable import kafka_unix_s, last_commit_unix_s
from bench.options import add_common, begin, working_folder
from bench.quantiles import latency_quantiles
from bench.running import RunningArchive
from bench.stream import Stream, running_stream
from bench.topics import ZTF_PACKETS, read_feed
from finkray.ledger.claims import read_claims
from finkray.ledger.read import read_state
from finkray.storage.contract import Storage
from jobs.cluster.local_ray import WORKER_NICENESS
from jobs.daemons.hats import NICENESS as HATS_NICENESS
from sim.broker.kafka import Kafka

SERVICES = {"classify": "actors.classify:Classify", "crossmatch": "actors.crossmatch:Crossmatch"}

NIGHT = "2018-11-28"
"""The observing night of `bench.hats_night`."""

_LOG = logging.getLogger("bench.beside")
_POLL_S = 0.2
_DRAIN_S = 60.0


@dataclass(frozen=True)
class Measured:
    """The figures of one run.

    Attributes
    ----------
    alerts
        sent at once, each time
    alone_per_s, beside_per_s
        alerts/s until the last was durable, without and with services
    ratio
        of the second to the first
    night_per_s
        the same beside the build of a HATS night; None if it was not measured
    results_after_s
        from the last durable alert until the last result of each service
    rate_per_s, latency_s
        the even rate, and from the Kafka timestamp until the class is durable: p50, p95, p99
    """

    alerts: int
    alone_per_s: float
    beside_per_s: float
    ratio: float
    results_after_s: dict[str, float]
    rate_per_s: float
    latency_s: tuple[float, float, float]
    night_per_s: float | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (ZTF_PACKETS,)):
        return 2
    with working_folder("beside", options.folder, keep=options.keep) as folder:
        measured = measure(options, folder)
    print(render(measured))
    if options.json:
        report = {"cores": os.cpu_count(), **asdict(measured)}
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 0


def measure(options: argparse.Namespace, folder: Path) -> Measured:
    """Measure the archive alone, then with services."""
    make_catalog(folder, options.sources, np.random.default_rng(1))
    feed = read_feed("containers", options.data)
    sky = f'[catalogs]\nfolder = "{folder / "sky"}"\n'
    with Kafka.running(folder / "kafka") as kafka:
        with running_stream(kafka, feed, folder, "alone", options, more=sky) as stream:
            stream.burst_per_s(options.warm)
            _LOG.info("alone: %d alerts", options.alerts)
            alone_per_s = stream.burst_per_s(options.alerts)
            night_per_s = _beside_night(stream, folder, options) if options.night_alerts else None
        with (
            running_stream(kafka, feed, folder, "beside", options, more=sky) as stream,
            ExitStack() as services,
        ):
            before = stream.sent
            for name, spec in SERVICES.items():
                services.enter_context(service_beside(stream.archive, spec))
                _LOG.info("%s starts", name)
                wait_until_live(stream, name)
            stream.burst_per_s(options.warm)
            for name in SERVICES:
                wait_until_served(stream, name, stream.sent - before)
            _LOG.info("with services: %d alerts", options.alerts)
            beside_per_s = stream.burst_per_s(options.alerts)
            durable_s = last_commit_unix_s(stream.archive.storage)
            after = {}
            for name in SERVICES:
                wait_until_served(stream, name, stream.sent - before)
                after[name] = last_commit_unix_s(_results(stream.archive, name)) - durable_s
            served_before = served(stream.archive, "classify")
            _LOG.info("%g alerts/s for %g s", options.rate, options.seconds)
            stream.play(options.rate, options.seconds)
            stream.wait_until_durable()
            wait_until_served(stream, "classify", stream.sent - before)
            latencies = latencies_s(_results(stream.archive, "classify"), served_before)
    p50, p95, p99 = latency_quantiles(latencies)
    return Measured(
        alerts=options.alerts,
        alone_per_s=alone_per_s,
        beside_per_s=beside_per_s,
        ratio=beside_per_s / alone_per_s,
        results_after_s=after,
        rate_per_s=options.rate,
        latency_s=(p50, p95, p99),
        night_per_s=night_per_s,
    )


def wait_until_served(stream: Stream, name: str, alerts: int) -> None:
    """Wait until a service has this many results."""
    ends_s = time.monotonic() + stream.timeout_s
    while served(stream.archive, name) < alerts:
        if time.monotonic() > ends_s:
            raise RuntimeError(f"{name} has {served(stream.archive, name)} of {alerts} results")
        time.sleep(_POLL_S)


def served(archive: RunningArchive, name: str) -> int:
    """Return the number of results of a service."""
    storage = _results(archive, name)
    return read_state(storage).state.balance().archived if storage.exists() else 0


def latencies_s(results: Storage, skip: int) -> np.ndarray:
    """Return the times from Kafka timestamp to durable result, without the first results.

    Parameters
    ----------
    results
        of a service
    skip
        number of results, in order of commit, to leave out
    """
    claims = read_claims(results, ("at", "files")).to_pylist()
    found = [claim["at"].timestamp() - kafka_unix_s(results, claim) for claim in claims]
    return np.concatenate([np.array([]), *found])[skip:]


def render(measured: Measured) -> str:
    """Return the figures as text."""
    p50, p95, p99 = measured.latency_s
    after = ", ".join(f"{name} {after:.1f} s" for name, after in measured.results_after_s.items())
    night = (
        f"beside the build of a HATS night: {measured.night_per_s:,.0f} alerts/s, "
        f"{measured.night_per_s / measured.alone_per_s:.0%}\n"
        if measured.night_per_s is not None
        else ""
    )
    return (
        f"{measured.alerts:,} alerts at once: {measured.alone_per_s:,.0f} alerts/s alone, "
        f"{measured.beside_per_s:,.0f} beside {len(SERVICES)} services: {measured.ratio:.0%}\n"
        f"{night}the last results after the last alert: {after}\n"
        f"{measured.rate_per_s:g} alerts/s: a class is durable after {p50:.1f} s (p50), "
        f"{p95:.1f} s (p95), {p99:.1f} s (p99)"
    )


def _beside_night(stream: Stream, folder: Path, options: argparse.Namespace) -> float:
    """Return the alerts/s of an archive while the HATS night of another one is built."""
    hats_night.make_archive(folder / "night", options.data, options.night_alerts)
    config = folder / "night.toml"
    config.write_text(f'[archive]\nuri = "{folder / "night"}"\n')
    finkray = [sys.executable, "-m", "jobs.cli.main"]
    build = [*finkray, "hats", "build", "--night", NIGHT, "--incomplete", "-c", str(config)]
    # As a job of Ray's that lowers its own priority, as `finkray start hats` does.
    nice = ["nice", "-n", str(WORKER_NICENESS + HATS_NICENESS)]
    _LOG.info("beside the build of a night: %d alerts", options.alerts)
    process = subprocess.Popen([*nice, *build], stdout=subprocess.DEVNULL)
    try:
        per_s = stream.burst_per_s(options.alerts)
        if process.poll() is not None:
            raise RuntimeError(
                f"the build of the night ended first (exit code {process.returncode}): take more "
                "--night-alerts"
            )
    finally:
        process.terminate()
        process.wait(_DRAIN_S)
    return per_s


def service_beside(
    archive: RunningArchive, spec: str
) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """Run a service live on the archive's Ray."""
    return archive.daemon(spec, "jobs.daemons.service", "--service", spec)


def wait_until_live(stream: Stream, name: str) -> None:
    """Wait until the service has recorded where it begins."""
    ends_s = time.monotonic() + 120.0
    while _results(stream.archive, name).size_bytes("live.json") is None:
        if time.monotonic() > ends_s:
            raise RuntimeError(f"{name} does not start")
        time.sleep(_POLL_S)


def _results(archive: RunningArchive, name: str) -> Storage:
    return archive.storage.below(f"science/{name}/1")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.beside", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--alerts", type=int, default=40_000, metavar="N", help="at once (%(default)s)")
    add("--warm", type=int, default=5_000, metavar="N", help="before, not counted (%(default)s)")
    add("--rate", type=float, default=270.0, metavar="N", help="alerts/s (%(default)s)")
    add("--seconds", type=float, default=60.0, metavar="S", help="of the even rate (%(default)s)")
    add(
        "--sources", type=int, default=1_000_000, metavar="N", help="of the catalogue (%(default)s)"
    )
    add(
        "--night-alerts",
        type=int,
        default=0,
        metavar="N",
        help="also beside the build of a HATS night of this many (%(default)s: not)",
    )
    add("--timeout", type=float, default=600.0, metavar="S", help="of each step (%(default)s)")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
