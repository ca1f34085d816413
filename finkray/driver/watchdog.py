"""Ends a driver whose loop stands still: a call into a JVM that hangs has no time limit."""

import faulthandler
import logging
import os
import threading
from types import TracebackType
from typing import Self

from finkray.host.supervise import EXIT_RETRIABLE

LOOK_S = 1.0

log = logging.getLogger(__name__)


class Watchdog:
    """While it is entered, the process ends if `beat` is not called for `limit_s` seconds.

    It leaves with `EXIT_RETRIABLE` and without any cleaning up, which could hang too, so that
    its supervisor starts a fresh one. All threads' stacks go to standard error before.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._silent_s = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def beat(self) -> None:
        """The loop has come around."""
        self._silent_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()

    def _watch(self) -> None:
        # Its own looks are counted, and not the clock: when the whole process was stopped or the
        # machine slept, the loop is not to blame.
        while not self._closing.wait(LOOK_S):
            self._silent_s += LOOK_S
            if self._silent_s >= self._limit_s:
                log.error(
                    "the driver's loop has stood still for %.0f s: a fresh process is to go on",
                    self._silent_s,
                )
                faulthandler.dump_traceback()
                os._exit(EXIT_RETRIABLE)
