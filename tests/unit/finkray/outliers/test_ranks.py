"""A value's rank in a column is counted exactly, wherever the values of the column lie."""

import numpy as np
import pytest

from finkray.outliers.bucket_search import BucketSearch
from finkray.outliers.ranks import Ranks

_RNG = np.random.default_rng(3)
_COLUMNS = {
    "smooth": _RNG.normal(size=600),
    "few": _RNG.integers(0, 4, 600).astype(float),
    "rounded": np.round(_RNG.normal(size=600), 1),
    "skew": np.exp(9 * _RNG.normal(size=600)),
    "vast": np.array([-1.7e308, 0.0, 3.0, 1.7e308]),
    "tiny": np.array([0.0, 5e-324, 1e-323]),
    "single": np.array([7.0]),
}


def _asked(column: np.ndarray) -> np.ndarray:
    beside = [np.nextafter(column, side) for side in (np.inf, -np.inf)]
    return np.concatenate([column, *beside, -column, [0.0, -1e308, 1e308, np.nan]])


@pytest.mark.parametrize("name", _COLUMNS)
def test_slots_are_those_of_a_plain_search(name: str) -> None:
    distinct = np.unique(_COLUMNS[name])
    search, asked = BucketSearch(distinct), _asked(distinct)
    slots = search.slots(asked)
    known = np.isfinite(asked)
    less = np.searchsorted(distinct, asked[known], "left")
    assert np.array_equal(slots[known], 2 * less + np.isin(asked[known], distinct))
    assert (slots[~known] == search.unknown).all()


@pytest.mark.parametrize("name", _COLUMNS)
def test_shares_count_the_reference_values_that_are_as_far_out(name: str) -> None:
    column = _COLUMNS[name]
    reference = np.stack([np.append(column, np.nan), np.full(len(column) + 1, np.nan)], axis=1)
    asked = _asked(column)
    values = np.stack([asked, asked], axis=1)
    ranks = Ranks(reference)
    places = ranks.places(values)
    known = np.isfinite(asked)
    for found, counted in (
        (places.below, asked[:, None] >= column),
        (places.above, asked[:, None] <= column),
    ):
        shares = (1 + counted.sum(axis=1)) / (1 + len(column))
        assert np.array_equal(found[:, 0], np.where(known, shares, np.nan), equal_nan=True)
        assert np.isnan(found[:, 1]).all()  # a column without values
    assert np.array_equal(places.normal, ranks.normal(values))
    assert (places.normal[~known] == 0).all()
    assert (places.normal[:, 1] == 0).all()
    assert ranks.medians().tolist() == [np.sort(column)[(len(column) - 1) // 2], 0.0]
