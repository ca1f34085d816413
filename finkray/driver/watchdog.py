"""End a driver that does not advance or close: a call into a JVM that hangs has no time limit."""

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from finkray.host.exit_codes import DaemonExit

CHECK_S = 1.0

log = logging.getLogger(__name__)


class Watchdog:
    """A context in which the process ends if `beat` is not called for `limit_s` seconds.

    The process exits with `DaemonExit.RESTART` and without any clean-up, which could hang too, so
    that its supervisor starts a fresh one. The stacks of all threads go to standard error before.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._silent_s = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def beat(self) -> None:
        """Report that the loop advanced."""
        self._silent_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing.set()

    def _watch(self) -> None:
        # Counts its own waits and not the clock: when the whole process was stopped or the machine
        # slept, the loop did not hang.
        while not self._closing.wait(CHECK_S):
            self._silent_s += CHECK_S
            if self._silent_s >= self._limit_s:
                log.error(
                    "driver's loop has not advanced for %.0f s; ending the process to be restarted",
                    self._silent_s,
                )
                faulthandler.dump_traceback()
                os._exit(DaemonExit.RESTART)


@contextmanager
def closing_within(limit_s: float) -> Iterator[None]:
    """End the process, to be restarted, if this block takes longer: it closes what may hang.

    The exception that is on its way goes to the log first, as nobody else would see it.
    """
    timer = threading.Timer(limit_s, _end_closing, [limit_s, sys.exception()])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end_closing(limit_s: float, error: BaseException | None) -> None:
    log.error(
        "driver did not close within %.0f s; ending the process to be restarted",
        limit_s,
        exc_info=error,
    )
    os._exit(DaemonExit.RESTART)
