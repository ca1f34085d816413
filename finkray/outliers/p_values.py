"""P-values of scores, also beyond the reference, and their combination. Pure.

Scores of different bands, stages and detectors have no common scale; their p-values have.
"""

from typing import Final

import numpy as np

from finkray.outliers.arrays import Floats

_TAIL: Final = 0.05
"""The share of the reference that the tail is fitted to."""
_LEAST_P: Final = 1e-12


class TailP:
    """P-values against a reference of scores.

    Within the reference they are shares of it. In its uppermost 5 % they follow an exponential of
    the mean excess, so that scores above all of the reference still have an order (peaks over
    threshold; Pickands 1975).

    Parameters
    ----------
    reference
        scores of ordinary alerts, finite; at least one
    """

    def __init__(self, reference: Floats) -> None:
        self._ordered = np.sort(reference)
        count = len(self._ordered)
        self._from = self._ordered[int(np.ceil((1 - _TAIL) * (count - 1)))]
        excess = self._ordered[self._ordered > self._from] - self._from
        self._share = (1 + len(excess)) / (1 + count)
        self._mean_excess = max(float(excess.mean()), 1e-9) if len(excess) else 1e-9

    def __call__(self, scores: Floats) -> Floats:
        """Return the p-value of each score, above 0; NaN for a NaN."""
        count = len(self._ordered)
        above = count - np.searchsorted(self._ordered, scores, "left")
        p = (1 + above) / (1 + count)
        over = np.maximum(scores - self._from, 0.0)
        tail = np.maximum(self._share * np.exp(-over / self._mean_excess), _LEAST_P)
        return np.where(np.isnan(scores), np.nan, np.where(scores > self._from, tail, p))

    def scores(self, p_values: Floats) -> Floats:
        """Return the score that has each p-value: the inverse, to the next score of the reference.

        A NaN gives a NaN.
        """
        count = len(self._ordered)
        known = np.where(np.isnan(p_values), 1.0, p_values)
        rank = np.clip(np.ceil((1.0 - known) * count), 0, count - 1).astype(np.int64)
        with np.errstate(divide="ignore"):
            tail = self._from - self._mean_excess * np.log(known / self._share)
        out = np.where(known < self._share, np.maximum(tail, self._from), self._ordered[rank])
        return np.where(np.isnan(p_values), np.nan, np.minimum(out, np.maximum(tail, self._from)))


def combined(p_values: Floats) -> Floats:
    """Return one p-value for each row: that of the mean of the Cauchy quantiles of those known.

    It holds however the columns depend on each other (Liu and Xie 2020, Cauchy combination test).
    Missing ones count as if they were not asked: an object that lacks a band loses nothing.

    Parameters
    ----------
    p_values
        shape (rows, columns), above 0 and at most 1; NaN where there is none

    Returns
    -------
    ndarray
        shape (rows); NaN where no column has a value
    """
    known = np.isfinite(p_values)
    p = np.where(known, np.clip(p_values, _LEAST_P, 1 - 1e-9), 0.5)
    # The quantile of a small p is 1 / (pi p) to all digits that matter, and exact there.
    quantile = np.where(p < 1e-6, 1 / (np.pi * p), np.tan((0.5 - p) * np.pi))
    count = known.sum(axis=1)
    mean = np.where(known, quantile, 0.0).sum(axis=1) / np.maximum(count, 1)
    answer = np.where(mean > 1e6, 1 / (np.pi * np.maximum(mean, 1)), 0.5 - np.arctan(mean) / np.pi)
    return np.where(count > 0, answer, np.nan)
