"""One background thread that reads one source, however many tabs are open."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, TypeVar

from finkray.monitor.clock import Moment, now, unix_s_of
from finkray.text import error_text
from ui.kit.reading import Reading

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Reader(Generic[T]):
    """Reads a source in the background; `latest` never waits for it.

    Parameters
    ----------
    source
        Returns the newest value, or None if there is none. May be slow and may raise: the page
        shows both.
    interval_s
        Seconds from the end of one reading to the start of the next.
    name
        Name of the source, for the log.
    clock
        Returns the present moment.
    """

    def __init__(
        self,
        source: Callable[[], T | None],
        interval_s: float,
        name: str,
        clock: Callable[[], Moment] = now,
    ) -> None:
        self._source = source
        self._interval_s = interval_s
        self._name = name
        self._listeners: list[Callable[[T], None]] = []
        self._clock = clock
        self._latest: tuple[Moment, T | None, str | None] = (clock(), None, "not read yet")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{name}-reader", daemon=True)

    def listen(self, heard: Callable[[T], None]) -> None:
        """Call a function with each value that is read from now on; it must return soon."""
        self._listeners.append(heard)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop the thread; a source that hangs is abandoned, for the thread is a daemon."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def latest(self) -> Reading[T]:
        """Return the last answer, dated by the clock as it is now, which may have been set."""
        read, value, problem = self._latest
        read_s = unix_s_of(read.monotonic_s, self._clock())
        return Reading(value, datetime.fromtimestamp(read_s, UTC), problem)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._latest = self._read()
            self._stopping.wait(self._interval_s)

    def _read(self) -> tuple[Moment, T | None, str | None]:
        try:
            value = self._source()
            if value is not None:
                for heard in self._listeners:
                    heard(value)
        except Exception as error:
            # Every failure must reach the viewer, and none may end the thread.
            problem = error_text(error)
            _, last, last_problem = self._latest
            if problem != last_problem:
                logger.exception("page: cannot read the source %r", self._name)
            return self._clock(), last, problem
        return self._clock(), value, None
