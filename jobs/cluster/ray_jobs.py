"""The services as Ray jobs: start one, find it again, let it drain and end.

Which services run is asked of Ray alone: a job carries the name of its service in its metadata,
and one that was submitted by hand is known by its command.
"""

import secrets
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from finkray.errors import ClusterUnavailable, FinkrayError
from finkray.host.ray_connection import errors_of_ray
from finkray.settings.model import Settings
from jobs.cluster.state import write_private

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

METADATA_KEY: Final = "finkray.service"
SPEC_KEY: Final = "finkray.spec"
"""Of a service that a user wrote; the other key has the name of its results."""

SERVE_MODULE: Final = "jobs.daemons.service"

SUBMIT_TIMEOUT_S: Final = 30.0
"""For so long a head that has just started may not have an agent yet that takes jobs."""

STOP_GRACE_S: Final = 15.0
"""Time for Ray to tell of an end, beyond what it gives the service itself."""

POLL_S: Final = 0.3

T = TypeVar("T")


class Daemon(StrEnum):
    """What can be started and stopped, beside the services that users write."""

    ARCHIVE = "archive"
    SIMULATOR = "simulator"
    UI = "ui"
    AGGREGATION = "aggregation"

    @property
    def module(self) -> str:
        """The module that is the service's `main`."""
        return _MODULES[self]


_MODULES: Final = {
    Daemon.ARCHIVE: "finkray.archive",
    Daemon.SIMULATOR: "jobs.daemons.simulator",
    Daemon.UI: "jobs.daemons.page",
    Daemon.AGGREGATION: "jobs.daemons.aggregation",
}


@dataclass(frozen=True, slots=True)
class Job:
    """A service that was started, as Ray tells of it.

    Attributes
    ----------
    name
        Which one: a `Daemon`, or the name of the results of one that a user wrote.
    job_id
        Ray's submission id.
    status
        Ray's word for how it is: PENDING, RUNNING, STOPPED, SUCCEEDED, FAILED.
    since
        When it was started, UTC.
    stop_wait_s
        How long Ray lets it drain.
    spec
        Of one that a user wrote, as `mymodule:Bright`.
    """

    name: str
    job_id: str
    status: str
    since: datetime
    stop_wait_s: float
    spec: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")

    def log_path(self, session: Path) -> Path:
        """Its log, in the folder of Ray's session."""
        return session / "logs" / f"job-driver-{self.job_id}.log"


def job_of(job: Any) -> Job | None:
    """The service that a job of Ray is, or None for somebody else's job."""
    if not job.submission_id:
        return None
    metadata = job.metadata or {}
    spec = metadata.get(SPEC_KEY)
    name = metadata.get(METADATA_KEY) or next(
        (name for name in Daemon if f"-m {name.module} " in f"{job.entrypoint} "), None
    )
    if name is None or (spec is None and name not in list(Daemon)):
        return None
    variables = (job.runtime_env or {}).get("env_vars") or {}
    return Job(
        name=Daemon(name) if spec is None else name,
        job_id=job.submission_id,
        status=str(job.status.value),
        since=datetime.fromtimestamp((job.start_time or 0) / 1000, UTC),
        stop_wait_s=float(variables.get("RAY_JOB_STOP_WAIT_TIME_S", 3)),
        spec=spec,
    )


@dataclass(frozen=True, slots=True)
class ServiceJob:
    """A service that a user wrote, as `jobs.daemons.service` is to run it.

    Attributes
    ----------
    spec
        As `mymodule:Bright`.
    folder
        Where its module is.
    into
        Name of its results; None: its own.
    since
        At its first start also what came before, from this time on.
    """

    spec: str
    folder: str
    into: str | None = None
    since: str | None = None

    @property
    def words(self) -> list[str]:
        """For the command."""
        out = ["--service", self.spec, "--folder", self.folder]
        out += ["--into", self.into] if self.into else []
        return out + (["--since", self.since] if self.since else [])


