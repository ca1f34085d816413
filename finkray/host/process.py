"""Start a process that may outlive its starter, and find it again by a record of it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_GUARD = Path(__file__).with_name("guard.py")
_SAME_START_S = 2.0
"""Start times are relative to the kernel's boot time, which moves a little with the clock."""


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """What identifies a process: its id, its start time, and a text in its command line."""

    pid: int
    started_at_unix_s: float
    mark: str

    @classmethod
    def of(cls, pid: int, mark: str) -> "ProcessRecord":
        """Return the record of a process that runs now and has `mark` in its command line."""
        return cls(pid, psutil.Process(pid).create_time(), mark)

    def process(self) -> psutil.Process | None:
        """Return the process, or None if it has ended, even if another process has its id now."""
        try:
            process = psutil.Process(self.pid)
            if (
                abs(process.create_time() - self.started_at_unix_s) > _SAME_START_S
                or process.status() == psutil.STATUS_ZOMBIE
            ):
                return None
            # While a process executes another program it has no command line for a moment.
            command = " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            return None
        return process if not command or self.mark in command else None

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
