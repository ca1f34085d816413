"""How many actors a service gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.serving.scale import Load, ScaleSettings, ScaleState, scale

SETTINGS = ScaleSettings(min_actors=1, max_actors=8, target_s=5, quiet_s=30)


@pytest.mark.parametrize(
    ("waiting", "rate", "actors", "wanted"),
    [
        (0, 0.0, 0, 1),  # the least
        (10_000, 0.0, 1, 1),  # nothing is known of it yet
        (500, 1000.0, 1, 1),  # done in half a second
        (9_000, 1000.0, 1, 2),  # two do it in time
        (100_000, 1000.0, 1, 2),  # twenty would, but it at most doubles
        (100_000, 1000.0, 4, 8),
        (100_000, 1000.0, 8, 8),  # the most
        (0, 1000.0, 9, 8),  # settings were changed
    ],
)
def test_the_number_follows_what_waits(waiting: int, rate: float, actors: int, wanted: int) -> None:
    assert scale(Load(waiting, rate, actors), SETTINGS, ScaleState(), 0.0)[0] == wanted


def test_it_shrinks_one_by_one_after_quiet() -> None:
    count, state, seen = 4, ScaleState(), []
    for second in range(0, 130, 10):
        count, state = scale(Load(0, 1000.0, count), SETTINGS, state, float(second))
        seen.append(count)
    assert seen == [4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1, 1]


def test_a_visit_in_the_quiet_begins_it_anew() -> None:
    _, state = scale(Load(0, 1000.0, 4), SETTINGS, ScaleState(), 0.0)
    _, state = scale(Load(18_000, 1000.0, 4), SETTINGS, state, 20.0)
    assert scale(Load(0, 1000.0, 4), SETTINGS, state, 31.0)[0] == 4


def test_an_open_breaker_starts_none_and_ends_none() -> None:
    held = Load(10**6, 1000.0, 3, held=True)
    assert scale(held, SETTINGS, ScaleState(), 0.0)[0] == 3


def test_no_actor_is_kept_where_none_is_wanted() -> None:
    settings = ScaleSettings(min_actors=0, max_actors=4, target_s=5, quiet_s=0)
    _, state = scale(Load(0, 0.0, 1), settings, ScaleState(), 0.0)
    assert scale(Load(0, 0.0, 1), settings, state, 1.0)[0] == 0
    assert scale(Load(7, 0.0, 0), settings, ScaleState(), 2.0)[0] == 1


@given(
    waiting=st.integers(0, 10**7),
    rate=st.floats(0, 10**5),
    actors=st.integers(0, 40),
    held=st.booleans(),
)
def test_it_stays_within_its_bounds(waiting: int, rate: float, actors: int, held: bool) -> None:
    count, _ = scale(Load(waiting, rate, actors, held), SETTINGS, ScaleState(), 0.0)
    assert SETTINGS.min_actors <= count <= SETTINGS.max_actors


def test_a_simulated_night_is_served_in_time_with_few_actors() -> None:
    """270 alerts/s from visits each 37 s, at midnight a visit into the Galactic plane."""
    waiting, count, state = 0, 1, ScaleState()
    starting: list[int] = []
    waits, counts = [], []
    for second in range(2400):
        if second % 37 == 0:
            waiting += 32_000 if second == 37 * 30 else 10_000
        starting = [at for at in starting if at > second]
        warm = max(0, count - len(starting))
        waiting = max(0, waiting - 1000 * warm)
        wanted, state = scale(Load(waiting, 1000.0, count), SETTINGS, state, float(second))
        starting += [second + 4] * max(0, wanted - count)  # four seconds to warm up
        count = wanted
        waits.append(waiting)
        counts.append(count)
    assert max(counts) <= 8
    assert max(waits[100 : 37 * 30]) <= 10_000  # each visit is done before the next
    plane = waits[37 * 30 : 37 * 31]
    assert plane[-1] == 0  # the plane too
    assert sum(counts) / len(counts) < 4  # and it does not keep eight all night
