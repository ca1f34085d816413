"""`finkray stop`: jobs drain at the same time, the simulator after those that read its Kafka."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from finkray.errors import FinkrayError, SettingsError, StorageError
from finkray.host.lock import exclusive
from finkray.results.store import list_stores
from finkray.text import duration_text
from jobs.cluster.archive import archive_of
from jobs.cluster.connect import Cluster, connected
from jobs.cluster.job import Job
from jobs.cluster.local_ray import end_left_job, stop_local_ray
from jobs.cluster.ray_jobs import Jobs
from jobs.cluster.started_jobs import StartedJob, forget, started_jobs
from jobs.cluster.state import settings_file
from jobs.commands.context import CommandContext
from jobs.commands.local_cluster import taken_down_if_idle
from jobs.commands.ray_watcher import plan_now
from jobs.daemons.registry import DAEMONS, SHIPPED, jobs_on, spec_named
from jobs.daemons.simulator import SIMULATOR

_SIMILARITY: Final = 0.6
"""Similarity of two names, of 1, from which on one is suggested for the other."""


def stop(context: CommandContext, names: Sequence[str] = ()) -> None:
    """Let jobs drain and end, and take the local Ray down after the last one.

    Parameters
    ----------
    context
        Of the command.
    names
        Of jobs, or ``module:Name`` of services; empty: all jobs.

    Raises
    ------
    SettingsError
        A name is none of a job that runs or ever ran; nothing is stopped.
    ClusterUnavailable
        A job did not end in time.
    StorageError
        The jobs have ended, and the disk of the state folder refuses to record it.
    """
    with exclusive(context.state / "services.lock"):
        cluster = context.cluster()
        jobs = None if cluster is None else jobs_on(cluster, context.state)
        running = {} if jobs is None else jobs.running()
        started = started_jobs(context.state)
        names = names or list(dict.fromkeys([*running, *started]))
        _refuse_unknown(context, names, {*running, *started})
        of_started = {j.name: j.service.spec if j.service else None for j in started.values()}
        stopped = [_named(name, of_started) or name for name in names]
        left = []
        if cluster is None:
            left = _forget_killed(context, [started[name] for name in stopped if name in started])
        else:
            _forget(context, stopped)
    specs = {job.name: job.spec for job in running.values()}
    found = [running[key] for name in names if (key := _named(name, specs))]
    for name in names:
        if _named(name, specs) is None and (_named(name, of_started) or name) not in left:
            context.progress.say(f"{name} does not run")
    if not names:
        context.progress.say("no job runs")
    if cluster is not None and jobs is not None:
        with taken_down_if_idle(context, cluster, jobs):
            _stop(context, cluster, jobs, found)


def _forget(context: CommandContext, names: Iterable[str]) -> None:
    """Forget jobs before they end, so that none is taken for a job that ended unexpectedly.

    That a disk refuses to record it is no reason to let them run on. It is tried again when they
    have ended. If the disk still refuses, the command ends with an error.
    """
    try:
        forget(context.state, names)
    except StorageError as error:
        context.progress.tell(f"they stop, but that cannot be recorded now: {error}")


def _forget_killed(context: CommandContext, jobs: Sequence[StartedJob]) -> list[str]:
    """Forget jobs whose cluster has ended, and delete what they left.

    Returns
    -------
    list of str
        The jobs of which processes ran on; these are ended first, whatever the disk refuses.
    """
    ran_on = []
    for job in (job for job in jobs if not job.address):
        if end_left_job(context.state, settings_file(context.state, job.job_id)):
            ran_on.append(job.name)
            context.progress.say(f"{job.name} has ended: its Ray was killed before, yet it ran on")
    for job in forget(context.state, [job.name for job in jobs]):
        settings_file(context.state, job.job_id).unlink(missing_ok=True)
    if plan_now(context.state).leave:
        stop_local_ray(context.state)  # clears away what a killed one left
    return ran_on


def _named(name: str, specs: Mapping[str, str | None]) -> str | None:
    """Return which job a name means, of jobs with the specs of their services; None if none."""
    if name in specs:
        return name
    of_spec = [job for job, spec in specs.items() if spec == spec_named(name)]
    return of_spec[0] if len(of_spec) == 1 else None


def _refuse_unknown(context: CommandContext, names: Iterable[str], jobs: Iterable[str]) -> None:
    known = {*DAEMONS, *SHIPPED, *jobs}
    # A service that was stopped before is known by its results alone.
    if unknown := [name for name in names if name not in known and ":" not in name]:
        with suppress(FinkrayError):
            known |= {store.name for store in list_stores(archive_of(context.settings))}
        unknown = [name for name in unknown if name not in known]
    for name in unknown:
        close = difflib.get_close_matches(name, sorted(known), 1, _SIMILARITY)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}"
        raise SettingsError(f"no job is named {name!r}, and no results are: {hint}")


def _stop(context: CommandContext, cluster: Cluster, jobs: Jobs, found: Sequence[Job]) -> None:
    if not found:
        return
    with connected(cluster, context.settings.ray):
        for together in stop_groups(found):
            for job in together:
                jobs.ask_to_stop(job)
            for job in together:
                _wait(context, jobs, job)


def stop_groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return jobs in groups: those of a group drain at the same time, after the group before.

    The simulator is last, for jobs that drain may still read its Kafka.
    """
    groups = [[job for job in jobs if (job.daemon is SIMULATOR) == last] for last in (False, True)]
    return [group for group in groups if group]


def _wait(context: CommandContext, jobs: Jobs, job: Job) -> None:
    def text(waited_s: float) -> str:
        texts = (duration_text(waited_s), job.daemon.drain_text(context.settings))
        return ", ".join(text for text in texts if text)

    with context.progress.waiting(f"{job.name} drains") as tell:
        jobs.wait_until_ended(job, lambda waited_s: tell(text(waited_s)))
    context.progress.say(f"{job.name} has ended")
