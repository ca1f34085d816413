"""How far out a value lies among the values of a reference sample. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtri

from finkray.outliers.arrays import Floats
from finkray.outliers.bucket_search import BucketSearch

STEPS: Final = 32
"""Steps of a normal score in one standard deviation: normal scores are whole numbers of steps."""

_LARGEST: Final = 2.5
"""Normal scores are cut here, where 0.6 % of the reference lie beyond: with 4.0 a single value that
is far out outweighs a combination that no ordinary alert has."""


@dataclass(frozen=True)
class Places:
    """Where values lie in the reference.

    Attributes
    ----------
    below, above
        share of reference values that are at most, at least the value; never 0, for the value
        itself is counted; NaN where the value or the reference is missing. Shape (rows, columns)
    normal
        rank of the value as a normal score in steps of 1 / `STEPS`: a whole number, 0 where it is
        missing. float32
    """

    below: Floats
    above: Floats
    normal: np.ndarray

    def take(self, rows: np.ndarray) -> "Places":
        """Return some of the rows."""
        return Places(self.below[rows], self.above[rows], self.normal[rows])

    def spread(self, rows: np.ndarray) -> "Places":
        """Return them as the rows that `rows` selects of a longer table; the others have none."""
        shape = (len(rows), self.below.shape[1])
        out = Places(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, np.float32))
        out.below[rows], out.above[rows], out.normal[rows] = self.below, self.above, self.normal
        return out


class Ranks:
    """The sorted values of each column of a reference sample.

    Parameters
    ----------
    reference
        shape (rows, columns); NaN is a missing value
    """

    def __init__(self, reference: Floats) -> None:
        self._columns = [_Column(np.sort(values[np.isfinite(values)])) for values in reference.T]

    def medians(self) -> Floats:
        """Return the lower median of each column; 0 of one without values."""
        return np.array([column.median for column in self._columns])

    def places(self, values: Floats) -> Places:
        """Return where values lie, column by column; each row is answered for itself."""
        below, above = np.empty(values.shape), np.empty(values.shape)
        normal = np.empty(values.shape, np.float32)
        for number, column in enumerate(self._columns):
            slots = column.slots(values[:, number])
            below[:, number] = column.below[slots]
            above[:, number] = column.above[slots]
            normal[:, number] = column.normal[slots]
        return Places(below, above, normal)

    def normal(self, values: Floats) -> np.ndarray:
        """Return the normal scores of `places` alone."""
        normal = np.empty(values.shape, np.float32)
        for number, column in enumerate(self._columns):
            normal[:, number] = column.normal[column.slots(values[:, number])]
        return normal


class _Column:
    """The values of a column, sorted, and what `Places` says of each slot among them."""

    def __init__(self, ordered: Floats) -> None:
        count = len(ordered)
        self.median = ordered[(count - 1) // 2] if count else 0.0
        distinct, first = np.unique(ordered, return_index=True)
        self._search = BucketSearch(distinct) if count else None
        # How many values are less, and at most, in the slots between distinct values and of them.
        twice = np.append(first, count).repeat(2)
        less, at_most = twice[:-1], twice[1:]
        # The value itself is counted. The last slot is that of unknown values.
        self.below = np.append((1 + at_most) / (1 + count), np.nan)
        self.above = np.append((1 + count - less) / (1 + count), np.nan)
        self.normal = np.append(_normal_steps(count)[at_most + less], np.float32(0))

    def slots(self, values: Floats) -> np.ndarray:
        """Return the slot of each value, a row of `below`, `above` and `normal`."""
        if self._search is None:
            return np.full(len(values), len(self.below) - 1)
        return self._search.slots(np.ascontiguousarray(values))


def _normal_steps(count: int) -> np.ndarray:
    """Return the normal score of each sum of two ranks, 0 to 2 x count, in whole steps."""
    if not count:
        return np.zeros(1, np.float32)
    # The middle of the ranks, kept off 0 and 1 by half a rank.
    share = np.clip(np.arange(2 * count + 1) / (2.0 * count), 0.5 / count, 1 - 0.5 / count)
    score = np.clip(ndtri(share), -_LARGEST, _LARGEST)
    return np.round(score * STEPS).astype(np.float32)
