"""Run a service live: `python -m jobs.daemons.service --config FILE --service mymodule:Bright`.

Exit codes: see `finkray.host.exit_codes.DaemonExit`.
"""

import argparse
import logging
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from finkray.host.daemon import daemon_parser, run_daemon
from finkray.settings.model import Settings, load
from finkray.status.board import read_board, service_board, start_board
from jobs.cluster.job import Daemon, Job

if TYPE_CHECKING:
    from finkray.status.service import ServiceSnapshot

log = logging.getLogger("jobs.daemons.service")


def serve(settings: Settings, options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM, or until `exit_after` has passed; then drain.

    Raises
    ------
    FinkrayError
        A retriable one if a fresh process may succeed.
    """
    # Imported here, for the supervisor needs none of it.
    import ray

    from finkray.host.ray_connection import connect_to_ray
    from finkray.host.signals import handle_signals
    from finkray.serving.actor import actor_maker
    from finkray.serving.run import Run, limits_of, run_live, spec_of
    from finkray.serving.worker import Worker
    from finkray.storage.hours import utc
    from finkray.storage.opening import absolute
    from jobs.cluster.archive import archive_of

    stopping = threading.Event()
    spec = spec_of(options.service, Path(options.folder))
    limits = limits_of(settings)
    archive = archive_of(settings)
    about = Worker(spec, limits, archive).describe()
    name = options.into or about.name
    run = Run(archive, spec, settings, options.into, about)
    connect_to_ray(
        settings.ray.address,
        settings.ray.namespace,
        shows_actor_output=True,  # what the service prints is else in the logs of actors alone
    )
    handle_signals(stopping)  # after ray.init, which installs handlers of its own
    board = start_board(service_board(name))
    ends_s = None if options.exit_after is None else time.monotonic() + options.exit_after

    def publish(snapshot: "ServiceSnapshot") -> None:
        if ends_s is not None and time.monotonic() >= ends_s:
            stopping.set()
        board.publish.remote(snapshot.model_dump_json())

    since = None if options.since is None else utc(options.since)
    try:
        maker = actor_maker(spec, limits, settings.services, name, absolute(settings.archive))
        run_live(run, since, publish, stopping, maker)
    finally:
        ray.kill(board)
        ray.shutdown()
    log.info("service %s has drained and stopped", name)


def _is_ready(job: Job, settings: Settings, _state: Path) -> bool:
    served = read_board(service_board(job.name), settings)
    return served is not None and (served.actors > 0 or served.last_fault != "")


def _ready_text(job: Job, settings: Settings, _state: Path) -> str:
    served = read_board(service_board(job.name), settings)
    if served is None or not served.actors:
        cause = served.last_fault if served else "no worker answers"
        return f"{job.name}: not working yet ({cause}); its workers restart until they work"
    return f"{job.name}: running, {served.actors} warm, version {served.version}"


SERVICE: Final = Daemon(
    name="service",
    module="jobs.daemons.service",
    about="runs one service on all alerts that become durable",
    is_ready=_is_ready,
    ready_text=_ready_text,
    old_modules=("jobs.serve",),
)


def main() -> int:
    """Serve under supervision; return the exit code."""
    return run_daemon(
        SERVICE.module,
        _parser(),
        lambda options: serve(load(options.config), options),
        name=SERVICE.name,
        restarts=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = daemon_parser(SERVICE.module, "Serve what the archive makes durable, live.")
    parser.add_argument("--service", required=True, metavar="MODULE:NAME")
    parser.add_argument("--folder", default="", metavar="FOLDER", help="folder of its module")
    parser.add_argument("--into", metavar="NAME", help="name of the results")
    parser.add_argument(
        "--since",
        metavar="TIME",
        help="at the first start: also process alerts received since TIME",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
