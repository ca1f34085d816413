"""End an ingest actor in time when its process takes more memory than it may."""

import ctypes
import logging
import threading
import time
from collections.abc import Callable

import psutil

WATCH_S = 0.05
"""Interval between two looks, of 20 us each. The Kafka client unpacks 1 GB/s at most, so that 50 MB
more are taken between two of them."""

TRIM_AT = 0.75
"""Part of the bound from which freed memory is given back to the kernel, which the C library keeps
after a large batch."""

TRIM_PAUSE_S = 5.0
"""Pause between two such attempts, which take milliseconds."""

log = logging.getLogger(__name__)


class MemoryWatch:
    """Looks at the memory of this process, on a thread of its own.

    Parameters
    ----------
    limit_bytes
        most resident memory without shared pages
    on_exceeded
        called once, on that thread, with the memory that is taken
    """

    def __init__(self, limit_bytes: int, on_exceeded: Callable[[int], None]) -> None:
        self._limit_bytes = limit_bytes
        self._on_exceeded = on_exceeded
        self._process = psutil.Process()
        self._unknown = False
        threading.Thread(target=self._run, name="memory-watch", daemon=True).start()

    def _run(self) -> None:
        trim_at_s = 0.0
        while (used_bytes := self._used_bytes()) <= self._limit_bytes:
            now_s = time.monotonic()
            if used_bytes >= TRIM_AT * self._limit_bytes and now_s >= trim_at_s:
                trim_at_s = now_s + TRIM_PAUSE_S
                give_back_freed_memory()
            time.sleep(WATCH_S)
        self._on_exceeded(used_bytes)

    def _used_bytes(self) -> int:
        """Return the memory that is taken; 0 if that is not known now, as without a free file."""
        try:
            memory = self._process.memory_info()
        except (OSError, psutil.Error) as error:
            if not self._unknown:  # once
                log.warning("the memory of this process is not known, will retry: %s", error)
            self._unknown = True
            return 0
        self._unknown = False
        # Batches lie in Ray's object store, whose pages are shared.
        return int(memory.rss - getattr(memory, "shared", 0))


def give_back_freed_memory() -> None:
    """Let the C library give memory that is free back to the kernel, if it can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
