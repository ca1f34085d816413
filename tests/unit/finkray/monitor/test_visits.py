"""Visits are counted from the packets' own columns, and added up in bounded memory."""

import io
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from finkray.claim import Claim, TopicPartition
from finkray.ingest.messages import ReadyClaim, VisitCount
from finkray.ingest.visits import VISITS_PER_CLAIM, count_visits
from finkray.monitor.visits import VISITS_KEPT, VISITS_SHOWN, Visits
from finkray.packets.batch import make_batch
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage
from tests.support.packets import real_ztf_packets

SOURCE = TopicPartition("cluster", "lsst", "id", 0)
T0_MS = 1_764_000_000_000


def lsst(
    rows: Sequence[tuple[int | None, int | None]], stamps_ms: Sequence[int | None]
) -> pa.Table:
    """A table with `diaSource.visit` and `diaSource.detector`."""
    visits, detectors = zip(*rows, strict=True) if rows else ((), ())
    source = pa.StructArray.from_arrays(
        [pa.array(visits, pa.int64()), pa.array(detectors, pa.int16())], ["visit", "detector"]
    )
    stamps = pa.array(stamps_ms, pa.timestamp("ms", "UTC"))
    return pa.table({"kafka_timestamp": stamps, "diaSource": source})


def ready_claim(first: int, *visits: VisitCount, generation: int = 1) -> ReadyClaim:
    none = np.array([])
    claim = Claim(SOURCE, first, first + 9)
    return ReadyClaim(claim, generation, 0, 0, none, none, 0.0, visits=visits)


def visit(number: int, alerts: int = 10, at_ms: int = T0_MS, *detectors: int) -> VisitCount:
    return VisitCount("lsst", number, alerts, detectors, at_ms, at_ms + 500)


def test_lsst_visits_with_their_detectors_and_arrivals() -> None:
    rows = [(7, 3), (8, 1), (7, 4), (7, 3), (None, 5), (8, None)]
    stamps = [T0_MS + 5, T0_MS + 50, None, T0_MS + 1, T0_MS, T0_MS + 60]
    assert count_visits([lsst(rows, stamps)]) == (
        VisitCount("lsst", 7, 3, (3, 4), T0_MS + 1, T0_MS + 5),
        VisitCount("lsst", 8, 2, (1,), T0_MS + 50, T0_MS + 60),
    )


@given(st.lists(st.tuples(st.none() | st.integers(1, 4), st.none() | st.integers(0, 3))))
def test_counting_by_column_equals_counting_alert_by_alert(
    rows: list[tuple[int | None, int | None]],
) -> None:
    stamps = [T0_MS + 7 * n % 5 for n in range(len(rows))]
    seen = defaultdict(set)
    came = defaultdict(list)
    for (number, detector), ms in zip(rows, stamps, strict=True):
        if number is not None:
            seen[number].update({detector} - {None})
            came[number].append(ms)
    expected = {(n, len(ms), tuple(sorted(seen[n])), min(ms), max(ms)) for n, ms in came.items()}
    counted = count_visits([lsst(rows, stamps)])
    assert {(c.visit, c.alerts, c.detectors, c.first_ms, c.last_ms) for c in counted} == expected


def test_packets_without_visits_have_none() -> None:
    stamps = pa.array([T0_MS], pa.timestamp("ms", "UTC"))
    assert count_visits([]) == ()
    assert count_visits([pa.table({"kafka_timestamp": stamps, "x": [1]})]) == ()
    text = pa.table({"kafka_timestamp": stamps, "diaSource": [{"visit": "seven"}]})
    assert count_visits([text]) == ()
    assert count_visits([lsst([(None, None)], [T0_MS])]) == ()


def test_absurd_visits_do_not_enlarge_the_counts_of_a_claim() -> None:
    rows = [(n, n % 100) for n in range(5_000)]
    counted = count_visits([lsst(rows, [T0_MS + n for n in range(5_000)])])
    assert [one.visit for one in counted] == list(range(5_000 - VISITS_PER_CLAIM, 5_000))


