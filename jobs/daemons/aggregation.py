"""Count alerts by class and night, live: `python -m jobs.daemons.aggregation --config FILE`.

It follows all results that have classes, those of `classify` and those of services that users
write, live ones and those of `finkray run`, and writes the counts into each folder of results,
where `finkray status` and the page read them. It needs no Ray and delays no service.
"""

import logging
import sys
import threading
import time
from pathlib import Path
from typing import Final

from finkray.errors import StorageError
from finkray.results.counts import ClassCounters
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from jobs.cluster.archive import archive_of
from jobs.cluster.job import Daemon, Job
from jobs.cluster.state import state_folder
from jobs.daemons.last_look import check_archive, has_looked, record_look
from jobs.daemons.unsupervised import run_unsupervised

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
    aggregate(archive_of(settings), stopping, state_folder())


def aggregate(archive: Storage, stopping: threading.Event, state: Path) -> None:
    """Count the classes of an archive until `stopping` is set, and write the last counts."""
    counters = ClassCounters(archive)
    new: set[tuple[str, str]] = set()
    written_s = time.monotonic()
    while not stopping.is_set():
        done = _refresh(counters)
        new |= {key for key, files in done.items() if files}
        behind = any(files >= FILES for files in done.values())
        if not behind or time.monotonic() - written_s >= WRITE_S:
            _write(counters, new)
            new, written_s = set(), time.monotonic()
        record_look(state, AGGREGATION.name)
        if not behind:
            stopping.wait(POLL_S)
    _write(counters, new)


def _refresh(counters: ClassCounters) -> dict[tuple[str, str], int]:
    try:
        return counters.refresh(FILES)
    except StorageError as error:
        log.warning("counting failed, will retry: %s", error)
        return {}


def _write(counters: ClassCounters, keys: set[tuple[str, str]]) -> None:
    for name, version in keys:
        try:
            counters.keep((name, version))
        except StorageError as error:
            # They are in memory: what is written later, or counted again, is the same.
            log.warning("counts of %s/%s not written, will retry: %s", name, version, error)


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
