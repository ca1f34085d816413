"""Figures of each filter: rate and latency of what it sent lately, and what was refused."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

WINDOW_S: Final = 60.0
"""Figures are of this time: a minute has two visits of LSST."""


REFUSED_S: Final = 3600.0
"""How long a message that was not sent counts as refused lately."""


@dataclass(frozen=True, slots=True)
class SentFigures:
    """Figures of a filter.

    Attributes
    ----------
    per_s
        messages a second, of the last minute
    latency_p50_s, latency_p95_s
        from durable to committed in Kafka, of the last minute
    refused_lately
        messages that were not sent, of the last hour
    """

    per_s: float = 0.0
    latency_p50_s: float = 0.0
    latency_p95_s: float = 0.0
    refused_lately: int = 0


class SentWindow:
    """What was sent lately, by filter."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[tuple[float, int, float]]] = {}
        self._refused: dict[str, deque[tuple[float, int]]] = {}

    def add_refused(self, name: str, count: int) -> None:
        """Add messages of a filter that were not sent."""
        if count:
            self._refused.setdefault(name, deque()).append((time.monotonic(), count))

    def add(
        self, sent_counts: Mapping[str, int], durable_at: datetime | None, sent_at: datetime
    ) -> None:
        """Add a file whose messages were committed.

        Parameters
        ----------
        sent_counts
            how many were sent, by filter
        durable_at
            when its alerts were committed to the ledger
        sent_at
            when the Kafka transaction was committed
        """
        latency_s = 0.0 if durable_at is None else (sent_at - durable_at).total_seconds()
        for name, count in sent_counts.items():
            if count:
                entry = (time.monotonic(), count, max(0.0, latency_s))
                self._sent.setdefault(name, deque()).append(entry)

    def figures(self, name: str) -> SentFigures:
        """Return the figures of a filter."""
        now_s = time.monotonic()
        refused = self._refused.get(name, deque())
        while refused and refused[0][0] < now_s - REFUSED_S:
            refused.popleft()
        refused_lately = sum(count for _, count in refused)
        sent = self._sent.get(name, deque())
        while sent and sent[0][0] < now_s - WINDOW_S:
            sent.popleft()
        if not sent:
            return SentFigures(refused_lately=refused_lately)
        counts = np.array([count for _, count, _ in sent])
        latencies = np.array([latency_s for _, _, latency_s in sent])
        order = np.argsort(latencies)
        shares = np.cumsum(counts[order]) / counts.sum()
        p50_s, p95_s = (latencies[order][np.searchsorted(shares, q)] for q in (0.5, 0.95))
        per_s = float(counts.sum()) / WINDOW_S
        return SentFigures(per_s, float(p50_s), float(p95_s), refused_lately)
