"""Read the machine's two clocks together, and notice jumps of the wall clock.

The wall clock dates events for people and other machines; NTP or an administrator may make it jump.
Durations and deadlines are measured with the monotonic clock, which never jumps.
"""

import time
from collections import deque
from datetime import UTC, datetime
from typing import NamedTuple

JUMP_S = 2.0
"""NTP lets a clock run 0.05 % faster or slower at most: this much between readings is a jump."""

REMEMBERED_S = 600.0
"""A jump is reported for this long: the latencies and curves of these minutes may be wrong."""


class Moment(NamedTuple):
    """One moment on both clocks: seconds of Unix time, and seconds that never go backwards."""

    unix_s: float
    monotonic_s: float


def now() -> Moment:
    """Return the present moment."""
    return Moment(time.time(), time.monotonic())


def utc_of(moment: Moment) -> datetime:
    """Return the date of a moment, UTC."""
    return datetime.fromtimestamp(moment.unix_s, UTC)


def unix_s_of(monotonic_s: float, at: Moment) -> float:
    """Return the Unix time of a monotonic moment, by the wall clock as it is at `at`."""
    return at.unix_s - (at.monotonic_s - monotonic_s)


def dated_again(moment: Moment, at: Moment) -> Moment:
    """Return an earlier moment as the wall clock dates it now, if that was set back since.

    So it never lies in the future, and what lasts never lasts less than nothing. A clock that went
    forward changes no date: it does that too while the machine sleeps.
    """
    return moment._replace(unix_s=min(moment.unix_s, unix_s_of(moment.monotonic_s, at)))


class _Jump(NamedTuple):
    """By how many seconds the wall clock jumped, and when on the monotonic clock."""

    jumped_s: float
    at_s: float


class JumpWatch:
    """Notices jumps of the wall clock; the sleep of a machine is one too."""

    def __init__(self) -> None:
        self._last: Moment | None = None
        self._jumps: deque[_Jump] = deque(maxlen=8)

    def check(self, moment: Moment) -> float:
        """Return by how many seconds the wall clock jumped lately; 0 if it did not."""
        if self._last is not None:
            elapsed_s = moment.monotonic_s - self._last.monotonic_s
            jumped_s = moment.unix_s - self._last.unix_s - elapsed_s
            if abs(jumped_s) >= JUMP_S:
                self._jumps.append(_Jump(jumped_s, moment.monotonic_s))
        self._last = moment
        while self._jumps and moment.monotonic_s - self._jumps[0].at_s > REMEMBERED_S:
            self._jumps.popleft()
        return self._jumps[-1].jumped_s if self._jumps else 0.0
