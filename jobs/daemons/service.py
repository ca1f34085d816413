"""Run a service live: `python -m jobs.daemons.service --config FILE --service mymodule:Bright`.

Exit codes: 0 it was stopped and has drained, 1 it failed, 2 the settings are wrong, 3 the same
results are written by somebody else.
"""

import argparse
import logging
import sys
import threading
import time
from pathlib import Path

from finkray.errors import ClusterUnavailable
from finkray.host.signals import handle_signals
from finkray.host.supervise import supervised
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
    try:
        ray.init(
            address=settings.ray.address if settings.ray.address != "local" else "auto",
            namespace=settings.ray.namespace,
            log_to_driver=True,  # what the service prints stands in the actors' logs alone
        )
    except (ConnectionError, RuntimeError) as error:
        raise ClusterUnavailable(f"no Ray cluster answers: {error}") from error
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
    """Serve under supervision; returns the exit code."""
    options = _parser().parse_args()
    return supervised(
        [sys.executable, "-m", "jobs.daemons.service", "--unsupervised", *sys.argv[1:]],
        lambda: serve(load(options.config), options),
        log,
        unsupervised=options.unsupervised,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m jobs.daemons.service",
        description="Serve what the archive makes durable, live.",
    )
    parser.add_argument("--config", "-c", type=Path, metavar="FILE", help="settings (TOML)")
    parser.add_argument("--service", required=True, metavar="MODULE:NAME")
    parser.add_argument("--folder", default="", metavar="FOLDER", help="where its module is")
    parser.add_argument("--into", metavar="NAME", help="name of the results")
    parser.add_argument("--since", metavar="TIME", help="at the first start: also what came before")
    parser.add_argument(
        "--exit-after", type=float, metavar="S", help="drain and leave after S seconds"
    )
    parser.add_argument("--unsupervised", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
