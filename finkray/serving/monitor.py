"""Counts and measures what a service does, for its snapshot."""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.services.messages import Answer

WINDOW_S = 60.0
"""Rates and percentiles are over so many seconds."""


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


def _quantiles(values: "Sequence[float] | np.ndarray", at: Sequence[float]) -> list[float]:
    if not len(values):
        return [0.0] * len(at)
    return [float(one) for one in np.quantile(values, at)]
