"""Keep the object index of the archive up to date: `python -m jobs.daemons.index`.

It follows the ledger, adds the new files every few seconds, and merges the parts of the index. It
has a low priority, needs no Ray, and may be killed, run late or never: look-ups read the files that
are not indexed yet.
"""

import logging
import os
import sys
import threading
from pathlib import Path
from typing import Final

from finkray.errors import FinkrayError
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from jobs.cluster.archive import archive_of
from jobs.cluster.job import Daemon, Job
from jobs.cluster.state import state_folder
from jobs.daemons.last_look import check_archive, has_looked, record_look
from jobs.daemons.unsupervised import run_unsupervised

POLL_S: Final = 10.0
"""Seconds between two looks for new files: each makes a run. At ZTF's real rate a look-up then
reads some 20 files directly, in about 30 ms."""

_NICE: Final = 10
"""Archive and services come first when there is no idle core."""

log = logging.getLogger("jobs.daemons.index")


def run(settings: Settings, stopping: threading.Event) -> None:
    """Index until `stopping` is set.

    Raises
    ------
    SettingsError
        There is no archive.
    """
    os.nice(_NICE)
    index(archive_of(settings), stopping, state_folder())


def index(archive: Storage, stopping: threading.Event, state: Path) -> None:
    """Index the files of an archive until `stopping` is set."""
    # Its libraries take a second to load, and every command imports this module.
    from finkray.index.follower import IndexFollower
    from finkray.index.manifest import sweep

    follower = IndexFollower(archive)
    problem = ""
    swept = False
    while not stopping.is_set():
        try:
            if not swept:  # what a killed follower left
                sweep(archive)
                swept = True
            files = follower.catch_up(lambda _: not stopping.is_set())
            if files >= 100:
                log.info("indexed %d files of the archive", files)
            problem = ""
        except FinkrayError as error:
            if problem != str(error):  # once, not at each retry
                log.warning("indexing failed, will retry: %s", error)
            problem = str(error)
        record_look(state, INDEX.name, problem)
        stopping.wait(POLL_S)


def _ready_text(_job: Job, settings: Settings, _state: Path) -> str:
    return f"index: running, indexes objects and positions in {settings.archive.uri}"


INDEX: Final = Daemon(
    name="index",
    module="jobs.daemons.index",
    about="indexes objects and positions of alerts",
    is_ready=has_looked,
    ready_text=_ready_text,
    check_start=check_archive,
)


def main() -> int:
    """Keep the object index up to date; return the exit code."""
    return run_unsupervised(INDEX, "Keep the object index of the archive up to date.", run)


if __name__ == "__main__":
    sys.exit(main())
