"""The page as a job: `python -m jobs.daemons.page --config conf/finkray.toml`."""

import sys
import threading

from finkray.errors import ClusterUnavailable
from finkray.host.signals import handle_signals
from finkray.settings.model import Settings
from finkray.status.board import ARCHIVE_BOARD, read_board, read_service_boards
from finkray.storage.local import LocalStorage
from jobs.daemons.main import service_main


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

    try:
        ray.init(
            address=settings.ray.address if settings.ray.address != "local" else "auto",
            namespace=settings.ray.namespace,
            log_to_driver=False,
        )
    except (ConnectionError, RuntimeError) as error:
        raise ClusterUnavailable(f"no Ray cluster answers: {error}") from error

    handle_signals(stopping)  # after ray.init, which installs handlers of its own
    classes = ClassSource(LocalStorage(settings.archive.root))
    sources = (
        Sources()
        .poll(STATUS, lambda: read_board(ARCHIVE_BOARD, settings))
        .poll(SERVICES, lambda: read_service_boards(settings))
        .poll(CLASS_COUNTS, classes.counts)
        .provide(CLASS_LISTS, classes.newest)
    )
    serve(settings.ui, sources, stopping)
    ray.shutdown()


if __name__ == "__main__":
    sys.exit(service_main("jobs.daemons.page", "Serve the status page.", run))
