"""The figures of an archive are right while the wall clock jumps."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from finkray.claim import Claim, TopicPartition
from finkray.ingest.messages import IngestReport, ReadyClaim
from finkray.monitor.clock import REMEMBERED_S, JumpWatch, Moment
from finkray.monitor.figures import RATE_WINDOW_S, Monitor

HOUR_S = 3600.0
JUMPS = [HOUR_S, -HOUR_S, 86_400.0, -86_400.0]
T0_S = 1_764_000_000.0


def clock(jump_s: float, at_s: float = 10.0) -> Callable[[float], Moment]:
    """A wall clock that jumps `at_s` seconds after the start."""
    return lambda s: Moment(T0_S + s + (jump_s if s >= at_s else 0.0), 77.0 + s)


def report(messages: int, *, paused: bool = False) -> IngestReport:
    return IngestReport(
        "incarnation", "node", 1, 0, 0, messages, 100 * messages, paused, False, {}, ""
    )


def ready_claim(kafka_s: float) -> ReadyClaim:
    stamps = np.full(100, kafka_s)
    claim = Claim(TopicPartition("cluster", "t", "id", 0), 0, 99)
    return ReadyClaim(claim, 1, 0, 0, stamps, stamps + 0.5, kafka_s + 0.7)


@pytest.mark.parametrize("jump_s", JUMPS)
def test_a_jump_of_the_clock_is_reported_for_ten_minutes(jump_s: float) -> None:
    watch, at = JumpWatch(), clock(jump_s)
    assert [watch.check(at(s)) for s in (8, 9)] == [0, 0]
    assert watch.check(at(10)) == pytest.approx(jump_s)
    assert watch.check(at(10 + REMEMBERED_S)) == pytest.approx(jump_s)
    assert watch.check(at(11 + REMEMBERED_S)) == 0


def test_a_clock_that_is_slewed_does_not_jump() -> None:
    watch = JumpWatch()
    assert not any(watch.check(Moment(T0_S + s * 1.0005, s)) for s in range(0, 100_000, 10))


@pytest.mark.parametrize("jump_s", [0.0, *JUMPS])
def test_rates_do_not_depend_on_the_wall_clock(jump_s: float) -> None:
    monitor, at = Monitor(), clock(jump_s)
    for second in range(20):
        monitor.add_report(report(270 * second), at(second))
        monitor.tick(0, at(second))
        assert monitor.rates() == (0, 0, 0) if second == 0 else (270, 27_000, 0)
    assert len(monitor._points) <= RATE_WINDOW_S + 2


@pytest.mark.parametrize("jump_s", [0.0, *JUMPS])
def test_curves_stay_in_order_and_end_now(jump_s: float) -> None:
    monitor, at = Monitor(), clock(jump_s)
    for second in range(20):
        monitor.tick(second, at(second))
    history = monitor.history(at(19))
    steps = {later.at - earlier.at for earlier, later in pairwise(history)}
    assert steps == {timedelta(seconds=1)}
    assert history[-1].at.timestamp() == pytest.approx(at(19).unix_s)


@pytest.mark.parametrize("jump_s", [0.0, *JUMPS])
def test_latencies_leave_the_window_after_two_minutes(jump_s: float) -> None:
    monitor, at = Monitor(), clock(jump_s)
    monitor.add_durable([ready_claim(T0_S + 1)], at(3))
    (polled, _, durable) = monitor.latency()
    assert (polled.p50_s, durable.p50_s) == (0.5, 2)
    monitor.tick(0, at(110))
    assert len(monitor.latency()) == 3
    monitor.tick(0, at(130))
    assert monitor.latency() == ()


@pytest.mark.parametrize("jump_s", [0.0, *JUMPS])
def test_the_time_of_a_stall_does_not_depend_on_the_wall_clock(jump_s: float) -> None:
    monitor, at = Monitor(), clock(jump_s)
    monitor.add_report(report(5, paused=True), at(0))
    for second in range(1, 100):
        monitor.add_report(report(5, paused=True), at(second))
    assert monitor.stalled_s(report(5), at(100)) == 99
    # A little gets through: that is back-pressure, and no standstill.
    monitor.add_report(report(6, paused=True), at(100))
    assert monitor.stalled_s(report(6), at(100)) == 0
