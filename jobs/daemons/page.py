"""The page as a job: `python -m jobs.daemons.page --config conf/finkray.toml`."""

import os
import sys
import threading
from pathlib import Path
from typing import Final

from finkray.errors import FinkrayError
from finkray.host.ports import listens
from finkray.host.ray_connection import connect_to_ray
from finkray.host.signals import handle_signals
from finkray.settings.model import Settings
from finkray.status.archive import Snapshot
from finkray.status.board import (
    ARCHIVE_BOARD,
    STREAMOUT_BOARD,
    read_board,
    read_service_boards,
)
from finkray.storage.opening import open_storage
from jobs.cluster.job import Daemon, Job
from jobs.cluster.last_audit import last_audit
from jobs.cluster.state import state_folder
from jobs.daemons.unsupervised import run_unsupervised

_NICE: Final = 5
"""However many look, the archive comes first when there is no idle core. Processes of look-ups add
their own to it."""


def run(settings: Settings, stopping: threading.Event) -> None:
    """Serve the page until `stopping` is set.

    Raises
    ------
    ClusterUnavailable
        No Ray cluster answers.
    """
    import ray

    from finkray.outliers.location import outlier_storage
    from finkray.outliers.thumb_log import ThumbLog
    from finkray.results.class_source import ClassSource
    from jobs.daemons.page_facts import EndedJobsSource, RestSource
    from jobs.daemons.page_operations import PageOperations
    from ui.app import serve
    from ui.lookups import sql
    from ui.lookups.process import Lookups
    from ui.sources import (
        AT_REST,
        CLASS_COUNTS,
        CLASS_LISTS,
        ENDED_JOBS,
        FILTER_OPERATIONS,
        LAST_AUDIT,
        LOOKUPS,
        SERVICES,
        SQL,
        STATUS,
        STREAMOUT,
        THUMBS,
        Sources,
    )

    os.nice(_NICE)
    connect_to_ray(settings.ray.address, settings.ray.namespace)
    handle_signals(stopping)  # after ray.init, which installs handlers of its own
    storage = open_storage(settings.archive)
    classes = ClassSource(storage)

    def snapshot() -> Snapshot | None:
        return read_board(ARCHIVE_BOARD, settings)

    sources = (
        Sources()
        .poll(STATUS, snapshot)
        .poll(AT_REST, RestSource(storage, snapshot).read)
        .poll(ENDED_JOBS, EndedJobsSource(state_folder()).read)
        .poll(SERVICES, lambda: read_service_boards(settings))
        .poll(STREAMOUT, lambda: read_board(STREAMOUT_BOARD, settings))
        .poll(CLASS_COUNTS, classes.counts)
        .provide(CLASS_LISTS, classes.newest)
        .provide(LOOKUPS, Lookups(storage))
        .provide(
            SQL,
            Lookups(storage, sql.TIMEOUT_S, waiting=sql.WAITING, data_bytes=sql.DATA_BYTES),
        )
        .provide(THUMBS, ThumbLog(outlier_storage(settings)))
        .provide(LAST_AUDIT, lambda: last_audit(state_folder(), storage.uri))
        .provide(FILTER_OPERATIONS, PageOperations(settings, storage))
    )
    serve(settings.ui, sources, stopping)
    ray.shutdown()


def _check_start(settings: Settings) -> None:
    from ui.passwords import read_passwords
    from ui.sign_in import check_sign_in

    check_sign_in(settings.ui)
    if settings.ui.password_file:
        read_passwords(Path(settings.ui.password_file))
    if listens(settings.ui.host, settings.ui.port):
        raise FinkrayError(
            f"something listens on {settings.ui.host}:{settings.ui.port} already: "
            "set ui.port to another port"
        )


def _is_ready(_job: Job, settings: Settings, _state: Path) -> bool:
    return listens(settings.ui.host, settings.ui.port)


def _ready_text(_job: Job, settings: Settings, _state: Path) -> str:
    return f"ui: http://{settings.ui.host}:{settings.ui.port}"


PAGE: Final = Daemon(
    name="ui",
    module="jobs.daemons.page",
    about="serves the page: status, services, classes of the night, out-streams",
    is_ready=_is_ready,
    ready_text=_ready_text,
    check_start=_check_start,
    stop_wait_s=30.0,
    old_modules=("jobs.page",),
)


def main() -> int:
    """Serve the page; return the exit code."""
    return run_unsupervised(PAGE, "Serve the status page.", run)


if __name__ == "__main__":
    sys.exit(main())
