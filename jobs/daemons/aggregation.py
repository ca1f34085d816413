"""Count alerts by class and night, live: `python -m jobs.daemons.aggregation --config FILE`.

It follows all results that have classes, those of `classify` and those of services that users
write, live ones and those of `finkray run`, and writes the counts into each folder of results,
where `finkray status` and the page read them. In the same way it ranks the results of `outliers`,
and once a day the models of outliers learn new thumbs. It needs no Ray and delays no service.
"""

import logging
import sys
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from finkray.errors import StorageError
from finkray.results.counts import ClassCounters
from finkray.results.folds import Key, StoreFolds
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from jobs.cluster.archive import archive_of
from jobs.cluster.job import Daemon, Job
from jobs.cluster.state import state_folder
from jobs.daemons.last_look import check_archive, has_looked, record_look
from jobs.daemons.unsupervised import run_unsupervised

if TYPE_CHECKING:
    from finkray.outliers.refit import DailyRefits

POLL_S: Final = 1.0
"""Seconds between two readings of the ledgers while all files are counted."""

WRITE_S: Final = 10.0
"""Seconds between two writings of the counts while there is a backlog; else they are immediate."""

FILES: Final = 500
"""Most files of each folder in one round, so that a request to stop is seen soon."""

log = logging.getLogger("jobs.daemons.aggregation")


def run(settings: Settings, stopping: threading.Event) -> None:
    """Count until `stopping` is set.

    Raises
    ------
    SettingsError
        There is no archive.
    """
    from finkray.outliers.refit import daily_refits  # brings pandas, as below

    aggregate(archive_of(settings), stopping, state_folder(), daily_refits(settings))


def aggregate(
    archive: Storage,
    stopping: threading.Event,
    state: Path,
    refits: "DailyRefits | None" = None,
) -> None:
    """Count the classes of an archive and rank its outliers until `stopping` is set.

    `refits` are looked after as well, if there are any.
    What was counted last is written before it returns.
    """
    from finkray.outliers.ranking import Rankings  # brings pandas, and each command loads this list

    new: list[tuple[StoreFolds[Any], set[Key]]] = [
        (ClassCounters(archive), set()),
        (Rankings(archive), set()),
    ]
    written_s = time.monotonic()
    while not stopping.is_set():
        behind = False
        for folds, keys in new:
            done = _refresh(folds)
            keys |= {key for key, files in done.items() if files}
            behind |= any(files >= FILES for files in done.values())
        if not behind or time.monotonic() - written_s >= WRITE_S:
            _write(new)
            written_s = time.monotonic()
        record_look(state, AGGREGATION.name)
        if refits is not None and not behind:
            refits.turn(datetime.now(UTC))
        if not behind:
            stopping.wait(POLL_S)
    _write(new)


def _refresh(folds: StoreFolds[Any]) -> dict[Key, int]:
    try:
        return folds.refresh(FILES)
    except StorageError as error:
        log.warning("counting failed, will retry: %s", error)
        return {}


def _write(new: Iterable[tuple[StoreFolds[Any], set[Key]]]) -> None:
    """Write what has changed, and forget that it has."""
    for folds, keys in new:
        for key in keys & set(folds.folds):
            try:
                folds.keep(key)
            except StorageError as error:
                # They are in memory: what is written later, or counted again, is the same.
                log.warning("counts of %s/%s not written, will retry: %s", *key, error)
        keys.clear()


def _ready_text(_job: Job, settings: Settings, _state: Path) -> str:
    return f"aggregation: running, counts classes by night in {settings.archive.uri}"


AGGREGATION: Final = Daemon(
    name="aggregation",
    module="jobs.daemons.aggregation",
    about="counts alerts by class and night",
    is_ready=has_looked,
    ready_text=_ready_text,
    check_start=check_archive,
    old_modules=("jobs.aggregation",),
)


def main() -> int:
    """Count alerts by class and night; return the exit code."""
    return run_unsupervised(AGGREGATION, "Count alerts by class and night.", run)


if __name__ == "__main__":
    sys.exit(main())
