"""The curves of the first page."""

import re
from datetime import timedelta

from finkray.status.archive import Alarm, PastAlarm
from tests.support.snapshots import NIGHT, busy_night
from ui.views.rates_svg import HEIGHT, rates_svg

MOST_BYTES = 9_000
"""Each fifth second: a tab may get 10 kB a second."""


def test_both_curves_have_every_point_of_the_history() -> None:
    snapshot = busy_night()
    drawn = rates_svg(snapshot)
    paths = re.findall(r"mark-line'><path d='M([^']*)'", drawn)
    assert [path.count("L") + 1 for path in paths] == [len(snapshot.history)] * 2
    for path in paths:
        xs, ys = zip(*(map(float, each.split()) for each in path.split("L")), strict=True)
        assert list(xs) == sorted(xs)
        assert max(ys) <= HEIGHT
    assert len(drawn) < MOST_BYTES


def test_the_axis_is_in_utc_and_ends_at_the_last_point() -> None:
    times = re.findall(r">(\d\d:\d\d)</text>", rates_svg(busy_night()))
    assert times[-1] == f"{NIGHT - timedelta(minutes=NIGHT.minute % 2):%H:%M}"
    assert times == sorted(times)


def test_alarms_of_the_time_are_bands_and_their_codes_are_escaped() -> None:
    alarm = Alarm(code="<b>", since=NIGHT - timedelta(minutes=2), message="", what_to_do="")
    past = PastAlarm(
        code="OVER",
        since=NIGHT - timedelta(minutes=9),
        until=NIGHT - timedelta(minutes=8),
        message="",
    )
    before = past.model_copy(
        update={"since": NIGHT - timedelta(days=2), "until": NIGHT - timedelta(days=1)}
    )
    drawn = rates_svg(busy_night(alarms=(alarm,), past_alarms=(past, before)))
    assert drawn.count("fr-alarmband") == 2
    assert "<title>&lt;b&gt;</title>" in drawn


def test_without_a_history_nothing_is_drawn_and_zeros_are_a_line_at_the_bottom() -> None:
    assert rates_svg(None) == rates_svg(busy_night(history=())) == ""
    point = busy_night().history[0].model_copy(update={"incoming_per_s": 0, "archived_per_s": 0})
    assert f" {HEIGHT - 34}'" in rates_svg(busy_night(history=(point,)))
