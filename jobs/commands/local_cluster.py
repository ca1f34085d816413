"""The local Ray of commands: brought up for the first job, taken down with the last one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finkray.errors import FinkrayError
from finkray.host.lock import exclusive
from jobs.cluster.connect import Cluster, is_on_this_machine
from jobs.cluster.local_ray import ended_local_ray, start_local_ray, stop_local_ray
from jobs.cluster.ray_jobs import Jobs
from jobs.cluster.started_jobs import JobOutcome, forget, job_outcome, record_ends, started_jobs
from jobs.cluster.unexpected_ends import end_of
from jobs.commands.context import CommandContext
from jobs.commands.ray_watcher import ensure_watcher, plan_now
from jobs.daemons.registry import jobs_on


def bring_up(context: CommandContext) -> tuple[Cluster, Jobs]:
    """Return the cluster that is there, else a local one, and the jobs on it."""
    with exclusive(context.state / "services.lock"):
        cluster = context.cluster()
        if cluster is None:
            return _start_local(context)
        if not is_on_this_machine(cluster):
            raise FinkrayError(
                f"the head of Ray at {cluster.address} is another machine: give this command there,"
                " or submit the job as the README says (ray job submit)"
            )
        return cluster, jobs_on(cluster, context.state)


def _start_local(context: CommandContext) -> tuple[Cluster, Jobs]:
    """Start a local cluster.

    Called under the lock, so that no other command submits a job to a cluster that is stopped
    after a failed start.
    """
    try:
        if end := ended_local_ray(context.state):
            record_ends(context.state, lambda job: None if job.address else end)
        with context.progress.waiting("a local Ray starts"):
            local = start_local_ray(context.state, context.settings.ray)
        context.progress.say(
            f"local Ray: {local.address}, dashboard {local.dashboard_url} "
            f"(its token is in {local.token_file})"
        )
        cluster = Cluster(local.address, local)
        return cluster, jobs_on(cluster, context.state)
    except BaseException:
        _stop_local(context)
        if not plan_now(context.state).leave:
            ensure_watcher(context.state)  # jobs were killed with the last Ray
        raise


def _stop_local(context: CommandContext) -> None:
    with context.progress.waiting("the local Ray stops"):
        stop_local_ray(context.state)
    context.progress.say(f"local Ray: stopped; logs are kept in {context.state / 'logs'}")


@contextmanager
def taken_down_if_idle(context: CommandContext, cluster: Cluster, jobs: Jobs) -> Iterator[None]:
    """Take our own cluster down at the end if no job is left on it, however the command ends."""
    try:
        yield
    finally:
        with exclusive(context.state / "services.lock"):
            _settle(context.state, cluster, jobs)
            if cluster.local and not jobs.running():
                if plan_now(context.state).leave:
                    _stop_local(context)
                else:
                    ensure_watcher(context.state)  # a job was killed, and starts again


def _settle(state: Path, cluster: Cluster, jobs: Jobs) -> None:
    """Bring the record of the jobs that were started in line with what the cluster reports."""
    reports, address = jobs.reports(), "" if cluster.local else cluster.address
    started = [job for job in started_jobs(state).values() if job.address == address]
    done = [
        job for job in started if job_outcome(job, reports, cluster_runs=True) is JobOutcome.DONE
    ]
    forget(state, [job.name for job in done])
    record_ends(state, lambda job: end_of(reports.get(job.job_id)))
    jobs.forget_ended(but=[job.job_id for job in started_jobs(state).values()])
