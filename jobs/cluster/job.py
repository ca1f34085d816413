"""Describe daemons, and the jobs that run them on Ray."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # The Ray watcher imports this module, and shall stay small.
    from finkray.settings.model import Settings


def _no_objection(_settings: "Settings") -> None:
    return


def _nothing(_settings: "Settings", _state: Path) -> None:
    return


def _no_text(_settings: "Settings") -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A program of finkray's own that runs as a job until it is stopped.

    Attributes
    ----------
    name
        As in `finkray start NAME`.
    module
        As in `python -m MODULE`.
    about
        What it does, for `--help`.
    is_ready
        Returns whether a job of the daemon does its work, and not only runs. Called while this
        process is connected to Ray.
    ready_text
        Returns a line on what a job of the daemon does, for the person who started it. Called
        while this process is connected to Ray.
    check_start
        Raises a `FinkrayError` if the daemon cannot be started with these settings.
    check_folder
        Raises a `FinkrayError` if the folder of the daemon's last start is gone. Not called if the
        person who starts it accepts that.
    note_folder
        Records in the state folder which folder the daemon works on. Called when the job is ready,
        under `services.lock`.
    drain_text
        Returns how far a job is with its draining; empty if the daemon does not report it.
    stop_wait_s
        How long Ray lets a job drain and end before it is killed; None: `ray.stop_wait_s`.
    resumes
        Whether the daemon takes `--resume`, with which it goes on where a killed one was.
    old_modules
        Modules by which older releases started the daemon: such jobs may still run.
    """

    name: str
    module: str
    about: str
    is_ready: Callable[["Job", "Settings", Path], bool]
    ready_text: Callable[["Job", "Settings", Path], str]
    check_start: Callable[["Settings"], None] = _no_objection
    check_folder: Callable[["Settings", Path], None] = _nothing
    note_folder: Callable[["Settings", Path], None] = _nothing
    drain_text: Callable[["Settings"], str] = _no_text
    stop_wait_s: float | None = None
    resumes: bool = False
    old_modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was started, as Ray reports it.

    Attributes
    ----------
    name
        That of its daemon; of a service, the name of its results.
    daemon
        The daemon that runs in the job.
    job_id
        Ray's submission id.
    status
        Ray's status of the job: PENDING, RUNNING, STOPPED, SUCCEEDED, FAILED.
    since
        When it was started, UTC.
    stop_wait_s
        How long Ray lets the job drain.
    spec
        Of a service, as `mymodule:Bright`; None for any other daemon.
    """

    name: str
    daemon: Daemon
    job_id: str
    status: str
    since: datetime
    stop_wait_s: float
    spec: str | None = None

    @property
    def ended(self) -> bool:
        """Return whether the job has ended, with success or not."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")

    def log_path(self, session: Path) -> Path:
        """Return the file of its log, in the folder of Ray's session."""
        return session / "logs" / f"job-driver-{self.job_id}.log"


@dataclass(frozen=True, slots=True)
class JobReport:
    """The state of a job, as Ray reports it.

    Attributes
    ----------
    status
        Ray's status of the job: PENDING, RUNNING, STOPPED, SUCCEEDED, FAILED.
    message
        Ray's explanation of the status.
    exit_code
        Exit code of the job's process; None while it runs, and if Ray did not see it end.
    ended_at
        When it ended, UTC; None while it runs.
    """

    status: str
    message: str = ""
    exit_code: int | None = None
    ended_at: datetime | None = None

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> "JobReport":
        """Return the report in the fields of Ray's `JobDetails`."""
        end_ms = details.get("end_time")
        return cls(
            str(details["status"]),
            str(details.get("message") or ""),
            details.get("driver_exit_code"),
            None if end_ms is None else datetime.fromtimestamp(end_ms / 1000, UTC),
        )


@dataclass(frozen=True, slots=True)
class ServiceJob:
    """A service that `jobs.daemons.service` is to run.

    Attributes
    ----------
    spec
        As `mymodule:Bright`.
    folder
        Folder of its module.
    into
        Name of its results; None: the name of the service.
    since
        First start only: also process alerts received since this time.
    """

    spec: str
    folder: str
    into: str | None = None
    since: str | None = None

    @property
    def arguments(self) -> list[str]:
        """Options of the command of the job."""
        out = ["--service", self.spec, "--folder", self.folder]
        out += ["--into", self.into] if self.into else []
        return out + (["--since", self.since] if self.since else [])