class Jobs:
    """The services of one cluster.

    Parameters
    ----------
    client
        Client for the cluster's jobs.
    state
        The state folder, in which a service finds its settings.
    """

    def __init__(self, client: "JobSubmissionClient", state: Path) -> None:
        self._client = client
        self._state = state

    def running(self) -> dict[str, Job]:
        """Those that have not ended.

        Raises
        ------
        ClusterUnavailable
            The cluster does not answer.
        """
        return {service.name: service for service in self._all() if not service.ended}

    def refuse_second(self, name: str) -> None:
        """Each service runs once on a cluster.

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

    def look(self, service: Job) -> Job:
        """The same service as it is now."""
        job = self._ask(lambda: self._client.get_job_info(service.job_id))
        return job_of(job) or service

    def submit(
        self,
        name: str,
        settings: Settings,
        exit_after_s: float | None = None,
        user: "ServiceJob | None" = None,
    ) -> Job:
        """Start a service; it may not run yet when this returns.

        Its settings go to it in a file that its owner alone can read: the command, the
        metadata and the environment of a job stand in Ray's dashboard.

        Parameters
        ----------
        name
            Which one.
        settings
            All settings; paths in them are absolute.
        exit_after_s
            It ends by itself after this many seconds.
        user
            What a user wrote, if it is such a one.

        Raises
        ------
        ClusterUnavailable
            The cluster does not take the job.
        """
        job_id = f"finkray-{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        path = self._settings_file(job_id)
        write_private(path, settings.to_json_with_secrets())
        module = SERVE_MODULE if user else Daemon(name).module
        command = [sys.executable, "-m", module, "--config", str(path)]
        command += user.words if user else []
        if exit_after_s is not None:
            command += ["--exit-after", f"{exit_after_s:g}"]
        runtime_env: dict[str, Any] = {
            "env_vars": {
                # Without these two Ray signals SIGTERM and kills after three seconds.
                "RAY_JOB_STOP_SIGNAL": "SIGINT",
                "RAY_JOB_STOP_WAIT_TIME_S": str(round(settings.ray.stop_wait_s)),
                "FINKRAY_STATE": str(self._state),
            }
        }
        if settings.ray.working_dir:
            runtime_env["working_dir"] = settings.ray.working_dir
        try:
            self._submit(job_id, shlex.join(command), name, runtime_env, user)
        except BaseException:
            path.unlink()
            raise
        spec = user.spec if user else None
        return self.look(Job(name, job_id, "PENDING", datetime.now(UTC), 0, spec))

    def ask_to_stop(self, service: Job) -> None:
        """Ask a service to drain and to end; it has not when this returns."""
        self._ask(lambda: self._client.stop_job(service.job_id))

    def stop(self, service: Job, progress: Callable[[float], None]) -> Job:
        """Ask a service to drain and to end, and wait until it has.

        Parameters
        ----------
        service
            Which one.
        progress
            Called now and then with the seconds since it was asked.

        Raises
        ------
        ClusterUnavailable
            It has not ended long after Ray should have killed it.
        """
        self.ask_to_stop(service)
        asked_s = time.monotonic()
        while not (service := self.look(service)).ended:
            waited_s = time.monotonic() - asked_s
            if waited_s > service.stop_wait_s + STOP_GRACE_S:
                raise ClusterUnavailable(
                    f"{service.name} has not ended {waited_s:.0f} s after it was asked to: "
                    f"see `ray job logs {service.job_id}`"
                )
            progress(waited_s)
            time.sleep(POLL_S)
        return service

    def forget_ended(self) -> None:
        """Remove the settings of services that have ended."""
        for service in self._all():
            if service.ended:
                self._settings_file(service.job_id).unlink(missing_ok=True)

    def wait_until_ready(self, service: Job, ready: Callable[[], bool], timeout_s: float) -> Job:
        """Wait until a service does its work, or has ended.

        Raises
        ------
        ClusterUnavailable
            It is neither ready nor ended after `timeout_s`; it is left running.
        """
        deadline_s = time.monotonic() + timeout_s
        while not (service := self.look(service)).ended:
            if service.status == "RUNNING" and ready():
                return service
            if time.monotonic() > deadline_s:
                raise ClusterUnavailable(
                    f"{service.name} still starts after {timeout_s:.0f} s; it is left to do so"
                )
            time.sleep(POLL_S)
        return service

    def _all(self) -> list[Job]:
        return list(filter(None, map(job_of, self._ask(self._client.list_jobs))))

    def _settings_file(self, job_id: str) -> Path:
        return self._state / "settings" / f"{job_id}.json"

    def _submit(
        self,
        job_id: str,
        command: str,
        name: str,
        runtime_env: dict[str, Any],
        user: "ServiceJob | None",
    ) -> None:
        metadata = {METADATA_KEY: str(name), "job_name": f"finkray {name}"}
        if user:
            metadata[SPEC_KEY] = user.spec
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
