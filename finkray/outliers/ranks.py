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

    def medians(self) -> Floats:
        """Return the lower median of each column; 0 of one without values."""
        return np.array(
            [column[(len(column) - 1) // 2] if len(column) else 0.0 for column in self.columns]
        )

    def places(self, values: Floats) -> Places:
        """Return where values lie, column by column; each row is answered for itself."""
        below, above = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
        normal = np.zeros(values.shape, np.float32)
        for number, ordered in enumerate(self.columns):
            count = len(ordered)
            column = values[:, number]
            known = np.isfinite(column)
            if not count:
                continue
            at_most = np.searchsorted(ordered, column, "right")
            less = np.searchsorted(ordered, column, "left")
            below[:, number] = np.where(known, (1 + at_most) / (1 + count), np.nan)
            above[:, number] = np.where(known, (1 + count - less) / (1 + count), np.nan)
            normal[:, number] = np.where(known, self._steps[number][at_most + less], 0.0)
        return Places(below, above, normal)


def _normal_steps(count: int) -> np.ndarray:
    """Return the normal score of each sum of two ranks, 0 to 2 x count, in whole steps."""
    if not count:
        return np.zeros(1, np.float32)
    # The middle of the ranks, kept off 0 and 1 by half a rank.
    share = np.clip(np.arange(2 * count + 1) / (2.0 * count), 0.5 / count, 1 - 0.5 / count)
    score = np.clip(ndtri(share), -_LARGEST, _LARGEST)
    return np.round(score * STEPS).astype(np.float32)
