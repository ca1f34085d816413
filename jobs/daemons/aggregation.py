"""Count alerts by class and night, live: `python -m jobs.daemons.aggregation --config FILE`.

It keeps pace with all results that have classes, those of `classify` and those of services that
users write, live ones and those of `finkray run`, and writes the counts into each folder of
results, where `finkray status` and the page find them. It needs no Ray, and holds nobody up: the
services do not know of it.
"""

import json
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from finkray.errors import StorageError
from finkray.host.daemon import daemon_parser, run_daemon, stop_event
from finkray.results.counts import ClassCounters
from finkray.settings.model import Settings, load
from finkray.storage.contract import Storage
from jobs.cluster.archive import archive_of
from jobs.cluster.job import Daemon, Job
from jobs.cluster.state import state_folder

LOOK_S: Final = 1.0
"""Between two looks at the ledgers while nothing is behind."""

KEEP_S: Final = 10.0
"""While much is behind the counts are written down so often, else at once."""

FILES: Final = 500
"""Of each folder at a time: so soon it hears that it shall stop."""

_TOLD: Final = "aggregation.json"

log = logging.getLogger("jobs.daemons.aggregation")


def run(settings: Settings, stopping: threading.Event) -> None:
    """Count until told to stop.

    Raises
    ------
    SettingsError
        There is no archive.
    """
    aggregate(archive_of(settings), stopping, state_folder())


def aggregate(archive: Storage, stopping: threading.Event, state: Path) -> None:
    """The same for an archive; what is counted is written down before it returns."""
    counters = ClassCounters(archive)
    new: set[tuple[str, str]] = set()
    kept_s = time.monotonic()
    while not stopping.is_set():
        done = _refresh(counters)
        new |= {key for key, files in done.items() if files}
        behind = any(files >= FILES for files in done.values())
        if not behind or time.monotonic() - kept_s >= KEEP_S:
            _keep(counters, new)
            new, kept_s = set(), time.monotonic()
        _tell(state)
        if not behind:
            stopping.wait(LOOK_S)
    _keep(counters, new)


def last_look(state: Path) -> datetime | None:
    """When the service that has this state folder looked last, UTC; None: never."""
    path = state / _TOLD
    try:
        return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["at"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _refresh(counters: ClassCounters) -> dict[tuple[str, str], int]:
    try:
        return counters.refresh(FILES)
    except StorageError as error:
        log.warning("it is tried again: %s", error)
        return {}


def _keep(counters: ClassCounters, keys: set[tuple[str, str]]) -> None:
    for name, version in keys:
        try:
            counters.keep((name, version))
        except StorageError as error:
            # They are in memory: what is written later, or counted anew, is the same.
            log.warning("counts of %s %s are not written down: %s", name, version, error)


def _tell(state: Path) -> None:
    beside = state / f"{_TOLD}.new"
    beside.write_text(json.dumps({"at": datetime.now(UTC).isoformat()}), encoding="utf-8")
    beside.replace(state / _TOLD)


def _is_ready(job: Job, _settings: Settings, state: Path) -> bool:
    looked = last_look(state)
    return looked is not None and looked >= job.since


def _ready_text(_job: Job, settings: Settings, _state: Path) -> str:
    return f"aggregation: running, counts classes by night in {settings.archive.uri}"


def _check_start(settings: Settings) -> None:
    archive_of(settings)


AGGREGATION: Final = Daemon(
    name="aggregation",
    module="jobs.daemons.aggregation",
    about="counts alerts by class and night",
    is_ready=_is_ready,
    ready_text=_ready_text,
    check_start=_check_start,
    old_modules=("jobs.aggregation",),
)


def main() -> int:
    """Count alerts by class and night; return the exit code."""
    return run_daemon(
        AGGREGATION.module,
        daemon_parser(AGGREGATION.module, "Count alerts by class and night."),
        lambda options: run(load(options.config), stop_event(options.exit_after)),
        name=AGGREGATION.name,
    )


if __name__ == "__main__":
    sys.exit(main())
