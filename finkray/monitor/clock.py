"""The machine's two clocks, and what happens when the one on the wall is put right.

The wall clock says when something was, to others: it may jump, as NTP or an administrator wants.
How long something takes, and whether it is time, is asked of the monotonic clock, which never does.
"""

import time
from collections import deque
from typing import NamedTuple

JUMP_S = 2.0
"""NTP lets a clock run 0.05 % faster or slower at most: this much between two looks is a jump."""

REMEMBERED_S = 600.0
"""A jump is told for so long: the latencies and curves of these minutes may look odd."""


class Moment(NamedTuple):
    """One moment on both clocks: seconds of Unix time, and seconds that never go backwards."""

    wall_s: float
    monotonic_s: float


def now() -> Moment:
    """The present moment."""
    return Moment(time.time(), time.monotonic())


def wall_s_of(monotonic_s: float, at: Moment) -> float:
    """When a moment was, in Unix time, by what the wall clock says at `at`."""
    return at.wall_s - (at.monotonic_s - monotonic_s)


class JumpWatch:
    """Notices jumps of the wall clock; a machine that slept is one too."""

    def __init__(self) -> None:
        self._last: Moment | None = None
        self._jumps: deque[Moment] = deque(maxlen=8)

    def look(self, moment: Moment) -> float:
        """By how many seconds the wall clock has jumped lately; 0 if it has not."""
        if self._last is not None:
            gone_s = moment.monotonic_s - self._last.monotonic_s
            jumped_s = moment.wall_s - self._last.wall_s - gone_s
            if abs(jumped_s) >= JUMP_S:
                self._jumps.append(Moment(jumped_s, moment.monotonic_s))
        self._last = moment
        while self._jumps and moment.monotonic_s - self._jumps[0].monotonic_s > REMEMBERED_S:
            self._jumps.popleft()
        return self._jumps[-1].wall_s if self._jumps else 0.0
