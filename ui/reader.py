"""One thread that asks for something, however many pages are open."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, TypeVar

from ui.view import Reading

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Reader(Generic[T]):
    """Reads a source in the background; `latest` never waits for it.

    Parameters
    ----------
    source
        Gives what is newest, or None when there is nothing. May take its time and may raise: both
        become something that the page says.
    interval_s
        Seconds from the end of one reading to the start of the next.
    name
        What it is that is read, for the log.
    """

    def __init__(self, source: Callable[[], T | None], interval_s: float, name: str) -> None:
        self._source = source
        self._interval_s = interval_s
        self._name = name
        self._latest: Reading[T] = Reading(None, datetime.now(UTC), "not asked yet")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{name}-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop reading; a source that hangs is left behind, for the thread is a daemon."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def latest(self) -> Reading[T]:
        """The last answer, and when it came."""
        return self._latest

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._latest = self._read()
            self._stopping.wait(self._interval_s)

    def _read(self) -> Reading[T]:
        try:
            snapshot = self._source()
        except Exception as error:
            # Whatever it is, the person who looks at the page is who must hear of it.
            problem = f"{type(error).__name__}: {error}"
            if problem != self._latest.problem:
                logger.exception("The %s cannot be read", self._name)
            return Reading(self._latest.snapshot, datetime.now(UTC), problem)
        return Reading(snapshot, datetime.now(UTC))
