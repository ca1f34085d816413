"""The page as a job: `python -m jobs.daemons.page --config conf/finkray.toml`."""

import sys
import threading

from finkray.host.daemon import run_daemon, stop_event
from finkray.host.ray_connection import connect_to_ray
from finkray.host.signals import handle_signals
from finkray.settings.model import Settings, load
from finkray.status.board import ARCHIVE_BOARD, read_board, read_service_boards
from finkray.storage.opening import open_storage


def run(settings: Settings, stopping: threading.Event) -> None:
    """Serve the page until `stopping` is set.

    Raises
    ------
    ClusterUnavailable
        No Ray cluster answers.
    """
    import ray

    from ui.app import serve
    from ui.class_source import ClassSource
    from ui.sources import CLASS_COUNTS, CLASS_LISTS, SERVICES, STATUS, Sources

    connect_to_ray(settings.ray.address, settings.ray.namespace)
    handle_signals(stopping)  # after ray.init, which installs handlers of its own
    classes = ClassSource(open_storage(settings.archive))
    sources = (
        Sources()
        .poll(STATUS, lambda: read_board(ARCHIVE_BOARD, settings))
        .poll(SERVICES, lambda: read_service_boards(settings))
        .poll(CLASS_COUNTS, classes.counts)
        .provide(CLASS_LISTS, classes.newest)
    )
    serve(settings.ui, sources, stopping)
    ray.shutdown()


def main() -> int:
    """Serve the page; return the exit code."""
    return run_daemon(
        "jobs.daemons.page",
        "Serve the status page.",
        lambda options: run(load(options.config), stop_event(options.exit_after)),
        name="page",
    )


if __name__ == "__main__":
    sys.exit(main())
