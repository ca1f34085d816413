"""Run a process, and restart it after a failure that may pass.

The archive may be killed at any moment: everything that it needs to continue is in the ledger. So
every failure of a driver, its JVM or its cluster is repaired in one way, by a fresh process, and
the recovery after a crash is the one that is used every time.
"""

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType

import psutil

from finkray.host.exit_codes import DaemonExit
from finkray.host.processes import running_processes

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A process that ran this long had started well: the next pause is the first one again."""

LEFTOVERS_S = 10.0
"""Time for processes of the session to end: after a crash the driver's JVM ends on its own within a
second or two."""

_POLL_S = 0.1

RESTARTS_VARIABLE = "FINKRAY_RESTARTS"
"""Environment variable with the number of restarts of the process within the last hour."""

_PR_SET_PDEATHSIG = 1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next start; grows with quick failures."""

    pause_s: float = FIRST_PAUSE_S

    def after(self, ran_s: float) -> "Backoff":
        """Return the pause after a process that ran for `ran_s`."""
        if ran_s >= STEADY_S:
            return Backoff()
        return Backoff(min(self.pause_s * 2, LONGEST_PAUSE_S))


def should_restart(return_code: int) -> bool:
    """Return whether to restart a process: it exited with `RESTART`, or a signal killed it."""
    return return_code == DaemonExit.RESTART or return_code < 0


def supervise(command: Sequence[str], name: str) -> int:
    """Run the command until it ends for good; forward SIGTERM and SIGINT to it.

    The process gets a session of its own, so that a Ctrl-C at the terminal reaches it only through
    this process, and it is killed if this process dies.

    Parameters
    ----------
    command
        what to run
    name
        of the process, for log lines

    Returns
    -------
    int
        the exit code for this process
    """
    child: subprocess.Popen[bytes] | None = None
    # Not an event: the handler may run while this thread waits and holds the lock of one.
    stop_signals: SimpleQueue[int] = SimpleQueue()

    def forward(number: int, _frame: FrameType | None) -> None:
        stop_signals.put(number)
        if child is not None and child.poll() is None:
            child.send_signal(number)

    previous = {
        number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)
    }
    backoff = Backoff()
    restarts_s: list[float] = []
    try:
        while True:
            started_s = time.monotonic()
            child = subprocess.Popen(
                command,
                env={**os.environ, RESTARTS_VARIABLE: str(len(restarts_s))},
                start_new_session=True,
                # This process has one thread, so there is no lock to inherit.
                preexec_fn=die_with_parent(os.getpid()),  # noqa: PLW1509
            )
            # A signal during the start could not be forwarded.
            if not stop_signals.empty():
                child.send_signal(signal.SIGTERM)
            return_code = child.wait()
            _kill_leftovers(child.pid)
            if not stop_signals.empty() or not should_restart(return_code):
                return return_code if return_code >= 0 else 128 - return_code
            log.warning(
                "%s process exited with %d; restarting in %.1f s",
                name,
                return_code,
                backoff.pause_s,
            )
            with suppress(Empty):
                stop_signals.get(timeout=backoff.pause_s)
                return 0
            now_s = time.monotonic()
            restarts_s = [*(at_s for at_s in restarts_s if now_s - at_s < 3600.0), now_s]
            backoff = backoff.after(now_s - started_s)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _kill_leftovers(session: int) -> None:
    """Kill processes that a process left running in its session, such as a JVM that hangs."""
    ends_s = time.monotonic() + LEFTOVERS_S
    while left := left_in(session):
        if time.monotonic() > ends_s:
            log.warning("killing what the ended process left running: %s", names_of(left))
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            return
        time.sleep(_POLL_S)


def names_of(processes: Iterable[psutil.Process]) -> str:
    """Return the names of processes, for people; one that has ended meanwhile is left out."""
    names = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            names.append(process.name())
    return ", ".join(names)


def left_in(session: int) -> list[psutil.Process]:
    """Return the processes of a session that have not ended.

    A session id is not used again while the session has processes.
    """
    left = []
    for process in running_processes():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


def die_with_parent(parent_pid: int) -> Callable[[], None]:
    """Return a `preexec_fn` with which the kernel kills a process when its parent dies (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)

    def set_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # the parent died before prctl
            os.kill(os.getpid(), signal.SIGKILL)

    return set_signal
