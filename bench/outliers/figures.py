"""Work out how well scores find what they should find: pure functions of arrays."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def auc(scores: Floats, wanted: Mask) -> float:
    """Return the probability that what is wanted scores higher than what is not.

    Ties count half. NaN if one of the two is empty.
    """
    positives = int(wanted.sum())
    negatives = len(wanted) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(scores)[wanted].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def top(scores: Floats, count: int = 20) -> npt.NDArray[np.int64]:
    """Return the indices of the highest scores, the highest first."""
    return np.argsort(-scores, kind="stable")[:count]


def precision(scores: Floats, wanted: Mask, count: int = 20) -> float:
    """Return the share of what is wanted among the highest scores."""
    return float(wanted[top(scores, count)].mean())


def recall(scores: Floats, wanted: Mask, count: int = 20) -> float:
    """Return the share of what is wanted that is among the highest scores; NaN of nothing."""
    return float(wanted[top(scores, count)].sum() / wanted.sum()) if wanted.any() else float("nan")


def by_object(object_ids: Sequence[str], scores: Floats) -> tuple[list[str], Floats]:
    """Return each object once with its highest score, in the order of their names."""
    names, which = np.unique(np.asarray(object_ids, dtype=str), return_inverse=True)
    highest = np.full(len(names), -np.inf)
    np.maximum.at(highest, which, scores)
    return names.tolist(), highest


def p_values(scores: Floats, yardstick: Floats) -> Floats:
    """Return the share of a yardstick that scores at least as high, the alert itself counted."""
    ordered = np.sort(yardstick)
    above = len(ordered) - np.searchsorted(ordered, scores, "left")
    return (1 + above) / (1 + len(ordered))


def share_within(p: Floats, level: float) -> float:
    """Return the share of p-values that are at most this level."""
    return float((p <= level).mean())


def mean(values: Sequence[float]) -> float:
    """Return the mean of those that are numbers; NaN of none."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
