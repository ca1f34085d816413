"""Visits: how many alerts each exposure of a telescope gave, when they came and were durable.

The ingest actor counts each claim's (`count_visits`); the counts are small and travel with the
claim. The driver adds them up (`Visits`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.ingest.messages import VisitCount
from finkray.packets.columns import EARLIEST_MS, LATEST_MS, field_of_record
from finkray.status.archive import VisitStatus
from finkray.surveys import SURVEYS, Survey

if TYPE_CHECKING:
    from finkray.ingest.messages import ReadyClaim

VISITS_PER_CLAIM: Final = 32
"""A claim covers a second or so of a stream, a visit takes 37 s: more than a few are a backlog,
or nonsense in the packets, and then the latest are kept."""

VISITS_KEPT: Final = 64
VISITS_SHOWN: Final = 20

_NEVER_MS: Final = np.iinfo(np.int64).min


def count_visits(tables: Iterable[pa.Table]) -> tuple[VisitCount, ...]:
    """The visits of a batch, the latest last.

    Parameters
    ----------
    tables
        decoded alerts with a column kafka_timestamp, a table for each schema

    Returns
    -------
    tuple of VisitCount
        one for each visit and table, at most `VISITS_PER_CLAIM`. Alerts without a visit, or of
        no survey that has one, are not in it.
    """
    counts = [count for table in tables for count in _count(table)]
    return tuple(sorted(counts, key=lambda one: one.last_ms)[-VISITS_PER_CLAIM:])


def _count(table: pa.Table) -> list[VisitCount]:
    for survey in SURVEYS.values():
        numbers = _integers(table, survey.record, survey.visit)
        if numbers is not None:
            return _count_of(survey, table, numbers)
    return []


def _count_of(survey: Survey, table: pa.Table, numbers: pa.ChunkedArray) -> list[VisitCount]:
    given = pc.is_valid(numbers).to_numpy()
    if not given.any():
        return []
    exposures = pc.fill_null(numbers, 0).to_numpy()[given] // survey.numbers_per_visit
    visits, place, alerts = np.unique(exposures, return_inverse=True, return_counts=True)
    stamps = table.column("kafka_timestamp").cast(pa.int64())
    came_ms = pc.fill_null(stamps, _NEVER_MS).to_numpy()[given]
    known = (came_ms >= EARLIEST_MS) & (came_ms < LATEST_MS)
    last_ms = np.full(len(visits), _NEVER_MS)
    np.maximum.at(last_ms, place[known], came_ms[known])
    first_ms = last_ms.copy()
    np.minimum.at(first_ms, place[known], came_ms[known])
    detectors = _detectors(survey, table, given, place, len(visits))
    return [
        VisitCount(survey.name, *facts)
        for facts in zip(
            visits.tolist(),
            alerts.tolist(),
            detectors,
            first_ms.tolist(),
            last_ms.tolist(),
            strict=True,
        )
    ]


def _detectors(
    survey: Survey, table: pa.Table, given: np.ndarray, place: np.ndarray, visits: int
) -> list[tuple[int, ...]]:
    """For each visit the detectors that its alerts came from."""
    numbers = _integers(table, survey.record, survey.detector)
    if numbers is None:
        return [()] * visits
    known = pc.is_valid(numbers).to_numpy()[given]
    detectors = pc.fill_null(numbers, 0).to_numpy()[given]
    pairs = np.unique(np.stack([place[known], detectors[known]], axis=1), axis=0)
    ends = np.searchsorted(pairs[:, 0], np.arange(1, visits))
    return [tuple(part[:, 1].tolist()) for part in np.split(pairs, ends)]


def _integers(table: pa.Table, record: str, name: str) -> pa.ChunkedArray | None:
    """`record.name` as int64; None if there is no such number."""
    values = field_of_record(table, record, name)
    if values is None or not pa.types.is_integer(values.type):
        return None
    return values.cast(pa.int64())


@dataclass(slots=True)
class _Visit:
    alerts: int = 0
    detectors: set[int] = field(default_factory=set)
    first_ms: int = np.iinfo(np.int64).max
    last_ms: int = _NEVER_MS
    durable_s: float = 0.0

    def add(self, count: VisitCount) -> None:
        self.alerts += count.alerts
        self.detectors.update(count.detectors)
        self.last_ms = max(self.last_ms, count.last_ms)
        if count.first_ms != _NEVER_MS:
            self.first_ms = min(self.first_ms, count.first_ms)


class Visits:
    """The last visits; older ones fall out, so that it never grows beyond `VISITS_KEPT`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], _Visit] = {}
        self._forgotten_ms = _NEVER_MS

    def durable(self, claims: Iterable[ReadyClaim], now_s: float) -> None:
        """Claims became durable at `now_s`, in Unix time."""
        for count in (count for claim in claims for count in claim.visits):
            key = (count.survey, count.visit)
            # Of one that fell out already only a part would be counted.
            if key not in self._known and count.last_ms < self._forgotten_ms:
                continue
            visit = self._known.setdefault(key, _Visit())
            visit.add(count)
            visit.durable_s = now_s
        while len(self._known) > VISITS_KEPT:
            key = min(self._known, key=lambda one: self._known[one].last_ms)
            self._forgotten_ms = max(self._forgotten_ms, self._known.pop(key).last_ms)

    def last(self, on_their_way: Iterable[ReadyClaim]) -> tuple[VisitStatus, ...]:
        """The last visits, the latest first.

        Parameters
        ----------
        on_their_way
            claims that are ready and not durable yet
        """
        waiting: dict[tuple[str, int], _Visit] = {}
        for count in (count for claim in on_their_way for count in claim.visits):
            waiting.setdefault((count.survey, count.visit), _Visit()).add(count)
        shown = [
            _status(key, self._known.get(key, _Visit()), waiting.get(key, _Visit()))
            for key in self._known.keys() | waiting.keys()
        ]
        shown.sort(key=lambda one: (one.last_arrival or _EPOCH, one.visit), reverse=True)
        return tuple(shown[:VISITS_SHOWN])


_EPOCH: Final = datetime.fromtimestamp(0, UTC)


def _status(key: tuple[str, int], done: _Visit, waiting: _Visit) -> VisitStatus:
    survey, visit = key
    first_ms, last_ms = min(done.first_ms, waiting.first_ms), max(done.last_ms, waiting.last_ms)
    dated = last_ms != _NEVER_MS
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
