"""Decide which jobs of the local Ray to start again after an unexpected end. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from jobs.cluster.started_jobs import JobOutcome, StartedJob

_FIRST: Final = ("simulator", "archive")
"""The archive reads the simulator's Kafka, and services read the archive."""


@dataclass(frozen=True, slots=True)
class RestartPlan:
    """What the Ray watcher is to do.

    Attributes
    ----------
    start
        Names of the jobs to start, in this order, on a Ray that is started if none runs.
    leave
        Whether no job is left to watch.
    """

    start: tuple[str, ...] = ()
    leave: bool = False


def plan_restart(
    jobs: Iterable[StartedJob], outcomes: Mapping[str, JobOutcome], now: datetime
) -> RestartPlan:
    """Return what to do, from the jobs that were started and not stopped and what became of them.

    Parameters
    ----------
    jobs
        The jobs that were started and not stopped.
    outcomes
        What became of each, by name.
    now
        The time, UTC.
    """
    watched = [job for job in jobs if is_watched(job)]
    killed = [
        job.name
        for job in watched
        if outcomes[job.name] is JobOutcome.KILLED and remaining_s(job, now) > 0
    ]
    alive = any(outcomes[job.name] in (JobOutcome.RUNS, JobOutcome.UNKNOWN) for job in watched)
    order = {name: place for place, name in enumerate(_FIRST)}
    start = sorted(killed, key=lambda name: order.get(name, len(order)))
    return RestartPlan(tuple(start), leave=not alive and not killed)


def is_watched(job: StartedJob) -> bool:
    """Return whether the watcher starts a job again.

    A job on another cluster is left to it, and one in the foreground to whoever started it, such as
    systemd.
    """
    return not job.address and not job.foreground


def remaining_s(job: StartedJob, now: datetime) -> float:
    """Return for how long a job that ends by itself has still to run; infinite for any other."""
    if job.exit_after_s is None:
        return float("inf")
    return (job.started_at + timedelta(seconds=job.exit_after_s) - now).total_seconds()