def test_real_ztf_packets_of_one_exposure_time_are_one_visit(test_data: Path) -> None:
    """2016 to 2025: `pid` without its channel identifies an exposure as `jd` does."""
    packets = list(real_ztf_packets(test_data))[::3]
    counted = _counted(packets)
    by_jd: defaultdict[float, list[Any]] = defaultdict(list)
    for candidate in filter(None, map(_ztf, packets)):
        by_jd[candidate["jd"]].append(candidate)
    assert len(counted) == len(by_jd)
    assert Counter(counted.values()) == Counter(
        (len(alerts), frozenset(one["rcid"] for one in alerts)) for alerts in by_jd.values()
    )


def _ztf(packet: bytes) -> Any:
    try:
        return next(fastavro.reader(io.BytesIO(packet)))["candidate"]  # type: ignore[index, call-overload]
    except (IndexError, EOFError, ValueError):
        return None


def _counted(packets: Sequence[bytes]) -> dict[int, tuple[int, frozenset[int]]]:
    """Alerts and detectors by visit, the packets decoded in claims of ten."""
    decoder, total = Decoder(), Counter[int]()
    detectors: defaultdict[int, set[int]] = defaultdict(set)
    for first in range(0, len(packets), 10):
        raws = [RawMessage(first + n, T0_MS, p) for n, p in enumerate(packets[first : first + 10])]
        claim = Claim(SOURCE, first, first + len(raws) - 1)
        batch = make_batch(claim, raws, (), decoder)
        for count in count_visits(table for _, table in batch.tables):
            total[count.visit] += count.alerts
            detectors[count.visit].update(count.detectors)
    return {number: (n, frozenset(detectors[number])) for number, n in total.items()}


def test_a_visit_is_durable_when_nothing_of_it_waits() -> None:
    visits = Visits()
    first, second = (
        ready_claim(0, visit(7, 10, T0_MS, 1, 2)),
        ready_claim(10, visit(7, 5, T0_MS, 2, 3)),
    )
    (seen,) = visits.latest([first, second])
    assert (seen.alerts, seen.waiting, seen.detectors, seen.durable_s) == (15, 15, 3, None)
    visits.durable([first], T0_MS / 1e3 + 2)
    (seen,) = visits.latest([second])
    assert (seen.alerts, seen.waiting, seen.durable_s) == (15, 5, None)
    visits.durable([second], T0_MS / 1e3 + 4)
    (seen,) = visits.latest([])
    assert (seen.alerts, seen.waiting, seen.detectors, seen.durable_s) == (15, 0, 3, 3.5)
    assert seen.first_arrival == datetime.fromtimestamp(T0_MS / 1e3, UTC)
    assert seen.spread_s == 0.5


def test_claims_that_are_read_again_are_not_counted_twice() -> None:
    visits = Visits()
    lost = ready_claim(0, visit(7))
    assert visits.latest([lost])[0].alerts == 10
    again = replace(lost, generation=2)
    visits.durable([again], T0_MS / 1e3)
    assert visits.latest([])[0].alerts == 10


def test_only_the_latest_visits_are_kept_and_none_is_counted_in_part() -> None:
    visits = Visits()
    for number in range(1_000):
        visits.durable([ready_claim(0, visit(number, 10, T0_MS + 37_000 * number))], 0.0)
    assert len(visits._known) == VISITS_KEPT
    shown = visits.latest([])
    assert [one.visit for one in shown] == list(range(999, 999 - VISITS_SHOWN, -1))
    visits.durable([ready_claim(0, visit(3, 1, T0_MS))], 0.0)
    assert 3 not in {number for _, number in visits._known}


def test_alerts_without_a_kafka_timestamp_are_counted_without_a_time() -> None:
    (count,) = count_visits([lsst([(7, 1)], [None])])
    visits = Visits()
    visits.durable([ready_claim(0, count)], 5.0)
    (seen,) = visits.latest([])
    assert (seen.alerts, seen.first_arrival, seen.spread_s, seen.durable_s) == (1, None, None, None)
    assert json.loads(seen.model_dump_json())["visit"] == 7
