"""Keep the values that curves of pages show since the page was started: a snapshot has few."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, Protocol, TypeVar

from finkray.status.archive import RatePoint, Snapshot, Stage

STEP_S: Final = 10
"""Seconds of which one point is kept, with the highest values: a visit lasts longer."""

KEPT: Final = timedelta(hours=14)
"""The longest night."""

_SET_BACK: Final = timedelta(seconds=STEP_S)
"""After a clock was set back by less, the curves get no new points for as long."""

MOST_DRAWN: Final = 400
"""Points of a curve; more are less than a pixel apart on most screens, and 5 kB each time."""


class _Dated(Protocol):
    @property
    def at(self) -> datetime:
        """The time of the point."""


PointT = TypeVar("PointT", bound=_Dated)


@dataclass(frozen=True, slots=True)
class LatencyPoint:
    """Within which time 95 % of the alerts of the last minutes reached each stage.

    Attributes
    ----------
    at
        the time of the snapshot, UTC
    p95_s
        seconds from Kafka's timestamp, by stage; one that no alert reached is missing
    """

    at: datetime
    p95_s: dict[Stage, float]


class History(Generic[PointT]):
    """Keeps the points of the last hours; one thread adds, others read.

    Parameters
    ----------
    highest
        Makes one point of several: the first time, and the highest of each value.
    """

    def __init__(self, highest: Callable[[Sequence[PointT]], PointT]) -> None:
        self._highest = highest
        self._points: deque[PointT] = deque(maxlen=round(KEPT.total_seconds()) // STEP_S)
        self._last_at: datetime | None = None
        self._lock = threading.Lock()

    def add(self, points: Sequence[PointT]) -> None:
        """Add those points, in the order of time, that are newer than all before.

        If even the newest one is older, the archive's clock was set back: kept points with later
        dates were dated by the wrong clock, and are dropped.
        """
        with self._lock:
            if points and self._last_at is not None and points[-1].at < self._last_at - _SET_BACK:
                while self._points and self._points[-1].at >= points[-1].at:
                    self._points.pop()
                self._last_at = self._points[-1].at if self._points else None
            for point in points:
                if self._last_at is not None and point.at <= self._last_at:
                    continue
                self._last_at = point.at
                last = self._points[-1] if self._points else None
                if last is not None and _step(last.at, STEP_S) == _step(point.at, STEP_S):
                    self._points[-1] = self._highest([last, point])
                else:
                    self._points.append(point)

    def last(self, span: timedelta, most: int = MOST_DRAWN) -> tuple[PointT, ...]:
        """Return the points of a time before the newest, about `most` of them at most."""
        with self._lock:
            points = tuple(self._points)
        if not points:
            return ()
        points = tuple(point for point in points if point.at >= points[-1].at - span)
        width_s = max(STEP_S, span.total_seconds() / most)
        groups: dict[int, list[PointT]] = {}
        for point in points:
            groups.setdefault(_step(point.at, width_s), []).append(point)
        return tuple(map(self._highest, groups.values()))


class ArchiveHistory:
    """Rates and latencies of the archive since the page was started."""

    def __init__(self) -> None:
        self.rates = History(_highest_rates)
        self.latencies = History(_highest_latencies)

    def add(self, snapshot: Snapshot) -> None:
        """Add what a snapshot tells that is new."""
        self.rates.add(snapshot.history)
        of_stages = {each.stage: each.p95_s for each in snapshot.latency}
        self.latencies.add([LatencyPoint(snapshot.at, of_stages)])


def _step(at: datetime, width_s: float) -> int:
    return int(at.astimezone(UTC).timestamp() // width_s)


def _highest_rates(points: Sequence[RatePoint]) -> RatePoint:
    return RatePoint(
        at=points[0].at,
        incoming_per_s=max(point.incoming_per_s for point in points),
        archived_per_s=max(point.archived_per_s for point in points),
        lag=max(point.lag for point in points),
    )


def _highest_latencies(points: Sequence[LatencyPoint]) -> LatencyPoint:
    found: dict[Stage, float] = {}
    for point in points:
        for stage, p95_s in point.p95_s.items():
            found[stage] = max(p95_s, found.get(stage, p95_s))
    return LatencyPoint(points[0].at, found)
