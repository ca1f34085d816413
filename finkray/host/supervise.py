"""Runs a process and starts it again when it fails in a way that may pass.

The archive is made to be killed: all that it needs to go on stands in the ledger. So
whatever goes wrong with a driver, its JVM or its cluster is mended in one way, a fresh
process, and the way that is needed after a crash is the way that is used every time.
"""

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import FrameType

import psutil

from finkray.host.exit_codes import DaemonExit

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
"""A process that ran for so long had started well: the next pause is the first one again."""

LEFTOVERS_S = 10.0
"""After a crash the driver's JVM ends by itself within a second or two."""

_LOOK_S = 0.1

RESTARTS_VARIABLE = "FINKRAY_RESTARTS"
"""Tells the process how often it was started again within the last hour."""

_PR_SET_PDEATHSIG = 1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next start; grows with quick failures."""

    pause_s: float = FIRST_PAUSE_S

    def after(self, ran_s: float) -> "Backoff":
        """The pause to make after a process that ran for `ran_s`."""
        if ran_s >= STEADY_S:
            return Backoff()
        return Backoff(min(self.pause_s * 2, LONGEST_PAUSE_S))


def should_restart(return_code: int) -> bool:
    """Whether a process that ended so is started again: it asked for it, or a signal killed it."""
    return return_code == DaemonExit.RESTART or return_code < 0


def supervise(command: Sequence[str], name: str) -> int:
    """Run the command until it ends for good; hand SIGTERM and SIGINT on to it, once each.

    The process gets a session of its own, so that a Ctrl-C at the terminal reaches it
    through here alone, and it is killed should this process die.

    Parameters
    ----------
    command
        what to run
    name
        of the process, for log lines

    Returns
    -------
    int
        the exit code to leave with
    """
    child: subprocess.Popen[bytes] | None = None
    # The handler may come while this thread waits: it would find the lock of an event taken.
    asked_to_stop: SimpleQueue[int] = SimpleQueue()

    def hand_on(number: int, _frame: FrameType | None) -> None:
        asked_to_stop.put(number)
        if child is not None and child.poll() is None:
            child.send_signal(number)

    previous = {
        number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGINT)
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
            # While it was being started there was none to be told.
            if not asked_to_stop.empty():
                child.send_signal(signal.SIGTERM)
            return_code = child.wait()
            _clear_away(child.pid)
            if not asked_to_stop.empty() or not should_restart(return_code):
                return return_code if return_code >= 0 else 128 - return_code
            log.warning(
                "%s process exited with %d; restarting in %.1f s",
                name,
                return_code,
                backoff.pause_s,
            )
            with suppress(Empty):
                asked_to_stop.get(timeout=backoff.pause_s)
                return 0
            now_s = time.monotonic()
            restarts_s = [*(at_s for at_s in restarts_s if now_s - at_s < 3600.0), now_s]
            backoff = backoff.after(now_s - started_s)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _clear_away(session: int) -> None:
    """Kill what a process has left behind in its session, as a JVM that hangs."""
    ends_s = time.monotonic() + LEFTOVERS_S
    while left := left_in(session):
        if time.monotonic() > ends_s:
            log.warning("%s was left behind and is killed", ", ".join(one.name() for one in left))
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            return
        time.sleep(_LOOK_S)


def left_in(session: int) -> list[psutil.Process]:
    """The processes of a session that have not ended.

    No session gets the id of one in which something is left.
    """
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def die_with_parent(parent_pid: int) -> Callable[[], None]:
    """A `preexec_fn` that lets the kernel kill the new process when its parent dies (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)

    def set_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # the parent died before the kernel was told
            os.kill(os.getpid(), signal.SIGKILL)

    return set_signal
