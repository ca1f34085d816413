"""The rates and latencies of a night, kept by the page."""

from datetime import datetime, timedelta

import pytest

from finkray.status.archive import RatePoint, Snapshot, StageLatency
from tests.support.snapshots import NIGHT, busy_night
from ui.history import KEPT, MOST_DRAWN, ArchiveHistory
from ui.pages.live import PERIODS, curves_html


def point(at: datetime, rate: float) -> RatePoint:
    return RatePoint(at=at, incoming_per_s=rate, archived_per_s=rate / 2, lag=round(rate))


def test_a_night_is_kept_with_its_peaks_and_drawn_with_few_points() -> None:
    history, begins = ArchiveHistory(), NIGHT.replace(minute=0, second=0, microsecond=0)
    seconds = range(0, round(KEPT.total_seconds()) + 7200, 2)
    every = [point(begins + timedelta(seconds=s), 900.0 if s == 40_002 else 1.0) for s in seconds]
    for first in range(0, len(every), 100):  # each snapshot also has what the one before had
        history.add(busy_night(history=tuple(every[max(0, first - 200) : first + 100])))
    night = history.rates.last(KEPT)
    assert len(night) <= MOST_DRAWN + 1
    assert max(each.incoming_per_s for each in night) == 900.0
    assert [each.at for each in night] == sorted(each.at for each in night)
    hour = history.rates.last(timedelta(hours=1))
    assert timedelta(minutes=59) < hour[-1].at - hour[0].at <= timedelta(hours=1)
    assert len(hour) >= 350


def test_the_address_chooses_the_period_of_the_curves() -> None:
    history, snapshot = ArchiveHistory(), busy_night()
    assert curves_html(None, history, "night") == ""
    early = [point(NIGHT - timedelta(hours=3) + timedelta(seconds=10 * n), 5.0) for n in range(90)]
    history.add(busy_night(history=tuple(early)))
    history.add(snapshot)
    drawn = {period: curves_html(snapshot, history, period) for period in (*PERIODS, "<script>")}
    assert "2026-11-24 00:12" in drawn["night"]
    assert "2026-11-24 00:12" not in drawn["1 h"]
    assert "aria-current=true>1 h</a>" in drawn["1 h"]
    assert drawn["<script>"] == drawn["10 min"]
    without = curves_html(snapshot, ArchiveHistory(), "night")
    assert without.count("mark-line") == 2
    # What the page has of latency does not reach as far back as the rates: it says so.
    assert "id='latency'" not in without
    assert "id='latency'" in drawn["night"]
    assert "known since 2026-11-24 03:12:45 UTC" in drawn["night"]


def durable(at: datetime, p95_s: float | None) -> Snapshot:
    """A snapshot in which alerts became durable within a time; None if none did."""
    latency = StageLatency(stage="durable", alerts=9, p50_s=0.0, p95_s=p95_s or 0.0, p99_s=0.0)
    return busy_night(at, latency=() if p95_s is None else (latency,))


def test_the_highest_latency_of_each_step_is_kept_and_none_is_not_zero() -> None:
    history = ArchiveHistory()
    for second, p95_s in enumerate([2.0, 61.0, 3.0, *[None] * 27, 5.0]):
        history.add(durable(NIGHT.replace(second=0) + timedelta(seconds=second), p95_s))
    points = history.latencies.last(timedelta(minutes=10))
    assert [point.p95_s for point in points] == [{"durable": 61.0}, {}, {}, {"durable": 5.0}]


@pytest.mark.parametrize("set_s", [-3600, -20, 3600])
def test_curves_go_on_when_the_clock_of_the_archive_is_set(set_s: int) -> None:
    """The driver dates its last minutes anew by the clock as it is."""
    history = ArchiveHistory()
    for second in range(0, 1200, 2):
        now = NIGHT + timedelta(seconds=second + (set_s if second >= 900 else 0))
        known = [point(now - timedelta(seconds=ago), 10.0) for ago in range(600, -1, -2)]
        history.add(busy_night(now, history=tuple(known[-1 - second // 2 :])))
    for kept in (history.rates, history.latencies):
        points = kept.last(timedelta(hours=1))
        dates = [each.at for each in points]
        assert dates == sorted(set(dates))
        assert now - dates[-1] < timedelta(seconds=10)
        assert dates[0] <= now - timedelta(seconds=250)
