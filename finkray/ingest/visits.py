"""Count the alerts of each visit in a claim, in the ingest actor.

The counts are small and travel with the claim; the driver adds them up (`finkray.monitor.visits`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.ingest.messages import NO_TIME_MS, VisitCount
from finkray.packets.columns import field_of_record
from finkray.surveys import SURVEYS
from finkray.surveys.survey import Survey
from finkray.timestamps import is_plausible

VISITS_PER_CLAIM: Final = 32
"""A claim covers a second or so of a stream, and a visit takes 37 s: more than a few visits mean a
backlog or nonsense in the packets. Then the latest are kept."""


def count_visits(tables: Iterable[pa.Table]) -> tuple[VisitCount, ...]:
    """Count the alerts of each visit in a batch, the latest visit last.

    Parameters
    ----------
    tables
        decoded alerts with a column kafka_timestamp, one table for each schema

    Returns
    -------
    tuple of VisitCount
        one for each visit and table, at most `VISITS_PER_CLAIM`. Alerts without a visit, or of
        no known survey, are not counted.
    """
    counts = [count for table in tables for count in _count(table)]
    return tuple(sorted(counts, key=lambda count: count.last_ms)[-VISITS_PER_CLAIM:])


def _count(table: pa.Table) -> list[VisitCount]:
    for survey in SURVEYS.values():
        numbers = _integers(table, survey.record, survey.visit)
        if numbers is not None:
            return _count_of(survey, table, numbers)
    return []


def _count_of(survey: Survey, table: pa.Table, numbers: pa.ChunkedArray) -> list[VisitCount]:
    has_visit = pc.is_valid(numbers).to_numpy()
    if not has_visit.any():
        return []
    exposures = pc.fill_null(numbers, 0).to_numpy()[has_visit] // survey.numbers_per_visit
    visits, visit_index, alerts = np.unique(exposures, return_inverse=True, return_counts=True)
    stamps = table.column("kafka_timestamp").cast(pa.int64())
    arrival_ms = pc.fill_null(stamps, NO_TIME_MS).to_numpy()[has_visit]
    dated = is_plausible(arrival_ms)
    last_ms = np.full(len(visits), NO_TIME_MS)
    np.maximum.at(last_ms, visit_index[dated], arrival_ms[dated])
    first_ms = last_ms.copy()
    np.minimum.at(first_ms, visit_index[dated], arrival_ms[dated])
    detectors = _detectors(survey, table, has_visit, visit_index, len(visits))
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
    survey: Survey, table: pa.Table, has_visit: np.ndarray, visit_index: np.ndarray, visits: int
) -> list[tuple[int, ...]]:
    """Return for each visit the detectors that its alerts came from."""
    numbers = _integers(table, survey.record, survey.detector)
    if numbers is None:
        return [()] * visits
    known = pc.is_valid(numbers).to_numpy()[has_visit]
    detectors = pc.fill_null(numbers, 0).to_numpy()[has_visit]
    pairs = np.unique(np.stack([visit_index[known], detectors[known]], axis=1), axis=0)
    ends = np.searchsorted(pairs[:, 0], np.arange(1, visits))
    return [tuple(of_visit[:, 1].tolist()) for of_visit in np.split(pairs, ends)]


def _integers(table: pa.Table, record: str, name: str) -> pa.ChunkedArray | None:
    """Return `record.name` as int64, or None if there is no such integer."""
    values = field_of_record(table, record, name)
    if values is None or not pa.types.is_integer(values.type):
        return None
    return values.cast(pa.int64())
