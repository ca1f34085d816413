"""Start a process that may outlive its starter, and find it again by a record of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from finkray.host.process_id import ProcessId

_GUARD = Path(__file__).with_name("guard.py")
_SAME_START_S = 2.0


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """What identifies a process, and a text in its command line.

    Attributes
    ----------
    started_at_unix_s
        when it was started, by the wall clock of that time: for people
    identity
        of the process, whatever the wall clock says
    mark
        the text
    """

    started_at_unix_s: float
    identity: ProcessId
    mark: str

    @classmethod
    def of(cls, pid: int, mark: str) -> "ProcessRecord":
        """Return the record of a process that runs now and has `mark` in its command line."""
        return cls(psutil.Process(pid).create_time(), ProcessId.of(pid), mark)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "ProcessRecord":
        """Return the record that `to_json` made, also that of an earlier release."""
        started_s, mark = raw["started_at_unix_s"], raw["mark"]
        if "identity" in raw:
            return cls(started_s, ProcessId(**raw["identity"]), mark)
        # Earlier releases told processes of one id apart by their start on the wall clock.
        identity = ProcessId.of(raw["pid"])
        try:
            is_it = abs(psutil.Process(raw["pid"]).create_time() - started_s) < _SAME_START_S
        except psutil.NoSuchProcess:
            is_it = False
        return cls(started_s, identity if is_it else replace(identity, started=""), mark)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as a dictionary."""
        return asdict(self)

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self.identity.pid

    def process(self) -> psutil.Process | None:
        """Return the process, or None if it has ended, even if another process has its id now."""
        # psutil's start time moves with the wall clock: a clock that is set would end the process.
        if not ProcessId.mine().can_see(self.identity) or not self.identity.is_running():
            return None
        try:
            process = psutil.Process(self.pid)
            # While a process executes another program it has no command line for a moment.
            command = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            return None
        return process if not command or self.mark in command else None

    def may_have_session(self) -> bool:
        """Return whether a session of the process's id is still its own, if there is one.

        The kernel gives a new process no id that a session of processes has.
        """
        return ProcessId.mine().can_see(self.identity) and not self.identity.is_pid_reused()

    def end(self, grace_s: float) -> None:
        """Send SIGTERM to the process, and SIGKILL if it has not ended after `grace_s`."""
        process = self.process()
        if process is None:
            return
        # It may end on its own between any two of these calls.
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM if grace_s > 0 else signal.SIGKILL)
            try:
                process.wait(grace_s or None)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait()


def start_detached(
    command: Sequence[str], *, log: Path, environment: Mapping[str, str], die_with_parent: bool
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, and append its output to the file `log`.

    So Ctrl-C in the terminal does not reach it. With `die_with_parent` it is killed when this
    process ends, however that happens; otherwise it lives on.
    """
    if die_with_parent:
        command = [sys.executable, "-I", "-S", str(_GUARD), *command]
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE if die_with_parent else subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )


@contextmanager
def ended_on_error(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a detached child with its session if the block fails, as when it cannot be recorded.

    A process that no record names would be found by no later command.
    """
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
