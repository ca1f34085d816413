"""The rates of a night, kept by the page."""

from datetime import datetime, timedelta

from finkray.status.archive import RatePoint
from tests.support.snapshots import NIGHT, busy_night
from ui.pages.live import PERIODS, rates_html
from ui.rate_history import KEPT, MOST_DRAWN, RateHistory


def point(at: datetime, rate: float) -> RatePoint:
    return RatePoint(at=at, incoming_per_s=rate, archived_per_s=rate / 2, lag=round(rate))


def test_a_night_is_kept_with_its_peaks_and_drawn_with_few_points() -> None:
    history, begins = RateHistory(), NIGHT.replace(minute=0, second=0, microsecond=0)
    seconds = range(0, round(KEPT.total_seconds()) + 7200, 2)
    every = [point(begins + timedelta(seconds=s), 900.0 if s == 40_002 else 1.0) for s in seconds]
    for first in range(0, len(every), 100):  # each snapshot also has what the one before had
        history.add(busy_night(history=tuple(every[max(0, first - 200) : first + 100])))
    night = history.last(KEPT)
    assert len(night) <= MOST_DRAWN + 1
    assert max(each.incoming_per_s for each in night) == 900.0
    assert [each.at for each in night] == sorted(each.at for each in night)
    hour = history.last(timedelta(hours=1))
    assert timedelta(minutes=59) < hour[-1].at - hour[0].at <= timedelta(hours=1)
    assert len(hour) >= 350


def test_the_address_chooses_the_period_of_the_curves() -> None:
    history, snapshot = RateHistory(), busy_night()
    assert rates_html(None, history, "night") == ""
    early = [point(NIGHT - timedelta(hours=3) + timedelta(seconds=10 * n), 5.0) for n in range(90)]
    history.add(busy_night(history=tuple(early)))
    history.add(snapshot)
    drawn = {period: rates_html(snapshot, history, period) for period in (*PERIODS, "<script>")}
    assert "2026-11-24 00:12" in drawn["night"]
    assert "2026-11-24 00:12" not in drawn["1 h"]
    assert "aria-current=true>1 h</a>" in drawn["1 h"]
    assert drawn["<script>"] == drawn["10 min"]
    assert rates_html(snapshot, RateHistory(), "night").count("mark-line") == 2
