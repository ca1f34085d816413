"""Jobs that ended without being stopped: find them, and say what to do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.cluster.job import JobReport
from jobs.cluster.restart_plan import is_watched
from jobs.cluster.started_jobs import JobOutcome, StartedJob, UnexpectedEnd, job_outcome
from ui.kit.elements import AlarmCard


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that was started, was not stopped, and does not run.

    Attributes
    ----------
    job
        Which one.
    end
        When and how it ended; None if no trace of its end is left.
    restarting
        Whether the Ray watcher is about to start it again.
    """

    job: StartedJob
    end: UnexpectedEnd | None
    restarting: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what `finkray status --json` prints of it."""
        return {
            "name": self.job.name,
            "job_id": self.job.job_id,
            "started_at": self.job.started_at.isoformat(),
            "ended_at": self.end.at.isoformat() if self.end else None,
            "reason": self.end.reason if self.end else None,
            "restarting": self.restarting,
            "what_to_do": self.what_to_do,
        }

    @property
    def what_to_do(self) -> str:
        """What the operator does about it."""
        if self.restarting:
            return "the Ray watcher starts it again: see watcher.log in the state folder"
        name = self.job.service.spec if self.job.service else self.job.name
        return (
            f"no alert is lost. finkray logs {self.job.name} shows its log; finkray start {name} "
            f"starts it again; finkray stop {self.job.name} confirms the end"
        )


def ended_jobs(
    jobs: Iterable[StartedJob],
    address: str | None,
    reports: Mapping[str, JobReport] | None,
    ray_end: UnexpectedEnd | None,
    *,
    watcher_runs: bool,
) -> tuple[EndedJob, ...]:
    """Return the jobs that were started, not stopped, and have ended unexpectedly.

    Parameters
    ----------
    jobs
        The jobs that were started and not stopped.
    address
        Of the cluster that was asked: empty for the local Ray. Jobs of others are left out, whose
        state is not known.
    reports
        What that cluster reports of its jobs, by id; None if it does not run.
    ray_end
        How the local Ray ended, if it has.
    watcher_runs
        Whether the Ray watcher runs, which starts killed jobs of the local Ray again.
    """
    found = []
    for job in jobs:
        if job.address != address:
            continue
        outcome = job_outcome(job, reports, cluster_runs=reports is not None)
        if outcome in (JobOutcome.KILLED, JobOutcome.FAILED):
            report = (reports or {}).get(job.job_id)
            known = (end_of(report), job.ended, ray_end if reports is None else None)
            # The recorded end may be that of an earlier run, which was started again.
            end = max(filter(None, known), key=lambda end: end.at, default=None)
            restarting = watcher_runs and outcome is JobOutcome.KILLED and is_watched(job)
            found.append(EndedJob(job, end, restarting))
    return tuple(found)


def end_of(report: JobReport | None) -> UnexpectedEnd | None:
    """Return the end of a job that its cluster reports as failed; None for any other."""
    if report is None or report.status != "FAILED" or report.ended_at is None:
        return None
    first_line = report.message.strip().partition("\n")[0]
    return UnexpectedEnd(at=report.ended_at, reason=first_line or "Ray gives no reason")


def ended_cards(ended: Iterable[EndedJob]) -> tuple[AlarmCard, ...]:
    """Return a card for each job that ended unexpectedly."""
    return tuple(
        AlarmCard(
            code="job-ended",
            since=_utc(each.end.at) if each.end else "",
            message=f"{each.job.name}, started {_utc(each.job.started_at)}, ended without being "
            f"stopped: {each.end.reason if each.end else 'no trace of its end is left'}",
            what_to_do=each.what_to_do,
        )
        for each in ended
    )


def restart_notes(jobs: Iterable[StartedJob], running: Iterable[str]) -> tuple[str, ...]:
    """Return a line for each job that runs again after an unexpected end."""
    ids = set(running)
    return tuple(
        # A terminal may clip the line: what matters stands first.
        f"{job.name} was started again after an unexpected end; restarts: {job.restarts}; "
        f"{_utc(job.ended.at)}: {job.ended.reason}"
        for job in jobs
        if job.ended and job.restarts and job.job_id in ids
    )


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
