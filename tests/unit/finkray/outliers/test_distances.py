"""Distances between normal scores are exact, and so is the k-th smallest of a row."""

import numpy as np
import pytest

from finkray.outliers.distances import Points, kth_smallest


@pytest.mark.parametrize(("columns", "k"), [(2048, 10), (2031, 10), (320, 10), (319, 10), (7, 7)])
@pytest.mark.parametrize("largest", [3, 1_000_000])
def test_the_kth_smallest_is_that_of_a_partition(columns: int, k: int, largest: int) -> None:
    rng = np.random.default_rng(columns + largest)
    values = rng.integers(0, largest, (90, columns)).astype(np.float32)
    values[3], values[4, 2:] = 5.0, np.inf  # all the same; hardly any value
    expected = np.partition(values, k - 1, axis=1)[:, k - 1]
    assert np.array_equal(kth_smallest(values, k), expected)
    assert kth_smallest(values[:0], k).shape == (0,)


def test_squared_distances_are_exact() -> None:
    rng = np.random.default_rng(2)
    points, rows = (rng.integers(-80, 81, (count, 60)) for count in (50, 9))
    expected = ((rows[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)
    assert np.array_equal(Points(points).squared_distances(rows), expected)
