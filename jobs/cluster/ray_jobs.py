"""Jobs of finkray on a Ray cluster: submit one, find it again, let it drain and end.

Ray alone knows which jobs run: a job has its name in its metadata, and a job that was submitted by
hand is recognised by its command.
"""

import itertools
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from finkray.errors import ClusterUnavailable, FinkrayError
from finkray.host.ray_connection import errors_of_ray
from finkray.host.records import write_private
from finkray.settings.model import Settings
from jobs.cluster.job import Daemon, Job, JobReport, ServiceJob
from jobs.cluster.state import settings_file

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

METADATA_KEY: Final = "finkray.service"
SPEC_KEY: Final = "finkray.spec"
"""Key of a job's metadata with the spec of a service; the other key has the name of its results."""

SUBMIT_TIMEOUT_S: Final = 30.0
"""A head that has just started may have no agent that takes jobs for this long."""

STOP_GRACE_S: Final = 15.0
"""Time for Ray to report an end, beyond what it gives the job itself."""

POLL_S: Final = 0.3

T = TypeVar("T")


def job_of(details: Any, daemons: Sequence[Daemon], service: Daemon) -> Job | None:
    """Return the job that Ray describes, or None if it is not one of finkray's.

    Parameters
    ----------
    details
        Ray's `JobDetails`.
    daemons
        All daemons but the one that runs services.
    service
        The one that runs services.
    """
    if not details.submission_id:
        return None
    metadata = details.metadata or {}
    name, spec = metadata.get(METADATA_KEY), metadata.get(SPEC_KEY)
    if name is None:
        name, spec = _by_command(details.entrypoint, daemons, service)
    found = [daemon for daemon in daemons if daemon.name == name]
    if name is None or not (spec or found):
        return None
    variables = (details.runtime_env or {}).get("env_vars") or {}
    return Job(
        name=name,
        daemon=service if spec else found[0],
        job_id=details.submission_id,
        status=str(details.status.value),
        since=datetime.fromtimestamp((details.start_time or 0) / 1000, UTC),
        stop_wait_s=float(variables.get("RAY_JOB_STOP_WAIT_TIME_S", 3)),
        spec=spec,
    )


def _by_command(
    command: str, daemons: Sequence[Daemon], service: Daemon
) -> tuple[str | None, str | None]:
    """Return name and spec of a job that was submitted by hand, each None if unknown."""
    words = command.split()
    after = dict(itertools.pairwise(words))
    module = after.get("-m")
    for daemon in daemons:
        if module in (daemon.module, *daemon.old_modules):
            return daemon.name, None
    if module in (service.module, *service.old_modules):
        spec = after.get("--service")
        return after.get("--into", spec), spec
    return None, None


