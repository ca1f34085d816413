"""Add up visits: how many alerts each gave, when they arrived and when they were durable.

Runs in the driver. The ingest actors count the visits of each claim (`finkray.ingest.visits`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np

from finkray.ingest.messages import NO_TIME_MS, ReadyClaim, VisitCount
from finkray.status.archive import VisitStatus

VISITS_KEPT: Final = 64
VISITS_SHOWN: Final = 20


@dataclass(slots=True)
class _Visit:
    alerts: int = 0
    detectors: set[int] = field(default_factory=set)
    first_ms: int = np.iinfo(np.int64).max
    last_ms: int = NO_TIME_MS
    durable_s: float = 0.0

    def add(self, count: VisitCount) -> None:
        self.alerts += count.alerts
        self.detectors.update(count.detectors)
        self.last_ms = max(self.last_ms, count.last_ms)
        if count.first_ms != NO_TIME_MS:
            self.first_ms = min(self.first_ms, count.first_ms)


class Visits:
    """The latest visits, at most `VISITS_KEPT` of them."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], _Visit] = {}
        self._forgotten_ms = NO_TIME_MS

    def durable(self, claims: Iterable[ReadyClaim], now_s: float) -> None:
        """Add the visits of claims that became durable at `now_s`, in Unix time."""
        for count in (count for claim in claims for count in claim.visits):
            key = (count.survey, count.visit)
            # A visit that was forgotten already would be counted only in part.
            if key not in self._known and count.last_ms < self._forgotten_ms:
                continue
            visit = self._known.setdefault(key, _Visit())
            visit.add(count)
            visit.durable_s = now_s
        while len(self._known) > VISITS_KEPT:
            key = min(self._known, key=lambda known: self._known[known].last_ms)
            self._forgotten_ms = max(self._forgotten_ms, self._known.pop(key).last_ms)

    def latest(self, uncommitted: Iterable[ReadyClaim]) -> tuple[VisitStatus, ...]:
        """Return the status of the latest visits, the latest first.

        Parameters
        ----------
        uncommitted
            claims that are ready and not durable yet
        """
        waiting: dict[tuple[str, int], _Visit] = {}
        for count in (count for claim in uncommitted for count in claim.visits):
            waiting.setdefault((count.survey, count.visit), _Visit()).add(count)
        shown = [
            _status(key, self._known.get(key, _Visit()), waiting.get(key, _Visit()))
            for key in self._known.keys() | waiting.keys()
        ]
        shown.sort(key=lambda status: (status.last_arrival or _EPOCH, status.visit), reverse=True)
        return tuple(shown[:VISITS_SHOWN])


_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def _status(key: tuple[str, int], done: _Visit, waiting: _Visit) -> VisitStatus:
    survey, visit = key
    first_ms, last_ms = min(done.first_ms, waiting.first_ms), max(done.last_ms, waiting.last_ms)
    dated = last_ms != NO_TIME_MS
    return VisitStatus(
        survey=survey,
        visit=visit,
        alerts=done.alerts + waiting.alerts,
        waiting=waiting.alerts,
        detectors=len(done.detectors | waiting.detectors),
        first_arrival=_utc(first_ms) if dated else None,
        last_arrival=_utc(last_ms) if dated else None,
        durable_s=done.durable_s - last_ms / 1e3 if dated and not waiting.alerts else None,
    )


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1e3, UTC)
