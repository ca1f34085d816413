"""The record of the jobs that `finkray start` started and no `finkray stop` has stopped.

It outlives Ray and the machine, so that `finkray status` can tell a job that ended unexpectedly
from one that was stopped, and so that such a job can be started again. A command changes it under
the lock `services.lock`; it is replaced as a whole, so that reading needs no lock.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter

from finkray.host.exit_codes import DaemonExit
from finkray.host.records import read_record, write_private
from jobs.cluster.job import JobReport, ServiceJob
from jobs.cluster.state import settings_file

_FILE: Final = "jobs.json"

_ADVICE: Final = (
    "move it away. `finkray status` shows the jobs that run, and `finkray stop` ends them, but "
    "none is started again after a kill until it was stopped and started"
)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class UnexpectedEnd(_Frozen):
    """An end that no command asked for: when it was seen or reported, and how it came, in words."""

    at: datetime
    reason: str


class StartedJob(_Frozen):
    """A job that was started and not stopped since.

    Attributes
    ----------
    name, job_id
        Of the job; the id is that of its last start.
    address
        Address of its cluster; empty: the local Ray.
    started_at
        Of its first start, UTC.
    exit_after_s
        It ends by itself after this many seconds.
    foreground
        Whether the command that started it waits for its end.
    service
        Which service, if it runs one.
    ended
        Its last unexpected end; the job may run again since.
    restarts
        How often it was started again after an unexpected end.
    """

    name: str
    job_id: str
    address: str = ""
    started_at: datetime
    exit_after_s: float | None = None
    foreground: bool = False
    service: ServiceJob | None = None
    ended: UnexpectedEnd | None = None
    restarts: int = 0


class JobOutcome(StrEnum):
    """What became of a job that was started and not stopped."""

    RUNS = "runs"
    DONE = "done"
    """It ended as it should, or `ray job stop` stopped it."""
    KILLED = "killed"
    """Ray, its supervisor or its process was killed: the same job may run again."""
    FAILED = "failed"
    """It ended itself with an error, and would fail again."""
    UNKNOWN = "unknown"


def job_outcome(
    job: StartedJob, reports: Mapping[str, JobReport] | None, *, cluster_runs: bool
) -> JobOutcome:
    """Return what became of a job.

    Parameters
    ----------
    job
        Which one.
    reports
        What its cluster reports of its jobs, by id; None if it does not answer.
    cluster_runs
        Whether its cluster runs.
    """
    if not cluster_runs:
        return JobOutcome.KILLED
    if reports is None:
        return JobOutcome.UNKNOWN
    report = reports.get(job.job_id)
    if report is None:
        return JobOutcome.KILLED  # The job ran on an earlier Ray, which has ended.
    if report.status in ("SUCCEEDED", "STOPPED"):
        return JobOutcome.DONE
    if report.status != "FAILED":
        return JobOutcome.RUNS
    code = report.exit_code
    # A shell tells of a signal by 128 and its number.
    killed = code is None or code < 0 or code > 128 or code == DaemonExit.RESTART
    return JobOutcome.KILLED if killed else JobOutcome.FAILED


def started_jobs(state: Path) -> dict[str, StartedJob]:
    """Return the jobs that were started and not stopped, by name, in the order of their starts.

    Raises
    ------
    FinkrayError
        The record is damaged.
    """
    jobs = read_record(state / _FILE, _JOBS.validate_json, _ADVICE)
    return {job.name: job for job in jobs or ()}


def record_start(state: Path, job: StartedJob) -> None:
    """Record a job that was started; it takes the place of an earlier one of its name."""
    jobs = started_jobs(state)
    if (old := jobs.get(job.name)) and old.job_id != job.job_id:
        settings_file(state, old.job_id).unlink(missing_ok=True)
    _write(state, {**jobs, job.name: job})


def forget(state: Path, names: Iterable[str]) -> list[StartedJob]:
    """Forget jobs that are stopped or have ended as they should; return those that were known."""
    jobs = started_jobs(state)
    gone = [jobs.pop(name) for name in names if name in jobs]
    if gone:
        _write(state, jobs)
    return gone


def record_ends(state: Path, end_of: Callable[[StartedJob], UnexpectedEnd | None]) -> None:
    """Record the unexpected ends of jobs, before what tells of them is gone.

    Parameters
    ----------
    state
        The state folder.
    end_of
        The unexpected end of a job that does not run now; None: it keeps the record it has.
    """
    jobs = started_jobs(state)
    ended = {
        name: job.model_copy(update={"ended": end}) if (end := end_of(job)) else job
        for name, job in jobs.items()
    }
    if ended != jobs:
        _write(state, ended)


def _write(state: Path, jobs: Mapping[str, StartedJob]) -> None:
    if not jobs:
        # Deleting works on a full disk too, so that `finkray stop` can stop the last job there.
        (state / _FILE).unlink(missing_ok=True)
        return
    write_private(state / _FILE, _JOBS.dump_json(tuple(jobs.values()), indent=2).decode())


_JOBS: Final[TypeAdapter[tuple[StartedJob, ...]]] = TypeAdapter(tuple[StartedJob, ...])
