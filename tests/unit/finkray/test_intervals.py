"""Sets of ranges, held against plain sets of numbers."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.intervals import Interval, IntervalSet

ranges = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda at: (at[0], at[0] + at[1]))


def numbers(first: int, last: int) -> set[int]:
    return set(range(first, last + 1))


@settings(deadline=None)
@given(st.lists(ranges, max_size=20), ranges)
def test_it_is_a_set_of_numbers(added: list[tuple[int, int]], probe: tuple[int, int]) -> None:
    ours, plain = IntervalSet(), set[int]()
    for first, last in added:
        if plain & numbers(first, last):
            before = list(ours)
            with pytest.raises(ValueError, match="overlaps"):
                ours.add(first, last)
            assert list(ours) == before
        else:
            ours.add(first, last)
            plain |= numbers(first, last)
    assert {number for part in ours for number in numbers(*part)} == plain
    assert ours.size == len(plain)
    assert (ours.first, ours.last) == (min(plain, default=None), max(plain, default=None))
    parts = list(ours)
    assert all(one.last + 1 < other.first for one, other in pairwise(parts))
    wanted = numbers(*probe)
    inside = [number for part in ours.overlaps(*probe) for number in sorted(numbers(*part))]
    holes = [number for hole in ours.holes(*probe) for number in sorted(numbers(*hole))]
    assert (inside, holes) == (sorted(wanted & plain), sorted(wanted - plain))
    assert ours.covers(*probe) == (wanted <= plain)
    assert ours.first_free(probe[0]) == next(n for n in range(probe[0], 1000) if n not in plain)
    assert ours == IntervalSet(reversed(parts))


def test_neighbours_become_one() -> None:
    ours = IntervalSet([(0, 9), (20, 29), (10, 19)])
    assert list(ours) == [Interval(0, 29)]


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="from 3 to 2"):
        IntervalSet([(3, 2)])
