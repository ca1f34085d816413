"""The sky beside the pixels of a catalogue."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogs.partition import HISTOGRAM_ORDER, cut, empty_sky, shift
from tests.support.examples import examples

COUNT = 12 * 4**HISTOGRAM_ORDER


@settings(max_examples=examples(10), deadline=None)
@given(
    sources=st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=60),
    shard_rows=st.integers(1, 20),
)
def test_empty_sky_and_pixels_cover_the_sky_once_with_the_largest_pixels(
    sources: list[int], shard_rows: int
) -> None:
    pixels = cut(np.bincount(sources, minlength=COUNT), shard_rows, margin_arcsec=10.0)
    empty = empty_sky(pixels)
    ranges = sorted(
        (number << shift(order), (number + 1) << shift(order)) for order, number in pixels + empty
    )
    assert [begin for begin, _ in ranges] == [0, *(end for _, end in ranges[:-1])]
    assert ranges[-1][1] == 12 << shift(0)
    parents = {(order - 1, number // 4) for order, number in empty if order}
    for order, number in parents:
        assert not all((order + 1, 4 * number + child) in empty for child in range(4))


def test_nothing_is_empty_beside_the_whole_sky_and_all_is_beside_no_pixel() -> None:
    assert empty_sky([(0, number) for number in range(12)]) == []
    assert empty_sky([]) == [(0, number) for number in range(12)]
    assert empty_sky([(1, 3)]) == [(1, 0), (1, 1), (1, 2), *((0, n) for n in range(1, 12))]
