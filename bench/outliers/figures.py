"""Compute how well scores find the alerts that they should find. Pure."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TOP: Final = 20
"""Alerts that a person looks at in a night."""


def auc(scores: Floats, wanted: Mask) -> float:
    """Return the probability that a wanted alert scores higher than another one.

    Ties count half. NaN if all alerts are wanted, or none.
    """
    positives = int(wanted.sum())
    negatives = len(wanted) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)[wanted].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def top(scores: Floats, count: int = TOP) -> npt.NDArray[np.int64]:
    """Return the indices of the highest scores, the highest first."""
    return np.argsort(-scores, kind="stable")[:count]


def precision(scores: Floats, wanted: Mask, count: int = TOP) -> float:
    """Return the share of the highest scores that wanted alerts have."""
    return float(wanted[top(scores, count)].mean())


def recall(scores: Floats, wanted: Mask, count: int = TOP) -> float:
    """Return the share of wanted alerts among the highest scores; NaN if none is wanted."""
    return float(wanted[top(scores, count)].sum() / wanted.sum()) if wanted.any() else float("nan")


def above(scores: Floats, others: Floats) -> npt.NDArray[np.int64]:
    """Return how many of the others score at least as high as each."""
    return len(others) - np.searchsorted(np.sort(others), scores, "left")


def by_object(object_ids: Sequence[str], scores: Floats) -> tuple[list[str], Floats]:
    """Return each object once with its highest score, sorted by name."""
    names, which = np.unique(np.asarray(object_ids, dtype=str), return_inverse=True)
    highest = np.full(len(names), -np.inf)
    np.maximum.at(highest, which, scores)
    return names.tolist(), highest


def p_values(scores: Floats, calibration: Floats) -> Floats:
    """Return the share of calibration scores that are at least as high, its own one counted."""
    ordered = np.sort(calibration)
    above = len(ordered) - np.searchsorted(ordered, scores, "left")
    return (1 + above) / (1 + len(ordered))


def share_within(p: Floats, level: float) -> float:
    """Return the share of p-values that are at most this level."""
    return float((p <= level).mean())


def mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are numbers; NaN if none is."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
