"""Run a service live: `python -m jobs.daemons.service --config FILE --service mymodule:Bright`.

Exit codes: see `finkray.host.exit_codes.DaemonExit`.
"""

import argparse
import logging
import sys
import threading
import time
from pathlib import Path

from finkray.host.daemon import run_daemon
from finkray.host.ray_connection import connect_to_ray
from finkray.host.signals import handle_signals
from finkray.serving.actor import actor_maker
from finkray.serving.run import Run, limits_of, run_live, spec_of
from finkray.serving.worker import Worker
from finkray.settings.model import Settings, load
from finkray.status.board import service_board, start_board
from finkray.status.service import ServiceSnapshot
from finkray.storage.hours import utc
from jobs.cluster.archive import archive_of

log = logging.getLogger("jobs.daemons.service")


def serve(settings: Settings, options: argparse.Namespace) -> None:
    """Serve until SIGINT or SIGTERM, or until `exit_after` has passed; then drain.

    Raises
    ------
    FinkrayError
        A retriable one if a fresh process is likely to do better.
    """
    import ray

    stopping = threading.Event()
    spec = spec_of(options.service, Path(options.folder))
    limits = limits_of(settings)
    archive = archive_of(settings)
    about = Worker(spec, limits).describe()
    name = options.into or about.name
    run = Run(archive, spec, settings, options.into, about)
    connect_to_ray(
        settings.ray.address,
        settings.ray.namespace,
        shows_actor_output=True,  # the output of the service is nowhere else but in actors' logs
    )
    handle_signals(stopping)  # Ray has installed handlers of its own
    board = start_board(service_board(name))
    ends_s = None if options.exit_after is None else time.monotonic() + options.exit_after

    def tell(snapshot: ServiceSnapshot) -> None:
        if ends_s is not None and time.monotonic() >= ends_s:
            stopping.set()
        board.publish.remote(snapshot.model_dump_json())

    since = None if options.since is None else utc(options.since)
    try:
        maker = actor_maker(spec, limits, settings.services, name)
        run_live(run, since, tell, stopping, maker)
    finally:
        ray.kill(board)
        ray.shutdown()
    log.info("%s has left in good order", name)


def main() -> int:
    """Serve under supervision; return the exit code."""
    return run_daemon(
        "jobs.daemons.service",
        "Serve what the archive makes durable, live.",
        lambda options: serve(load(options.config), options),
        name="service",
        restarts=True,
        add_options=_add_options,
    )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service", required=True, metavar="MODULE:NAME")
    parser.add_argument("--folder", default="", metavar="FOLDER", help="folder of its module")
    parser.add_argument("--into", metavar="NAME", help="name of the results")
    parser.add_argument(
        "--since",
        metavar="TIME",
        help="at the first start: also process alerts received since TIME",
    )


if __name__ == "__main__":
    sys.exit(main())
