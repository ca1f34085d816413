"""What the page shows of jobs that do not report: from the archive's folder and Ray's job list."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from finkray.errors import ClusterUnavailable
from finkray.ledger.at_rest import read_at_rest
from finkray.status.archive import Snapshot
from finkray.status.at_rest import ArchiveAtRest
from finkray.storage.contract import Storage
from jobs.cluster.local_ray import ended_local_ray, find_local_ray
from jobs.cluster.started_jobs import started_jobs
from jobs.cluster.unexpected_ends import ended_cards, ended_jobs
from jobs.cluster.watcher_process import watcher_runs
from ui.kit.elements import AlarmCard

LOOK_EVERY_S: Final = 5.0
"""Least time between two looks. A look reads the ledger and lists the newest files, or asks Ray's
dashboard for its jobs."""

_PAUSE_SHARE: Final = 20
"""The pause after a look at the folder is this many times as long as the look, at least: in an
object store a look takes a second or two."""

SILENT_AFTER_S: Final = 5.0
"""Age of the last snapshot after which an archive does not report any more: it publishes one each
second."""


def needs_look(snapshot: Snapshot | None, now: datetime) -> bool:
    """Return whether the folder must tell how the archive is: it does not report, or has ended."""
    if snapshot is None or snapshot.state in ("stopped", "failed"):
        return True
    return (now - snapshot.at).total_seconds() > SILENT_AFTER_S


def at_rest_unless_reporting(
    storage: Storage, snapshot: Snapshot | None, now: datetime
) -> ArchiveAtRest | None:
    """Return how the archive is according to its folder; None if it reports, or is alive.

    Raises
    ------
    StorageError
        The folder cannot be read.
    LedgerCorrupt
        Lease or ledger are damaged.
    """
    if not needs_look(snapshot, now):
        return None
    found = read_at_rest(storage)
    # If the archive is alive and hangs, or has failed, its last report says more than its folder.
    alive = snapshot is not None and (found.state == "runs" or snapshot.state == "failed")
    return None if alive else found


class RestSource:
    """The source `AT_REST` of the page: looks into the folder only while nothing reports.

    Parameters
    ----------
    storage
        Of the archive.
    snapshot
        Returns the archive's last snapshot.
    """

    def __init__(self, storage: Storage, snapshot: Callable[[], Snapshot | None]) -> None:
        self._storage = storage
        self._snapshot = snapshot
        self._found: ArchiveAtRest | None = None
        self._next_s = 0.0

    def read(self) -> ArchiveAtRest | None:
        """Return how the archive is according to its folder; None if it reports.

        Raises
        ------
        StorageError
            The folder cannot be read.
        LedgerCorrupt
            Lease or ledger are damaged.
        """
        snapshot, now = self._snapshot(), datetime.now(UTC)
        if not needs_look(snapshot, now):
            self._found = None
        elif (began_s := time.monotonic()) >= self._next_s:
            self._next_s = began_s + LOOK_EVERY_S  # also after a look that fails
            self._found = at_rest_unless_reporting(self._storage, snapshot, now)
            ended_s = time.monotonic()
            self._next_s = max(self._next_s, ended_s + _PAUSE_SHARE * (ended_s - began_s))
        return self._found


class EndedJobsSource:
    """The source `ENDED_JOBS` of the page: jobs of the local Ray that ended without being stopped.

    Jobs of another cluster are not known to this machine.

    Parameters
    ----------
    state
        The state folder.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._cards: tuple[AlarmCard, ...] = ()
        self._asked_s = -LOOK_EVERY_S

    def read(self) -> tuple[AlarmCard, ...]:
        """Return an alarm card for each job that ended unexpectedly.

        Raises
        ------
        ClusterUnavailable
            Ray's dashboard does not answer.
        """
        if time.monotonic() - self._asked_s < LOOK_EVERY_S:
            return self._cards
        self._asked_s = time.monotonic()
        local = find_local_ray(self._state)
        reports = local.dashboard.job_reports() if local else None
        if local and reports is None:
            raise ClusterUnavailable("Ray's dashboard does not answer")
        self._cards = ended_cards(
            ended_jobs(
                started_jobs(self._state).values(),
                "",
                reports,
                ended_local_ray(self._state),
                watcher_runs=watcher_runs(self._state),
            )
        )
        return self._cards
