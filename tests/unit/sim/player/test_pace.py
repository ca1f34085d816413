"""When each alert is due, told without a clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.errors import SettingsError
from finkray.settings.simulator import PACE
from sim.player.pace import Pace


@pytest.mark.parametrize(
    ("text", "pace"),
    [
        ("max", Pace()),
        ("original", Pace(speed=1.0)),
        ("10x", Pace(speed=10.0)),
        ("2.5x", Pace(speed=2.5)),
        ("500/s", Pace(per_s=500.0)),
        ("realtime", Pace(speed=1.0, visit_s=37.0)),
        ("x10", Pace(speed=10.0, visit_s=37.0)),
    ],
)
def test_the_ways_to_say_a_pace(text: str, pace: Pace) -> None:
    assert PACE.fullmatch(text)
    assert Pace.parse(text, visit_s=37.0) == pace


@pytest.mark.parametrize(
    "text", ["", "fast", "0x", "0/s", "-1x", "10", "x0", "x1x", "1e3/s", "10x "]
)
def test_any_other_is_refused_with_these_named(text: str) -> None:
    with pytest.raises(SettingsError, match=r"max.*realtime.*x10.*original.*10x.*500/s"):
        Pace.parse(text, visit_s=37.0)


@given(st.integers(0, 10**6), st.floats(0, 30))
def test_a_rate_counts_and_a_factor_looks_at_the_time(index: int, days: float) -> None:
    assert Pace().due_s(index, days) == 0
    assert Pace(per_s=50).due_s(index, days) == index / 50
    assert Pace(speed=100).due_s(index, days) == pytest.approx(days * 864)
    assert Pace(speed=1).follows_time
    assert not Pace(per_s=50).follows_time


@given(st.integers(0, 10**6), st.floats(0, 30), st.integers(0, 1_000))
def test_visits_come_at_their_distance_whenever_they_were_observed(
    index: int, days: float, visits: int
) -> None:
    pace = Pace.parse("x10", visit_s=40)
    assert pace.due_s(index, days, visits) == visits * 4
    assert pace.due_s(index, days) == pytest.approx(days * 8_640)
    assert pace.follows_time
