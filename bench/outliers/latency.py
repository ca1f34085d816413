"""`python -m bench.outliers.latency`: how soon an alert has a score, behind an archive that runs.

An archive takes in real alerts of ZTF at an even rate, with `classify` and `outliers` beside it,
each as `finkray start` runs it. A model is trained on what the warm-up brought. The time counts
from the ledger's entry of the alert, from which on it is durable, to that of its result.

The run fails if an alert has no result in time.
"""

import argparse
import json
import logging
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.beside import SERVICES, service_beside, wait_until_live, wait_until_served
from bench.classify import make_catalog
from bench.durable import alerts_of, durable_claims, results_after_s
from bench.options import add_common, begin, working_folder
from bench.quantiles import latency_quantiles
from bench.stream import running_stream
from bench.topics import ZTF_PACKETS, read_feed
from finkray.outliers.location import FOLDER
from finkray.outliers.store import ModelStore
from finkray.outliers.training import train
from finkray.storage.contract import Storage
from finkray.storage.hours import Span
from sim.broker.kafka import Kafka

BESIDE: Final = {"classify": SERVICES["classify"], "outliers": "actors.outliers:Outliers"}

_SOURCES: Final = 20_000
_WARM_ALERTS: Final = 2_000
_LOG = logging.getLogger("bench.outliers.latency")


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a run.

    Attributes
    ----------
    rate_per_s
        at which alerts were sent
    alerts
        that counted
    after_s
        by service: from an alert's commit until its result is durable, p50, p95, p99
    """

    rate_per_s: float
    alerts: int
    after_s: dict[str, tuple[float, float, float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 1 if results are missing."""
    options = _parser().parse_args(arguments)
    if not begin(options.data, (ZTF_PACKETS,)):
        return 2
    try:
        with working_folder("outliers-latency", options.folder, keep=options.keep) as folder:
            measured = measure(options, folder)
    except RuntimeError as error:
        _LOG.error("%s", error)
        return 1
    print(render(measured))
    if options.json:
        report = {"cores": os.cpu_count(), **asdict(measured)}
        options.json.write_text(json.dumps(report, indent=2), encoding="utf-8")
    return 0


def render(measured: Measured) -> str:
    """Return the figures as text."""
    lines = [f"{measured.alerts:,} alerts, {measured.rate_per_s:g} a second"]
    for name, (p50, p95, p99) in measured.after_s.items():
        lines.append(
            f"results of {name} are durable after p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s"
        )
    return "\n".join(lines)


def measure(options: argparse.Namespace, folder: Path) -> Measured:
    """Warm up, train, start the services, and send alerts at an even rate."""
    make_catalog(folder, _SOURCES, np.random.default_rng(1))
    feed = read_feed("containers", options.data)
    sky = f'[catalogs]\nfolder = "{folder / "sky"}"\n'
    with (
        Kafka.running(folder / "kafka") as kafka,
        running_stream(kafka, feed, folder, "scored", options, more=sky) as stream,
        ExitStack() as services,
    ):
        storage = stream.archive.storage
        stream.burst_per_s(_WARM_ALERTS)
        _train(storage)
        before = stream.sent
        for name, spec in BESIDE.items():
            services.enter_context(service_beside(stream.archive, spec))
            wait_until_live(stream, name)
        stream.burst_per_s(_WARM_ALERTS)
        stream.play(options.rate, options.warm_s)
        stream.wait_until_durable()
        for name in BESIDE:
            wait_until_served(stream, name, stream.sent - before)
        warm = len(durable_claims(storage))
        _LOG.info("%g alerts/s for %g s", options.rate, options.seconds)
        stream.play(options.rate, options.seconds)
        stream.wait_until_durable()
        for name in BESIDE:
            wait_until_served(stream, name, stream.sent - before)
        durable = durable_claims(storage)[warm:]
        after_s = {
            name: results_after_s(durable, durable_claims(storage.below(f"science/{name}/1")))
            for name in BESIDE
        }
    return Measured(
        rate_per_s=options.rate,
        alerts=sum(map(alerts_of, durable)),
        after_s={name: latency_quantiles(seconds) for name, seconds in after_s.items()},
    )


def _train(storage: Storage) -> None:
    """Train a model of ZTF on all that is archived, and put it in use."""
    (trained,) = train(storage, Span(), ("ztf",), tell=_LOG.info, stopping=threading.Event())
    store = ModelStore(storage.below(FOLDER), "ztf")
    store.use(store.add(trained.model, {"alerts": trained.alerts, "files": trained.files}))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.outliers.latency", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--rate", type=float, default=270.0, metavar="N", help="alerts/s (%(default)s)")
    add("--warm-s", type=float, default=10.0, metavar="S", help="before that (%(default)s)")
    add("--seconds", type=float, default=60.0, metavar="S", help="of the even rate (%(default)s)")
    add("--timeout", type=float, default=120.0, metavar="S", help="of each step (%(default)s)")
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
