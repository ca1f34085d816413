"""Count what the driver reports, and compute rates, latencies and curves of it.

Windows and rates are measured with the monotonic clock. The wall clock is used for latencies, which
start at Kafka's timestamp, and to date events for people.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from finkray.ingest.messages import IngestReport, ReadyClaim
from finkray.monitor.clock import Moment, unix_s_of
from finkray.monitor.raised_alarms import RaisedAlarms
from finkray.monitor.visits import Visits
from finkray.status.archive import (
    MicroBatchStatus,
    RatePoint,
    Stage,
    StageLatency,
)

LATENCY_WINDOW_S = 120.0
"""Latencies are those of the last two minutes: long enough to have visits in it, which come every
37 s, and short enough to show a new trouble."""

RATE_WINDOW_S = 5.0
"""Rates are averages over this time: a micro-batch or two."""

HISTORY_POINTS = 600
"""Ten minutes of curves with one point per second."""

QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class _Durable:
    """Latencies, in seconds since the Kafka timestamp, of one claim's alerts."""

    monotonic_s: float
    stages: Mapping[Stage, np.ndarray]


@dataclass(frozen=True, slots=True)
class _Point:
    monotonic_s: float
    messages: int
    message_bytes: int
    durable: int


class _Curve(NamedTuple):
    monotonic_s: float
    incoming_per_s: float
    archived_per_s: float
    lag: int


class Monitor:
    """The figures of one run of the archive; the driver's loop feeds and reads it.

    Attributes
    ----------
    visits
        the last visits
    raised
        the alarms
    """

    def __init__(self) -> None:
        self._read_by_incarnation: dict[str, tuple[int, int]] = {}
        self._durable = 0
        self._points: deque[_Point] = deque()
        self._history: deque[_Curve] = deque(maxlen=HISTORY_POINTS)
        self._stalled_since_s: dict[str, float] = {}
        self._latencies: deque[_Durable] = deque()
        self._batch_durations_s: deque[float] = deque(maxlen=500)
        self._batches = 0
        self._last_batch = (0, 0, 0.0)
        self._writer_nodes: set[str] = set()
        self.visits = Visits()
        self.raised = RaisedAlarms()

    def add_report(self, report: IngestReport, at: Moment) -> None:
        """Add the counters of an actor, which start at 0 with each incarnation of it."""
        read = (report.messages, report.message_bytes)
        if report.paused and self._read_by_incarnation.get(report.incarnation) == read:
            self._stalled_since_s.setdefault(report.incarnation, at.monotonic_s)
        else:
            self._stalled_since_s.pop(report.incarnation, None)
        self._read_by_incarnation[report.incarnation] = read

    def stalled_s(self, report: IngestReport, at: Moment) -> float:
        """Return for how long this actor has had no room and has read no message."""
        return at.monotonic_s - self._stalled_since_s.get(report.incarnation, at.monotonic_s)

    def add_micro_batch(
        self, claims: int, rows: int, duration_s: float, node_ids: Iterable[str]
    ) -> None:
        """Add a micro-batch of the query, whose tasks ran on these nodes."""
        self._writer_nodes.update(node_ids)
        self._batches += 1
        self._last_batch = (claims, rows, duration_s)
        self._batch_durations_s.append(duration_s)

    def add_durable(self, claims: Sequence[ReadyClaim], at: Moment) -> None:
        """Add claims that became durable."""
        self.visits.durable(claims, at.unix_s)
        for claim in claims:
            self._durable += len(claim.kafka_s)
            if claim.lane == "backfill":
                continue  # its alerts waited in Kafka while the archive was stopped
            stages: dict[Stage, np.ndarray] = {
                "polled": claim.polled_s - claim.kafka_s,
                "decoded": claim.decoded_s - claim.kafka_s,
                "durable": at.unix_s - claim.kafka_s,
            }
            self._latencies.append(_Durable(at.monotonic_s, stages))

    def tick(self, lag: int, at: Moment) -> None:
        """Add a point to the curves, from the present state of the counters."""
        now_s = at.monotonic_s
        messages = sum(read[0] for read in self._read_by_incarnation.values())
        message_bytes = sum(read[1] for read in self._read_by_incarnation.values())
        self._points.append(_Point(now_s, messages, message_bytes, self._durable))
        while len(self._points) > 2 and self._points[1].monotonic_s <= now_s - RATE_WINDOW_S:
            self._points.popleft()
        while self._latencies and self._latencies[0].monotonic_s < now_s - LATENCY_WINDOW_S:
            self._latencies.popleft()
        incoming, _, archived = self.rates()
        self._history.append(_Curve(now_s, incoming, archived, lag))

    def rates(self) -> tuple[float, float, float]:
        """Return alerts/s read, bytes/s read and alerts/s made durable, over `RATE_WINDOW_S`."""
        if len(self._points) < 2:
            return 0.0, 0.0, 0.0
        first, last = self._points[0], self._points[-1]
        seconds = max(last.monotonic_s - first.monotonic_s, 1e-3)
        return (
            (last.messages - first.messages) / seconds,
            (last.message_bytes - first.message_bytes) / seconds,
            (last.durable - first.durable) / seconds,
        )

    def history(self, at: Moment) -> tuple[RatePoint, ...]:
        """Return the curves, dated by the wall clock as it is now."""
        return tuple(
            RatePoint(
                at=_utc(unix_s_of(point.monotonic_s, at)),
                incoming_per_s=point.incoming_per_s,
                archived_per_s=point.archived_per_s,
                lag=point.lag,
            )
            for point in self._history
        )

    @property
    def lags(self) -> list[tuple[float, int]]:
        """The lag over time: pairs of monotonic seconds and offsets."""
        return [(point.monotonic_s, point.lag) for point in self._history]

    def latency(self) -> tuple[StageLatency, ...]:
        """Return percentiles of the latency of each stage over `LATENCY_WINDOW_S`."""
        stages: Sequence[Stage] = ("polled", "decoded", "durable")
        return tuple(
            latency for stage in stages if (latency := self._stage_latency(stage)) is not None
        )

    def micro_batches(self) -> MicroBatchStatus | None:
        """Return figures of the query's micro-batches, or None before the first."""
        if not self._batches:
            return None
        p50, p95 = np.quantile(self._batch_durations_s, (0.5, 0.95))
        claims, rows, duration_s = self._last_batch
        return MicroBatchStatus(
            batches=self._batches,
            last_claims=claims,
            last_rows=rows,
            last_duration_s=duration_s,
            p50_duration_s=float(p50),
            p95_duration_s=float(p95),
            writer_node_ids=tuple(sorted(self._writer_nodes)),
        )

    def _stage_latency(self, stage: Stage) -> StageLatency | None:
        if not self._latencies:
            return None
        seconds = np.concatenate([durable.stages[stage] for durable in self._latencies])
        seconds = seconds[np.isfinite(seconds)]
        if seconds.size == 0:
            return None
        p50, p95, p99 = (float(value) for value in np.quantile(seconds, QUANTILES))
        return StageLatency(stage=stage, alerts=int(seconds.size), p50_s=p50, p95_s=p95, p99_s=p99)


def _utc(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
