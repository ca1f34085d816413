"""Count and measure the work of a service, for its snapshot.

The wall clock is used for latencies alone, which start at Kafka's timestamp: it may be set.
"""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.monitor.clock import Moment
from finkray.services.messages import Answer
from finkray.timestamps import is_plausible

WINDOW_S = 60.0
"""Rates and percentiles are over this time."""


class ServiceMonitor:
    """Counts and measures the work of a service.

    Parameters
    ----------
    started
        when the service started
    """

    def __init__(self, started: Moment) -> None:
        self._started_s = started.monotonic_s
        self._batches: deque[tuple[float, int, Answer]] = deque()
        self._durable: deque[tuple[float, np.ndarray]] = deque()
        self.any_answered = False
        self.by_status: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()

    def answered(self, rows: int, answer: Answer, at: Moment) -> None:
        """Count the answer for a batch, or its fault."""
        if answer.fault is None:
            self.any_answered = True
        else:
            self.faults[answer.fault] += 1
        self._batches.append((at.monotonic_s, rows, answer))
        self._forget(at)

    def durable(self, rows: pa.Table, at: Moment) -> None:
        """Count results that became durable, by their `kafka_timestamp` and `status`."""
        if not rows.num_rows:
            return
        self.by_status.update(rows["status"].to_pylist())
        stamps = pc.drop_null(rows["kafka_timestamp"].combine_chunks()).cast(pa.int64())
        ms = stamps.to_numpy(zero_copy_only=False)
        # Archives of earlier releases have absurd times in the column.
        self._durable.append((at.monotonic_s, at.unix_s - ms[is_plausible(ms)] / 1000))
        self._forget(at)

    @property
    def rows_per_s(self) -> float:
        """Alerts that one worker processes in a second of its time; 0 while that is not known."""
        done = [(rows, reply.wall_s) for _, rows, reply in self._batches if reply.fault is None]
        seconds = sum(wall_s for _, wall_s in done)
        return sum(rows for rows, _ in done) / max(seconds, 1e-6) if done else 0.0

    def figures(self, at: Moment) -> dict[str, Any]:
        """Return rates and percentiles, by their names in the snapshot."""
        self._forget(at)
        done = [(rows, reply) for _, rows, reply in self._batches if reply.fault is None]
        rows = sum(count for count, _ in done)
        cpu_s = sum(reply.cpu_s for _, reply in done)
        since_s = max(min(WINDOW_S, at.monotonic_s - self._started_s), 1e-3)
        walls = _quantiles([reply.wall_s for _, reply in done], (0.5, 0.99))
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
            "memory_bytes": max((reply.memory_bytes for _, _, reply in self._batches), default=0),
        }

    def _forget(self, at: Moment) -> None:
        for kept in (self._batches, self._durable):
            while kept and kept[0][0] < at.monotonic_s - WINDOW_S:
                kept.popleft()


def _quantiles(values: "Sequence[float] | np.ndarray", at: Sequence[float]) -> list[float]:
    if not len(values):
        return [0.0] * len(at)
    return [float(value) for value in np.quantile(values, at)]
