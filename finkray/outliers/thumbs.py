"""What thumbs of a user add to the score of alerts: a Gaussian process on the leaves of the forest.

The similarity of two alerts is the square of the share of trees in which they end in the same leaf:
of two alerts that are both strange half of the leaves are the same, whatever they are, and without
the square ten thumbs down put down what the user likes with the rest. The score without thumbs is
the mean of the process, so an alert that resembles no thumb keeps its score.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from finkray.outliers.arrays import Floats
from finkray.outliers.detectors import TREES

UP: Final = 6.0
"""The score that an alert with a thumb up should have: above all that are strange without being
alike, whose highest scores are about 3."""
DOWN: Final = 0.5
"""What an alert with a thumb down should keep of its score: with 0, the first thumbs, which are all
down where a user likes rare things, take more from the list than they teach."""
_NOISE: Final = 0.1
"""Variance of a thumb, that of the process being 1: people differ from themselves."""
_UNIT: Final = 2.0**-20
"""Weights are whole numbers of this unit: sums of them times whole numbers are exact in float64."""


class Thumbs:
    """Learns from thumbs, and says what they add to scores.

    Parameters
    ----------
    leaves
        of the alerts with thumbs: shape (thumbs, trees)
    up
        whether each thumb is up
    scores
        scores of these alerts without thumbs
    """

    def __init__(self, leaves: np.ndarray, up: Sequence[bool], scores: Floats) -> None:
        self._leaves = leaves
        targets = np.where(np.asarray(up, bool), UP, np.minimum(scores, DOWN * scores))
        kernel = (common(leaves, leaves) / TREES) ** 2 + _NOISE * np.eye(len(leaves))
        weights = np.linalg.solve(kernel, targets - scores)
        # Rounding takes away what differs between libraries and numbers of threads.
        self._weights = np.round(weights / _UNIT) * _UNIT

    def shift(self, leaves: np.ndarray) -> tuple[Floats, np.ndarray]:
        """Return what the thumbs add to each score, and which thumb each alert resembles most."""
        shared = common(leaves, self._leaves)
        return (shared**2 @ self._weights) / TREES**2, np.argmax(shared, axis=1)


def common(leaves: np.ndarray, others: np.ndarray) -> Floats:
    """Return in how many trees two alerts share a leaf: whole numbers, shape (rows, others)."""
    out = np.empty((len(leaves), len(others)))
    for number, other in enumerate(others):
        out[:, number] = np.count_nonzero(leaves == other, axis=1)
    return out
