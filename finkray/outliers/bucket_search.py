"""Where values lie among sorted ones: a binary search for many values at a time. Pure.

The range is divided into equal buckets, so a value begins among those of its own bucket. Few are
left there, and each halving is a step of numpy for all values together: two to four times as fast
as `numpy.searchsorted`, which halves the whole range for one value after the other.
"""

from typing import Final

import numpy as np

from finkray.outliers.arrays import Floats

_BUCKETS_A_VALUE: Final = 4
"""Buckets for each value: with 1 the fullest bucket has more values and takes more halvings; 16 are
no faster."""


class BucketSearch:
    """A search among distinct values.

    Parameters
    ----------
    distinct
        sorted and finite, none of them twice; at least one
    """

    def __init__(self, distinct: Floats) -> None:
        self._last = _BUCKETS_A_VALUE * len(distinct) - 1
        self._lowest = distinct[0]
        with np.errstate(over="ignore", divide="ignore"):
            scale = self._last / (distinct[-1] - distinct[0])
        # Of a range of nothing, or of one that is too small or too wide, there is one bucket.
        self._scale = scale if np.isfinite(scale) else 0.0
        bucket = self._bucket(distinct)
        self._first = np.searchsorted(bucket, np.arange(self._last + 1))
        halvings = int(np.bincount(bucket).max()).bit_length()
        self._strides = [1 << number for number in reversed(range(halvings))]
        # Strides lead beyond the end, where nothing is less than a value.
        self._padded = np.concatenate([distinct, np.full(1 << halvings, np.inf)])
        self.unknown = 2 * len(distinct) + 1
        """The slot of a value that is not finite; slots are below `unknown` + 1."""

    def slots(self, values: Floats) -> np.ndarray:
        """Return twice how many distinct values are less than each value, and 1 more if it is one.

        A value that is not finite has the slot `unknown`.
        """
        known = np.isfinite(values)
        place = self._first[self._bucket(values)]
        # A larger value is in no earlier bucket, however numbers are rounded: the answer lies
        # between the first distinct value of the bucket and that of the next one.
        for stride in self._strides:
            place += stride * (self._padded[place + (stride - 1)] < values)
        slot = 2 * place + (self._padded[place] == values)
        return np.where(known, slot, self.unknown)

    def _bucket(self, values: Floats) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (values - self._lowest) * self._scale
        return np.fmin(np.fmax(scaled, 0.0), self._last).astype(np.int64)