class Jobs:
    """The jobs of finkray on one cluster.

    Parameters
    ----------
    client
        Client for the cluster's jobs.
    state
        The state folder, in which a job finds its settings.
    daemons, service
        As of `job_of`.
    """

    def __init__(
        self,
        client: "JobSubmissionClient",
        state: Path,
        daemons: Sequence[Daemon],
        service: Daemon,
    ) -> None:
        self._client = client
        self._state = state
        self._daemons = daemons
        self._service = service

    def running(self) -> dict[str, Job]:
        """Return the jobs that have not ended, by name.

        Raises
        ------
        ClusterUnavailable
            The cluster does not answer.
        """
        return {job.name: job for job in self._all() if not job.ended}

    def refuse_second(self, name: str) -> None:
        """Raise if a job of this name runs: each runs once on a cluster.

        Raises
        ------
        FinkrayError
            It runs already.
        """
        if old := self.running().get(name):
            raise FinkrayError(
                f"{name} runs already, since {old.since:%Y-%m-%d %H:%M:%S} UTC as job "
                f"{old.job_id}: `finkray status` shows it, `finkray stop {name}` ends it"
            )

    def refresh(self, job: Job) -> Job:
        """Return the same job as it is now."""
        details = self._ask(lambda: self._client.get_job_info(job.job_id))
        return job_of(details, self._daemons, self._service) or job

    def submit(
        self,
        name: str,
        daemon: Daemon,
        settings: Settings,
        exit_after_s: float | None = None,
        service: ServiceJob | None = None,
        *,
        resumes: bool = False,
    ) -> Job:
        """Submit a job; it may not run yet when this returns.

        Its settings go to it in a file that its owner alone can read: the command, the
        metadata and the environment of a job stand in Ray's dashboard.

        Parameters
        ----------
        name
            Of the job.
        daemon
            What it runs.
        settings
            All settings; paths in them are absolute.
        exit_after_s
            It ends by itself after this many seconds.
        service
            Which service it serves, if the daemon is the one that runs services.
        resumes
            Whether it goes on where one that was killed was.

        Raises
        ------
        ClusterUnavailable
            The cluster does not take the job.
        """
        job_id = f"finkray-{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        path = settings_file(self._state, job_id)
        write_private(path, settings.to_json_with_secrets())
        command = [sys.executable, "-m", daemon.module, "--config", str(path)]
        command += service.arguments if service else []
        command += ["--resume"] if resumes and daemon.resumes else []
        if exit_after_s is not None:
            command += ["--exit-after", f"{exit_after_s:g}"]
        runtime_env: dict[str, Any] = {
            "env_vars": {
                # Without these two Ray sends SIGTERM and kills after three seconds.
                "RAY_JOB_STOP_SIGNAL": "SIGINT",
                "RAY_JOB_STOP_WAIT_TIME_S": str(
                    round(daemon.stop_wait_s or settings.ray.stop_wait_s)
                ),
                "FINKRAY_STATE": str(self._state),
            }
        }
        if settings.ray.working_dir:
            runtime_env["working_dir"] = settings.ray.working_dir
        spec = service.spec if service else None
        try:
            self._submit(job_id, shlex.join(command), name, runtime_env, spec)
        except BaseException:
            path.unlink()
            raise
        return self.refresh(Job(name, daemon, job_id, "PENDING", datetime.now(UTC), 0, spec))

    def ask_to_stop(self, job: Job) -> None:
        """Ask a job to drain and to end; it has not ended when this returns."""
        self._ask(lambda: self._client.stop_job(job.job_id))

    def wait_until_ended(self, job: Job, progress: Callable[[float], None]) -> Job:
        """Wait until a job has ended that was asked to stop.

        Parameters
        ----------
        job
            Which one.
        progress
            Called now and then with the seconds since this call.

        Raises
        ------
        ClusterUnavailable
            It has not ended long after Ray should have killed it.
        """
        since_s = time.monotonic()
        while not (job := self.refresh(job)).ended:
            waited_s = time.monotonic() - since_s
            if waited_s > job.stop_wait_s + STOP_GRACE_S:
                raise ClusterUnavailable(
                    f"{job.name} has not ended {waited_s:.0f} s after it was asked to: "
                    f"see `finkray logs {job.name}`"
                )
            progress(waited_s)
            time.sleep(POLL_S)
        return job

    def reports(self) -> dict[str, JobReport]:
        """Return how each job is, by id, those that have ended too.

        Raises
        ------
        ClusterUnavailable
            The cluster does not answer.
        """
        found = self._ask(self._client.list_jobs)
        return {
            details.submission_id: JobReport.of({**vars(details), "status": details.status.value})
            for details in found
            if details.submission_id
        }

    def forget_ended(self, but: Collection[str] = ()) -> None:
        """Remove the settings of jobs that have ended, except for the jobs with these ids."""
        for job in self._all():
            if job.ended and job.job_id not in but:
                settings_file(self._state, job.job_id).unlink(missing_ok=True)

    def wait_until_ready(self, job: Job, ready: Callable[[], bool], timeout_s: float) -> Job:
        """Wait until a job does its work, or has ended.

        Raises
        ------
        ClusterUnavailable
            It is neither ready nor ended after `timeout_s`; it is left running.
        """
        deadline_s = time.monotonic() + timeout_s
        while not (job := self.refresh(job)).ended:
            if job.status == "RUNNING" and ready():
                return job
            if time.monotonic() > deadline_s:
                raise ClusterUnavailable(
                    f"{job.name} is not ready after {timeout_s:.0f} s; it is left to start: "
                    f"see `finkray logs {job.name}`"
                )
            time.sleep(POLL_S)
        return job

    def _all(self) -> list[Job]:
        found = self._ask(self._client.list_jobs)
        jobs = (job_of(details, self._daemons, self._service) for details in found)
        return [job for job in jobs if job is not None]

    def _submit(
        self,
        job_id: str,
        command: str,
        name: str,
        runtime_env: dict[str, Any],
        spec: str | None,
    ) -> None:
        metadata = {METADATA_KEY: name, "job_name": f"finkray {name}"}
        if spec:
            metadata[SPEC_KEY] = spec
        deadline_s = time.monotonic() + SUBMIT_TIMEOUT_S
        while True:
            try:
                self._client.submit_job(
                    entrypoint=command,
                    submission_id=job_id,
                    metadata=metadata,
                    runtime_env=runtime_env,
                )
            except RuntimeError as error:
                if "No available agent" not in str(error) or time.monotonic() > deadline_s:
                    raise ClusterUnavailable(f"Ray does not take {name}: {error}") from error
                time.sleep(POLL_S)
            else:
                return

    def _ask(self, question: Callable[[], T]) -> T:
        with errors_of_ray():
            return question()
