"""The Ray watcher: a small process that starts the local Ray and its jobs again after a kill.

`finkray start` starts one for each state folder, in a session of its own, and the last
`finkray stop` ends it. It looks at the head's process and asks the dashboard for the jobs; it does
not import Ray. A fresh process starts what has ended (`jobs.commands.restart_jobs`). That process
decides again under the lock of the commands, so that no job is started that was stopped meanwhile.
"""

import argparse
import logging
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from finkray.errors import FinkrayError
from finkray.host.interrupt import deferred_interrupts
from finkray.host.lock import exclusive
from finkray.host.process import ended_on_error, start_detached
from finkray.host.supervise import Backoff
from jobs.cluster.local_ray import find_local_ray, inherited
from jobs.cluster.restart_plan import RestartPlan, plan_restart
from jobs.cluster.started_jobs import job_outcome, started_jobs
from jobs.cluster.watcher_process import forget_watcher, record_watcher, watcher_runs

POLL_S: Final = 2.0
"""Ray ends within a second or two after one of its processes was killed."""

_LOG = logging.getLogger(__name__)


def ensure_watcher(state: Path) -> None:
    """Start the watcher of a state folder if it does not run. Called under `services.lock`."""
    if watcher_runs(state):
        return
    command = [sys.executable, "-P", "-m", __spec__.name, "--state", str(state)]
    with deferred_interrupts():
        child = start_detached(
            command,
            log=state / "watcher.log",
            environment=inherited(os.environ),
            die_with_parent=False,
        )
        with ended_on_error(child):
            record_watcher(state, child.pid)


def plan_now(state: Path) -> RestartPlan:
    """Return what is to be done now: from the record of the jobs, and what runs."""
    jobs, ray = started_jobs(state), find_local_ray(state)
    reports = ray.dashboard.job_reports() if ray else None
    outcomes = {
        name: job_outcome(job, reports, cluster_runs=ray is not None) for name, job in jobs.items()
    }
    return plan_restart(jobs.values(), outcomes, datetime.now(UTC))


def watch(state: Path) -> None:
    """Start Ray and its jobs again whenever they are killed; return when none is left to watch."""
    backoff, tried_s, next_s, trouble = Backoff(), time.monotonic(), 0.0, ""
    while True:
        try:
            plan = plan_now(state)
        except FinkrayError as error:  # such as a state folder that other processes can write
            if str(error) != trouble:
                trouble = str(error)
                _LOG.error("Ray watcher cannot find out which jobs run, will retry: %s", error)
            time.sleep(POLL_S)
            continue
        if plan.leave and _leave(state):
            return
        if plan.start and time.monotonic() >= next_s:
            _LOG.warning("Ray watcher restarts what ended unexpectedly: %s", ", ".join(plan.start))
            command = [sys.executable, "-P", "-m", "jobs.commands.restart_jobs"]
            code = subprocess.run([*command, "--state", str(state)], check=False).returncode
            backoff = backoff.after(time.monotonic() - tried_s)
            tried_s = time.monotonic()
            next_s = tried_s + backoff.pause_s
            if code:
                _LOG.error("restart failed; next try in %.1f s", backoff.pause_s)
        time.sleep(POLL_S)


def _leave(state: Path) -> bool:
    """Delete the record of this process, unless a job was started since; return whether."""
    with exclusive(state / "services.lock"):
        if not plan_now(state).leave:
            return False
        forget_watcher(state)
        return True


def state_option(description: str) -> Path:
    """Return the state folder that the command line names."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--state", type=Path, required=True, help="the state folder")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    state: Path = parser.parse_args().state
    return state


if __name__ == "__main__":
    watch(state_option("Start the local Ray and its jobs again after a kill."))
