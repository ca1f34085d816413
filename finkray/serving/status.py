"""What a service that runs says of itself, and how it counts."""

from collections import Counter, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from finkray.services.words import Answer
from finkray.serving.core import Breaker
from finkray.status import State

WINDOW_S = 60.0
"""Rates and percentiles are over so many seconds."""


class ServiceSnapshot(BaseModel):
    """All that a service says of itself at one moment. Times are UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    name: str = Field(description="of the folder of its results")
    service: str
    version: str
    spec: str
    state: State
    started_at: datetime
    at: datetime
    actors: int = Field(0, description="how many are warm")
    actors_wanted: int = 0
    busy: int = 0
    waiting: int = Field(0, description="alerts that are durable and have no result yet")
    waiting_more: bool = Field(default=False, description="and more that were not looked at yet")
    behind_s: float = Field(0.0, description="age of the oldest claim without results")
    alerts_per_s: float = 0.0
    alerts_per_s_a_core: float = Field(0.0, description="alerts for each second of CPU in process")
    batch_p50_s: float = 0.0
    batch_p99_s: float = 0.0
    latency_p50_s: float = Field(0.0, description="from the Kafka timestamp until durable")
    latency_p95_s: float = 0.0
    latency_p99_s: float = 0.0
    memory_bytes: int = Field(0, description="most that one process had of its own lately")
    by_status: dict[str, int] = Field({}, description="rows written since it was started")
    results: int = Field(0, description="rows in the store, of all time")
    breaker: Breaker = "closed"
    breaker_opened: int = 0
    last_fault: str = ""
    faults: dict[str, int] = Field({}, description="batches without any answer, by fault")


class ServiceMonitor:
    """Counts what a service does.

    Parameters
    ----------
    now_s
        the time, Unix
    """

    def __init__(self, now_s: float) -> None:
        self._started_s = now_s
        self._batches: deque[tuple[float, int, Answer]] = deque()
        self._durable: deque[tuple[float, np.ndarray]] = deque()
        self.any_answered = False
        self.by_status: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def answered(self, rows: int, answer: Answer, now_s: float) -> None:
        """A batch ended."""
        if answer.fault is None:
            self.any_answered = True
        else:
            self.faults[answer.fault] += 1
        self._batches.append((now_s, rows, answer))
        self._forget(now_s)

    def durable(self, rows: pa.Table, now_s: float) -> None:
        """Rows with `kafka_timestamp` and `status` are in the store."""
        if not rows.num_rows:
            return
        self.by_status.update(rows["status"].to_pylist())
        stamps = pc.drop_null(rows["kafka_timestamp"].combine_chunks()).cast(pa.int64())
        self._durable.append((now_s, now_s - stamps.to_numpy(zero_copy_only=False) / 1000))
        self._forget(now_s)

    @property
    def rows_per_s(self) -> float:
        """Alerts that one worker does in a second of its time; 0 while not known."""
        done = [(rows, one.wall_s) for _, rows, one in self._batches if one.fault is None]
        seconds = sum(wall_s for _, wall_s in done)
        return sum(rows for rows, _ in done) / max(seconds, 1e-6) if done else 0.0

    def figures(self, now_s: float) -> dict[str, Any]:
        """Rates and percentiles, by their names in the snapshot."""
        self._forget(now_s)
        done = [(rows, one) for _, rows, one in self._batches if one.fault is None]
        rows = sum(count for count, _ in done)
        cpu_s = sum(one.cpu_s for _, one in done)
        since_s = max(min(WINDOW_S, now_s - self._started_s), 1e-3)
        walls = _quantiles([one.wall_s for _, one in done], (0.5, 0.99))
        waits = np.concatenate([stamps for _, stamps in self._durable] or [np.zeros(0)])
        latencies = _quantiles(waits, (0.5, 0.95, 0.99))
        return {
            "alerts_per_s": rows / since_s,
            "alerts_per_s_a_core": rows / cpu_s if cpu_s > 0 else 0.0,
            "batch_p50_s": walls[0],
            "batch_p99_s": walls[1],
            "latency_p50_s": latencies[0],
            "latency_p95_s": latencies[1],
            "latency_p99_s": latencies[2],
            "memory_bytes": max((one.memory_bytes for _, _, one in self._batches), default=0),
        }

    def _forget(self, now_s: float) -> None:
        for kept in (self._batches, self._durable):
            while kept and kept[0][0] < now_s - WINDOW_S:
                kept.popleft()


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def _quantiles(values: "Sequence[float] | np.ndarray", at: Sequence[float]) -> list[float]:
    if not len(values):
        return [0.0] * len(at)
    return [float(one) for one in np.quantile(values, at)]
