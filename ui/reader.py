"""One thread that asks for the status, however many pages are open."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from finkray.status import Snapshot
from ui.view import Reading

logger = logging.getLogger(__name__)

Source = Callable[[], Snapshot | None]
"""Gives the newest snapshot, or None when no archive has said anything."""


class StatusReader:
    """Reads the source in the background; `latest` never waits for it.

    Parameters
    ----------
    source
        May take its time and may raise: both become something that the page says.
    interval_s
        Seconds from the end of one reading to the start of the next.
    """

    def __init__(self, source: Source, interval_s: float) -> None:
        self._source = source
        self._interval_s = interval_s
        self._latest = Reading(None, datetime.now(UTC), "not asked yet")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop reading; a source that hangs is left behind, for the thread is a daemon."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def latest(self) -> Reading:
        """The last answer, and when it came."""
        return self._latest

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._latest = self._read()
            self._stopping.wait(self._interval_s)

    def _read(self) -> Reading:
        try:
            snapshot = self._source()
        except Exception as error:
            # Whatever it is, the person who looks at the page is who must hear of it.
            problem = f"{type(error).__name__}: {error}"
            if problem != self._latest.problem:
                logger.exception("The status cannot be read")
            return Reading(self._latest.snapshot, datetime.now(UTC), problem)
        return Reading(snapshot, datetime.now(UTC))
