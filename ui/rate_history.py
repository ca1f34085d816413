"""The rates since the page was started: an archive's snapshot has its last minutes alone."""

import threading
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from finkray.status.archive import RatePoint, Snapshot

STEP_S: Final = 10
"""Seconds of which one point is kept, with the highest values: a visit lasts longer."""

KEPT: Final = timedelta(hours=14)
"""The longest night."""

MOST_DRAWN: Final = 400
"""Points of a curve; more are less than a pixel apart on most screens, and 5 kB each time."""


class RateHistory:
    """Keeps the rates of the last hours; one thread adds, others read."""

    def __init__(self) -> None:
        self._points: deque[RatePoint] = deque(maxlen=round(KEPT.total_seconds()) // STEP_S)
        self._last_at: datetime | None = None
        self._lock = threading.Lock()

    def add(self, snapshot: Snapshot) -> None:
        """Add those points of a snapshot that are newer than all before."""
        with self._lock:
            for point in snapshot.history:
                if self._last_at is not None and point.at <= self._last_at:
                    continue
                self._last_at = point.at
                last = self._points[-1] if self._points else None
                if last is not None and _step(last.at, STEP_S) == _step(point.at, STEP_S):
                    self._points[-1] = _highest([last, point])
                else:
                    self._points.append(point)

    def last(self, span: timedelta) -> tuple[RatePoint, ...]:
        """Return the points of a time before the newest, about `MOST_DRAWN` at most."""
        with self._lock:
            points = tuple(self._points)
        if not points:
            return ()
        points = tuple(point for point in points if point.at >= points[-1].at - span)
        width_s = max(STEP_S, span.total_seconds() / MOST_DRAWN)
        groups: dict[int, list[RatePoint]] = {}
        for point in points:
            groups.setdefault(_step(point.at, width_s), []).append(point)
        return tuple(map(_highest, groups.values()))


def _step(at: datetime, width_s: float) -> int:
    return int(at.astimezone(UTC).timestamp() // width_s)


def _highest(points: Iterable[RatePoint]) -> RatePoint:
    points = list(points)
    return RatePoint(
        at=points[0].at,
        incoming_per_s=max(point.incoming_per_s for point in points),
        archived_per_s=max(point.archived_per_s for point in points),
        lag=max(point.lag for point in points),
    )
