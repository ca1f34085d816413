"""Start the local Ray and the jobs that were killed again, once; the Ray watcher runs it."""

import logging
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from finkray.errors import FinkrayError
from finkray.host.lock import exclusive
from finkray.host.processes import command_of, running_processes
from finkray.settings.model import load
from jobs.cluster.connect import Cluster
from jobs.cluster.local_ray import ended_local_ray, find_local_ray, start_local_ray
from jobs.cluster.orphans import kill
from jobs.cluster.ray_jobs import Jobs
from jobs.cluster.restart_plan import remaining_s
from jobs.cluster.started_jobs import StartedJob, record_ends, record_start, started_jobs
from jobs.cluster.state import settings_file
from jobs.cluster.unexpected_ends import end_of
from jobs.commands.ray_watcher import plan_now, state_option
from jobs.daemons.registry import DAEMONS, jobs_on
from jobs.daemons.service import SERVICE

_END_S: Final = 15.0
"""Ray kills the processes of a job a second after their supervisor; a machine may be busy."""

_LOG = logging.getLogger(__name__)


def restart_jobs(state: Path) -> bool:
    """Start what is to be started; return whether all of it was."""
    with exclusive(state / "services.lock"):
        names = plan_now(state).start
        if not names:
            return True
        started = started_jobs(state)
        local = find_local_ray(state)
        if local is None:
            ray_end = ended_local_ray(state)
            record_ends(state, lambda job: None if job.address else ray_end)
            local = start_local_ray(state, load(_settings(state, started[names[0]])).ray)
        cluster = Cluster(local.address, local)
        jobs = jobs_on(cluster, state)
        reports = jobs.reports()
        record_ends(state, lambda job: end_of(reports.get(job.job_id)))
        # All of them, also after one that did not start.
        done = [_start(state, cluster, jobs, started_jobs(state)[name]) for name in names]
        return all(done)


def _start(state: Path, cluster: Cluster, jobs: Jobs, old: StartedJob) -> bool:
    try:
        _wait_for_end(state, old)
        settings = load(_settings(state, old))
        daemon = SERVICE if old.service else DAEMONS[old.name]
        daemon.check_folder(settings, state)
        ray = settings.ray.model_copy(update={"address": cluster.address})
        left_s = None if old.exit_after_s is None else remaining_s(old, datetime.now(UTC))
        job = jobs.submit(
            old.name,
            daemon,
            settings.model_copy(update={"ray": ray}),
            left_s,
            old.service,
            resumes=True,
        )
    except FinkrayError as error:
        _LOG.error("%s was not started: %s", old.name, error)
        return False
    again = {"job_id": job.job_id, "restarts": old.restarts + 1}
    record_start(state, old.model_copy(update=again))
    _LOG.info("%s: started again as job %s", old.name, job.job_id)
    return True


def _settings(state: Path, job: StartedJob) -> Path:
    return settings_file(state, job.job_id)


def _wait_for_end(state: Path, job: StartedJob) -> None:
    """Wait until no process of a killed job is left, which could hold its ports or its archive."""
    deadline_s = time.monotonic() + _END_S
    while left := _processes_with(str(_settings(state, job))):
        if time.monotonic() > deadline_s:
            kill(left)
            return
        time.sleep(0.2)


def _processes_with(path: str) -> list[psutil.Process]:
    return [each for each in running_processes() if path in " ".join(command_of(each))]


def main() -> int:
    """Start what is to be started; return the exit code, 0 if all of it was."""
    state = state_option("Start the local Ray and its killed jobs again.")
    try:
        return 0 if restart_jobs(state) else 1
    except FinkrayError as error:
        _LOG.error("Ray or its jobs were not started: %s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
