"""What a process with user's code has of its own in memory, with those that it started."""

import time

import psutil

KIN_S = 1.0
"""How often it is looked whom it has started: that takes milliseconds, more on a busy node."""

KIN_SHARE = 0.02
"""And at most this share of the time is spent so."""


class Memory:
    """Watches a process.

    Parameters
    ----------
    pid
        its number
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._family_bytes = 0
        self._next_s = 0.0

    def own_bytes(self) -> int:
        """Resident memory without what is shared with others; 0 when it has ended.

        Of processes that it started what is private to each counts, so that a model which was
        loaded before a fork counts once.
        """
        begun_s = time.monotonic()
        if begun_s >= self._next_s:
            self._family_bytes = self._of_family()
            ended_s = time.monotonic()
            self._next_s = ended_s + max(KIN_S, (ended_s - begun_s) / KIN_SHARE)
        try:
            memory = self._process.memory_info()
        except psutil.Error:
            return 0
        alone = int(memory.rss - getattr(memory, "shared", 0))
        return max(alone, self._family_bytes)

    def _of_family(self) -> int:
        try:
            kin = self._process.children(recursive=True)
        except psutil.Error:
            return 0
        return sum(map(_private_bytes, (self._process, *kin))) if kin else 0


def _private_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:  # it has ended, or is somebody else's by now
        return 0
