"""One rule says which times are absurd, and every figure that is made of times leaves them out."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from finkray.claim import Claim, TopicPartition
from finkray.ingest.messages import ReadyClaim
from finkray.ingest.visits import count_visits
from finkray.monitor.clock import Moment
from finkray.monitor.figures import Monitor
from finkray.packets.columns import kafka_timestamps
from finkray.serving.monitor import ServiceMonitor
from finkray.timestamps import is_plausible, kafka_seconds

NOW_MS = 1_795_482_000_000
ABSURD_MS = [-1, 0, NOW_MS // 1000, NOW_MS * 1000, -2_300_000_000_000, 2**63 - 1, -(2**63)]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
@example([None, NOW_MS, *ABSURD_MS])
def test_the_rule_is_that_a_time_is_in_this_century(stamps_ms: list[int | None]) -> None:
    first, end = (datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1000 for year in (2000, 2100))
    expected = [ms if ms is not None and first <= ms < end else None for ms in stamps_ms]

    assert [None if ms is None or not is_plausible(ms) else ms for ms in stamps_ms] == expected
    assert kafka_timestamps(stamps_ms).cast(pa.int64()).to_pylist() == expected
    seconds = [None if np.isnan(s) else s for s in kafka_seconds(stamps_ms)]
    assert seconds == [None if ms is None else ms / 1000 for ms in expected]


def test_latencies_of_the_archive_leave_absurd_times_out() -> None:
    stamps_s = kafka_seconds([NOW_MS, *ABSURD_MS, None])
    claim = Claim(TopicPartition("cluster", "t", "id", 0), 0, len(stamps_s) - 1)
    polled_s = np.full(len(stamps_s), NOW_MS / 1000 + 1)
    ready = ReadyClaim(claim, 1, 0, 0, stamps_s, polled_s, NOW_MS / 1000 + 2)
    monitor = Monitor()

    monitor.add_durable([ready], Moment(NOW_MS / 1000 + 3, 7.0))

    assert [(stage.alerts, stage.p50_s, stage.p99_s) for stage in monitor.latency()] == [
        (1, 1, 1),
        (1, 2, 2),
        (1, 3, 3),
    ]


def test_latencies_of_a_service_leave_absurd_times_out() -> None:
    """Archives of earlier releases have such times in the column."""
    stamps = pa.array([NOW_MS, None, *ABSURD_MS], pa.timestamp("ms", "UTC"))
    at = Moment(NOW_MS / 1000 + 3, 7.0)
    monitor = ServiceMonitor(at)

    monitor.durable(pa.table({"kafka_timestamp": stamps, "status": ["ok"] * len(stamps)}), at)

    figures = monitor.figures(at)
    assert [figures[f"latency_p{p}_s"] for p in (50, 95, 99)] == [3, 3, 3]


def test_visits_leave_absurd_times_out() -> None:
    stamps = pa.array([NOW_MS, NOW_MS + 5, *ABSURD_MS], pa.timestamp("ms", "UTC"))
    source = [{"visit": 7}] * len(stamps)

    (count,) = count_visits([pa.table({"kafka_timestamp": stamps, "diaSource": source})])

    assert (count.alerts, count.first_ms, count.last_ms) == (len(stamps), NOW_MS, NOW_MS + 5)
