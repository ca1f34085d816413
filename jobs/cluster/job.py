"""What a job of finkray is: a daemon, when it was started, and how it is."""

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
        Whether a job of it does its work, not only runs. Called while this process is connected
        to Ray.
    ready_text
        One line on what a job of it does, for the person who started it. Called as `is_ready`.
    check_start
        Raises a `FinkrayError` if it cannot be started with these settings.
    check_folder
        Raises a `FinkrayError` if what it worked on when it was started last is gone. Not called
        if the person who starts it accepts that.
    note_folder
        Records in the state folder what it works on. Called when it is ready, under the lock of
        the services.
    drain_text
        How far it is with its draining; empty if it does not say.
    stop_wait_s
        How long Ray lets it drain and end before it is killed; None: `ray.stop_wait_s`.
    resumes
        Whether it takes `--resume`, with which it goes on where a killed one was.
    old_modules
        Modules by which older releases started it: such jobs may still run.
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
    """A job that was started, as Ray tells of it.

    Attributes
    ----------
    name
        That of its daemon; of a service, the name of its results.
    daemon
        What runs in it.
    job_id
        Ray's submission id.
    status
        Ray's word for how it is: PENDING, RUNNING, STOPPED, SUCCEEDED, FAILED.
    since
        When it was started, UTC.
    stop_wait_s
        How long Ray lets it drain.
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
    """How a job is, as its cluster reports it.

    Attributes
    ----------
    status
        Ray's word: PENDING, RUNNING, STOPPED, SUCCEEDED, FAILED.
    message
        Ray's text on it.
    exit_code
        Of its process; None while it runs, and if Ray did not see it end.
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
    """A service, as `jobs.daemons.service` is to run it.

    Attributes
    ----------
    spec
        As `mymodule:Bright`.
    folder
        Folder of its module.
    into
        Name of its results; None: its own.
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
