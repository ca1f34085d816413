"""Gather what `finkray status` shows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import RenderableType

from finkray.errors import FinkrayError, LedgerCorrupt, StorageError
from finkray.results.counts import ClassCounts
from finkray.status.archive import Snapshot
from finkray.status.at_rest import ArchiveAtRest
from finkray.status.board import ARCHIVE_BOARD, STREAMOUT_BOARD, peek, service_board
from finkray.status.service import ServiceSnapshot
from finkray.status.streamout import StreamoutSnapshot
from finkray.storage.opening import open_storage
from jobs.cluster.archive import counts_of
from jobs.cluster.connect import Cluster
from jobs.cluster.job import Job
from jobs.cluster.local_ray import ended_local_ray, job_logs
from jobs.cluster.logs import failing_jobs
from jobs.cluster.started_jobs import started_jobs
from jobs.cluster.unexpected_ends import EndedJob, ended_jobs, restart_notes
from jobs.cluster.watcher_process import watcher_runs
from jobs.commands.context import CommandContext
from jobs.commands.render_status import status_json, status_text
from jobs.commands.status_troubles import troubles
from jobs.commands.store_status import StoreStatus, read_store_status
from jobs.daemons.archive import ARCHIVE
from jobs.daemons.page_facts import at_rest_unless_reporting
from jobs.daemons.registry import jobs_on
from jobs.daemons.streamout import STREAMOUT


@dataclass(frozen=True, slots=True)
class Status:
    """What runs and how it is, at one moment.

    Attributes
    ----------
    at
        The moment, UTC.
    cluster
        The Ray cluster; None if the local one does not run.
    jobs
        The jobs of finkray that run on it.
    snapshot
        Of the archive; None if it does not report.
    services
        Snapshots of the services that run.
    classes
        Counts by class and night.
    ended
        Jobs that ended without being stopped.
    at_rest
        How the archive is according to its folder, if it does not report.
    notes
        Lines on jobs that were started again.
    failing
        Lines on jobs that run, do not report, and fail again and again.
    problems
        What could not be read, a line each.
    store
        HATS nights and object index of the archive.
    streamout
        Snapshot of streaming out; None if it does not run.
    """

    at: datetime
    cluster: Cluster | None
    jobs: tuple[Job, ...]
    snapshot: Snapshot | None
    services: tuple[ServiceSnapshot, ...]
    classes: tuple[ClassCounts, ...]
    ended: tuple[EndedJob, ...]
    at_rest: ArchiveAtRest | None
    notes: tuple[str, ...]
    failing: tuple[str, ...]
    problems: tuple[str, ...]
    store: StoreStatus
    streamout: StreamoutSnapshot | None

    @property
    def troubles(self) -> tuple[str, ...]:
        """What is not well, a line each; () if all is."""
        found = troubles(
            self.snapshot,
            self.at,
            self.services,
            ended=self.ended,
            at_rest=self.at_rest,
            streamout=self.streamout,
        )
        return (*found, *self.failing, *self.problems)

    def to_json(self) -> dict[str, Any]:
        """Return what `finkray status --json` prints."""
        return status_json(
            self.cluster,
            self.jobs,
            self.snapshot,
            self.services,
            classes=self.classes,
            ended=self.ended,
            at_rest=self.at_rest,
            store=self.store,
            streamout=self.streamout,
        )

    def to_text(self, *, long: bool) -> RenderableType:
        """Return what `finkray status` prints, with `long` all tables."""
        return status_text(
            self.cluster,
            self.jobs,
            self.snapshot,
            self.at,
            self.services,
            classes=self.classes,
            ended=self.ended,
            at_rest=self.at_rest,
            store=self.store,
            streamout=self.streamout,
            notes=(*self.failing, *self.notes),
            long=long,
        )


def read_status(context: CommandContext) -> Status:
    """Return what runs and how it is, from Ray and from the archive's folder.

    Raises
    ------
    SettingsError
        Ray refuses the token.
    ClusterUnavailable
        Ray does not answer as it should.
    """
    settings, cluster = context.settings, context.cluster()
    started = started_jobs(context.state).values()
    jobs: tuple[Job, ...] = ()
    snapshot, reports = None, None
    services: tuple[ServiceSnapshot, ...] = ()
    streamout: StreamoutSnapshot | None = None
    if cluster:
        on_cluster = jobs_on(cluster, context.state)
        jobs, reports = tuple(on_cluster.running().values()), on_cluster.reports()
        boards = [service_board(job.name) for job in jobs if job.spec]
        snapshot, streamout, *read = peek(
            cluster.address, settings, [ARCHIVE_BOARD, STREAMOUT_BOARD, *boards]
        )
        if STREAMOUT.name not in [job.name for job in jobs]:
            streamout = None  # of a job that has ended
        services = tuple(service for service in read if service is not None)
    reporting = {
        *([ARCHIVE.name] if snapshot else []),
        *([STREAMOUT.name] if streamout else []),
        *(service.name for service in services),
    }
    reporters = (ARCHIVE, STREAMOUT)
    silent = [
        job for job in jobs if (job.spec or job.daemon in reporters) and job.name not in reporting
    ]
    logs = job_logs(context.state) if silent else {}
    now = datetime.now(UTC)
    ended = ended_jobs(
        started,
        cluster.address if cluster and not cluster.local else "",
        reports,
        ended_local_ray(context.state),
        watcher_runs=watcher_runs(context.state),
    )
    folder = _read_folder(context, snapshot, now)
    return Status(
        at=now,
        cluster=cluster,
        jobs=jobs,
        # What a process published that has ended says nothing of the present.
        snapshot=None if folder.at_rest is not None else snapshot,
        services=services,
        classes=folder.classes,
        ended=ended,
        at_rest=folder.at_rest,
        notes=restart_notes(started, [job.job_id for job in jobs]),
        failing=failing_jobs({job.name: logs[job.job_id] for job in silent if job.job_id in logs}),
        problems=tuple(folder.problems),
        store=folder.store,
        streamout=streamout,
    )


@dataclass(slots=True)
class _Folder:
    """What the folder of the archive tells, and what of it cannot be read."""

    classes: tuple[ClassCounts, ...] = ()
    at_rest: ArchiveAtRest | None = None
    store: StoreStatus = field(default_factory=StoreStatus)
    problems: list[str] = field(default_factory=list)


def _read_folder(context: CommandContext, snapshot: Snapshot | None, now: datetime) -> _Folder:
    """Read what the folder of the archive tells; a storage that does not answer is asked once.

    The snapshot says what is wrong with the storage, and must be seen now of all times: so nothing
    is raised.
    """
    found, storage = _Folder(), open_storage(context.settings.archive)
    try:
        storage.exists()
    except StorageError as error:
        found.problems.append(f"how the archive is cannot be read: {error}")
        return found
    try:
        found.store = read_store_status(storage, context.state)
        found.at_rest = at_rest_unless_reporting(storage, snapshot, now)
    except (StorageError, LedgerCorrupt) as error:
        found.problems.append(f"how the archive is cannot be read: {error}")
    try:
        found.classes = counts_of(storage)
    except StorageError as error:
        found.problems.append(f"classes are not counted: {error}")
    return found


def read_status_or_problem(context: CommandContext) -> Status | FinkrayError:
    """Return the status, or the error that a watcher shows and tries again after."""
    try:
        return read_status(context)
    except FinkrayError as error:
        return error
