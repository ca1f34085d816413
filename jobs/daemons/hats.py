"""Build the HATS collection of each night once it is complete: `python -m jobs.daemons.hats`.

A night is complete when the next one begins at the site and no more alerts of it have come for a
while. Alerts that come later make a new generation of their night. Once a week all nights are
consolidated. The work has a low priority, and needs no Ray.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Final

from finkray.settings.model import Settings
from jobs.cluster.archive import archive_of
from jobs.cluster.job import Daemon, Job
from jobs.cluster.state import state_folder
from jobs.daemons.last_look import check_archive, has_looked, record_look
from jobs.daemons.unsupervised import run_unsupervised

POLL_S: Final = 30.0
"""Seconds between two looks for new alerts."""

NICENESS: Final = 10
"""Archive and services come first when there is no idle core."""


def run(settings: Settings, stopping: threading.Event) -> None:
    """Build nights until `stopping` is set.

    Raises
    ------
    SettingsError
        There is no archive.
    """
    # Its libraries take a second to load, and every command imports this module.
    from catalogs.nights.due import NightBuilder

    os.nice(NICENESS)
    builder = NightBuilder(archive_of(settings), stopping)
    state = state_folder()
    while not stopping.is_set():
        builder.look()
        record_look(state, HATS.name, builder.problem)
        if not builder.build_due():
            builder.consolidate_due()
        record_look(state, HATS.name, builder.problem)
        stopping.wait(POLL_S)


def _ready_text(_job: Job, settings: Settings, _state: Path) -> str:
    return f"hats: running, builds the HATS collection of each night in {settings.archive.uri}"


HATS: Final = Daemon(
    name="hats",
    module="jobs.daemons.hats",
    about="builds the HATS collection of each complete night",
    is_ready=has_looked,
    ready_text=_ready_text,
    check_start=check_archive,
)


def main() -> int:
    """Build the HATS collection of each night; return the exit code."""
    return run_unsupervised(HATS, "Build the HATS collection of each night.", run)


if __name__ == "__main__":
    sys.exit(main())
