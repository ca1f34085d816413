"""`make live`: run a simulated night and all that follows it, until Ctrl-C. The archive stays.

A Kafka, a Ray and a state folder of its own, so that nothing of the user's own jobs is touched.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from finkray.errors import FinkrayError
from finkray.host.exit_codes import CommandExit
from finkray.host.interrupt import Interrupts
from finkray.host.ports import free_ports
from finkray.ledger.read import read_state
from finkray.settings.model import Settings, load
from finkray.storage.opening import open_storage
from jobs.cluster.job import ServiceJob
from jobs.cluster.local_ray import stop_local_ray
from jobs.commands.context import CommandContext
from jobs.commands.launch import StartRequest, request_service, start
from jobs.commands.outliers import outlier_models
from jobs.commands.progress import Progress
from jobs.commands.stop import stop
from jobs.daemons.aggregation import AGGREGATION
from jobs.daemons.archive import ARCHIVE
from jobs.daemons.page import PAGE
from jobs.daemons.registry import SHIPPED

STRANGE_PERCENT: Final = 1.0

VISIT_ALERTS: Final = 1000
"""Alerts of a visit every 37 s, as Rubin's: as many as two cores judge in that time."""

_MODEL_ALERTS: Final = 1000
"""Durable alerts from which on a first model of what is ordinary is trained; a visit is enough."""

_MODEL_ROWS: Final = 20_000
"""Most alerts of the reference of that model."""

_SINCE: Final = "2020-01-01"
"""Services also process what is durable before they start."""

_LOOK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line."""

    archive: Path
    visit_alerts: int = VISIT_ALERTS
    port: int = 0


def settings_of(options: Options) -> Settings:
    """Return the settings of all jobs."""
    # Actors reserve cores of Ray; on a machine with two, the kernel shares them among all.
    cpus = max(4, os.cpu_count() or 1)
    overrides: dict[str, dict[str, Any]] = {
        "archive": {"uri": str(options.archive)},
        "ray": {"address": "local", "local_cpus": cpus, "local_dashboard_port": 0},
        "services": {"max_actors": 1},
        "simulator": {
            "alerts": 0,
            "alerts_per_visit": options.visit_alerts,
            "plane_alerts": options.visit_alerts,
            "pace": "realtime",
            "strange": STRANGE_PERCENT,
        },
        "ui": {"port": options.port or free_ports(1)[0]},
    }
    return load(None, {}, overrides)


def run(context: CommandContext, interrupts: Interrupts) -> NoReturn:
    """Start everything, and wait for a signal, which raises KeyboardInterrupt."""
    settings, say = context.settings, context.progress.say
    with interrupts.ignored_after():
        _start(context, interrupts, StartRequest(PAGE.name, PAGE))
        address = f"http://{settings.ui.host}:{settings.ui.port}"
        say(f"Page: {address} until Ctrl-C")
        simulated = StartRequest(
            ARCHIVE.name, ARCHIVE, with_simulator=True, simulator_configured=True
        )
        _start(context, interrupts, simulated)
        _start(context, interrupts, StartRequest(AGGREGATION.name, AGGREGATION))
        _start(context, interrupts, _shipped(settings, "classify"))
        wanted = min(_MODEL_ALERTS, settings.simulator.alerts_per_visit)
        with context.progress.waiting(f"waiting for {wanted} alerts to learn what is ordinary"):
            _wait_for_alerts(settings, wanted)
        _train(context)
        _start(context, interrupts, _shipped(settings, "outliers"))
        say(f"Everything runs. Page: {address} until Ctrl-C")
        say(f"Commands see it with FINKRAY_STATE={context.state}, such as finkray status")
        while True:
            time.sleep(_LOOK_S)
            interrupts.check()


def _start(context: CommandContext, interrupts: Interrupts, request: StartRequest) -> None:
    interrupts.check()
    start(context, request)
    interrupts.install()  # Ray has installed handlers of its own


def _shipped(settings: Settings, name: str) -> StartRequest:
    return request_service(settings, ServiceJob(SHIPPED[name], str(Path.cwd()), None, _SINCE))


def _wait_for_alerts(settings: Settings, wanted: int) -> None:
    storage = open_storage(settings.archive)
    while read_state(storage).state.balance().archived < wanted:
        time.sleep(_LOOK_S)


def _train(context: CommandContext) -> None:
    progress = context.progress
    models = outlier_models(context.settings).train(
        survey="ztf", rows=_MODEL_ROWS, tell=progress.tell
    )
    for model in models:
        progress.say(model.text())


def main(words: Sequence[str] | None = None) -> int:
    """Run the simulated night; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.commands.live",
        description="Archive, simulator with a strange sky, classes, outliers and the page, until "
        "Ctrl-C.",
        epilog="example: python -m jobs.commands.live --archive /tmp/night --port 5000",
    )
    parser.add_argument(
        "--archive", type=Path, default=Path("archive"), metavar="FOLDER", help="where to (archive)"
    )
    parser.add_argument(
        "--visit-alerts",
        type=int,
        default=VISIT_ALERTS,
        metavar="N",
        help="alerts of a visit, of which there is one every 37 s (%(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="PORT", help="of the page; any free one"
    )
    given = parser.parse_args(words)
    options = Options(given.archive.absolute(), given.visit_alerts, given.port)
    interrupts = Interrupts()
    interrupts.install()
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="finkray-live-") as folder:
        os.environ["FINKRAY_STATE"] = folder
        context = CommandContext(settings_of(options), Path(folder), progress)
        try:
            run(context, interrupts)
        except KeyboardInterrupt:
            progress.say(f"\nInterrupted; the archive stays in {options.archive}")
            return CommandExit.INTERRUPTED
        except FinkrayError as error:
            progress.say(f"It failed: {error}")
            return CommandExit.NO
        finally:
            try:
                stop(context)
            finally:
                stop_local_ray(context.state)


if __name__ == "__main__":
    sys.exit(main())
