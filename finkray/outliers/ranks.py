"""How far out a value lies among the values of a reference sample. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtri

from finkray.outliers.arrays import Floats

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
        self.columns = [np.sort(column[np.isfinite(column)]) for column in reference.T]
        self._steps = [_normal_steps(len(column)) for column in self.columns]
        # (1 + n) / (1 + all), for n from 0 to all: the value itself is counted.
        self._shares = [
            np.arange(1, len(column) + 2) / (1 + len(column)) for column in self.columns
        ]
        self._distinct = [np.unique(column) for column in self.columns]
        # How many reference values are less than each distinct one; all, for what is above them.
        self._less = [
            np.append(np.searchsorted(column, distinct), len(column))
            for column, distinct in zip(self.columns, self._distinct, strict=True)
        ]

    def medians(self) -> Floats:
        """Return the lower median of each column; 0 of one without values."""
        return np.array(
            [column[(len(column) - 1) // 2] if len(column) else 0.0 for column in self.columns]
        )

    def places(self, values: Floats) -> Places:
        """Return where values lie, column by column; each row is answered for itself."""
        below, above = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
        normal = np.zeros(values.shape, np.float32)
        for number, share in enumerate(self._shares):
            if len(share) > 1:
                less, at_most = self._counts(number, values[:, number])
                below[:, number] = share[at_most]
                above[:, number] = share[len(share) - 1 - less]
                normal[:, number] = self._steps[number][at_most + less]
        unknown = ~np.isfinite(values)
        below[unknown] = above[unknown] = np.nan
        normal[unknown] = 0.0
        return Places(below, above, normal)

    def normal(self, values: Floats) -> np.ndarray:
        """Return the normal scores of `places` alone."""
        normal = np.zeros(values.shape, np.float32)
        for number, steps in enumerate(self._steps):
            if len(steps) > 1:
                less, at_most = self._counts(number, values[:, number])
                normal[:, number] = steps[at_most + less]
        normal[~np.isfinite(values)] = 0.0
        return normal

    def _counts(self, number: int, column: Floats) -> tuple[np.ndarray, np.ndarray]:
        """Return how many reference values are less than each value, and at most it."""
        # One search for both: a value is between two distinct ones, or is one of them.
        distinct, less_than = self._distinct[number], self._less[number]
        place = np.searchsorted(distinct, column)
        equal = distinct[np.minimum(place, len(distinct) - 1)] == column
        return less_than[place], less_than[place + equal]


def _normal_steps(count: int) -> np.ndarray:
    """Return the normal score of each sum of two ranks, 0 to 2 x count, in whole steps."""
    if not count:
        return np.zeros(1, np.float32)
    # The middle of the ranks, kept off 0 and 1 by half a rank.
    share = np.clip(np.arange(2 * count + 1) / (2.0 * count), 0.5 / count, 1 - 0.5 / count)
    score = np.clip(ndtri(share), -_LARGEST, _LARGEST)
    return np.round(score * STEPS).astype(np.float32)
