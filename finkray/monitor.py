"""What the driver counts, and the snapshot made of it. Pure but for the clock it is given."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from finkray.alarms import WHAT_TO_DO
from finkray.ingest_words import IngestReport, Published
from finkray.status import (
    Alarm,
    MicroBatchStatus,
    RatePoint,
    Stage,
    StageLatency,
)
from finkray.visits import Visits

LATENCY_WINDOW_S = 120.0
"""Latencies are those of the last two minutes: long enough for a visit each 37 s to be in
it, short enough to show trouble that begins."""

RATE_WINDOW_S = 5.0
"""Rates are averages over this time: a micro-batch or two."""

HISTORY_POINTS = 600
"""Ten minutes of curves at a point each second."""

QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class _Durable:
    """Latencies, in seconds since the Kafka timestamp, of one claim's alerts."""

    at_s: float
    stages: Mapping[Stage, np.ndarray]


@dataclass(frozen=True, slots=True)
class _Point:
    at_s: float
    messages: int
    message_bytes: int
    durable: int


class Monitor:
    """Counts and measures; `finkray.archiver` feeds it and publishes what it makes of it."""

    def __init__(self) -> None:
        self._taken_by_incarnation: dict[str, tuple[int, int]] = {}
        self._durable = 0
        self._points: deque[_Point] = deque()
        self._history: deque[RatePoint] = deque(maxlen=HISTORY_POINTS)
        self._latencies: deque[_Durable] = deque()
        self._batch_durations_s: deque[float] = deque(maxlen=500)
        self._batches = 0
        self._last_batch = (0, 0, 0.0)
        self._writer_nodes: set[str] = set()
        self._alarms: dict[str, Alarm] = {}
        self.visits = Visits()

    def reported(self, report: IngestReport) -> None:
        """An actor's counters; they begin anew with each incarnation of the actor."""
        self._taken_by_incarnation[report.incarnation] = (report.messages, report.message_bytes)

    def micro_batch(
        self, claims: int, rows: int, duration_s: float, node_ids: Iterable[str]
    ) -> None:
        """A micro-batch of the query ended; its tasks ran on these nodes."""
        self._writer_nodes.update(node_ids)
        self._batches += 1
        self._last_batch = (claims, rows, duration_s)
        self._batch_durations_s.append(duration_s)

    def durable(self, claims: Sequence[Published], now_s: float) -> None:
        """Claims became durable at `now_s`, in Unix time."""
        self.visits.durable(claims, now_s)
        for claim in claims:
            self._durable += len(claim.kafka_s)
            if claim.lane == "backfill":
                continue  # its alerts are as old as the archive was away
            stages: dict[Stage, np.ndarray] = {
                "polled": claim.polled_s - claim.kafka_s,
                "decoded": claim.decoded_s - claim.kafka_s,
                "durable": now_s - claim.kafka_s,
            }
            self._latencies.append(_Durable(now_s, stages))

    def raise_alarms(self, messages: Mapping[str, str]) -> None:
        """Let these alarms be raised and no others; one that is raised already keeps its time.

        Parameters
        ----------
        messages
            for each code of `finkray.alarms` what is the matter
        """
        now = datetime.now(UTC)
        self._alarms = {
            code: Alarm(
                code=code,
                since=self._alarms[code].since if code in self._alarms else now,
                message=message,
                what_to_do=WHAT_TO_DO[code],
            )
            for code, message in messages.items()
        }

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """The alarms that are raised, oldest first."""
        return tuple(sorted(self._alarms.values(), key=lambda alarm: alarm.since))

    def tick(self, lag: int, now_s: float) -> None:
        """Take the counters' state at `now_s` as a point of the curves."""
        messages = sum(taken[0] for taken in self._taken_by_incarnation.values())
        message_bytes = sum(taken[1] for taken in self._taken_by_incarnation.values())
        self._points.append(_Point(now_s, messages, message_bytes, self._durable))
        while len(self._points) > 2 and self._points[1].at_s <= now_s - RATE_WINDOW_S:
            self._points.popleft()
        while self._latencies and self._latencies[0].at_s < now_s - LATENCY_WINDOW_S:
            self._latencies.popleft()
        incoming, _, archived = self.rates()
        self._history.append(
            RatePoint(at=_utc(now_s), incoming_per_s=incoming, archived_per_s=archived, lag=lag)
        )

    def rates(self) -> tuple[float, float, float]:
        """Alerts/s taken in, bytes/s taken in, alerts/s made durable, over the last seconds."""
        if len(self._points) < 2:
            return 0.0, 0.0, 0.0
        first, last = self._points[0], self._points[-1]
        seconds = max(last.at_s - first.at_s, 1e-3)
        return (
            (last.messages - first.messages) / seconds,
            (last.message_bytes - first.message_bytes) / seconds,
            (last.durable - first.durable) / seconds,
        )

    @property
    def history(self) -> tuple[RatePoint, ...]:
        """The curves."""
        return tuple(self._history)

    def latency(self) -> tuple[StageLatency, ...]:
        """Percentiles of each stage over the latency window."""
        stages: Sequence[Stage] = ("polled", "decoded", "durable")
        return tuple(found for stage in stages if (found := self._stage_latency(stage)) is not None)

    def micro_batches(self) -> MicroBatchStatus | None:
        """The query's micro-batches, or None before the first."""
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
