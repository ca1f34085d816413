"""The reasons of a score: which features are odd, and which ones the detectors used. Pure."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from finkray.outliers.arrays import Floats
from finkray.outliers.feature import Feature
from finkray.outliers.ranks import Places

DRIVERS: Final = 3
"""Reasons of an alert."""

DRIVER: Final = pa.struct(
    [
        ("name", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("high", pa.bool_()),
        ("share", pa.float64()),
        ("contribution", pa.float64()),
    ]
)
"""A reason: a feature, its value in the unit that a person reads, whether it is above the median,
the share of ordinary alerts that lie at least as far out on that side, and which share of the score
the features of its aspect made, 0 to 1."""

DRIVER_LIST: Final = pa.list_(DRIVER)


def contributions(signature: Floats, parts: np.ndarray, parts_weight: float) -> Floats:
    """Return the share of each feature in the score: rows sum up to 1, or are 0.

    Parameters
    ----------
    signature
        how much each feature shortened the paths in the forest
    parts
        squared difference of each feature to the nearest neighbour
    parts_weight
        what the distance to neighbours counts in the score, 0 to 1
    """
    by_forest = _shares(np.maximum(signature, 0.0))
    return (1.0 - parts_weight) * by_forest + parts_weight * _shares(parts.astype(np.float64))


def drivers(
    features: tuple[Feature, ...],
    aspects: Sequence[np.ndarray],
    values: Floats,
    places: Places,
    contribution: Floats,
) -> pa.Array:
    """Return the reasons of each alert, the most telling first: a list of `DRIVER`.

    They are the values that are both far out and used by the score: the product of contribution and
    surprise, the negative logarithm of the tail, decides. Of features that were pushed beyond their
    1st or 99th percentile it names more than eight in ten first; surprise alone names what the
    score never used, contribution alone fewer. Only features with a value are named.

    An aspect is named once, by its most telling feature: a source that fades by 3 mag has a wide
    range, a high chi2 and a steep trend as well, and three reasons that say the same explain less
    than a third of the score.

    Parameters
    ----------
    features
        what the columns of values, places and contributions are
    aspects
        numbers of the features of each aspect: every feature is in one of them
    """
    tail = np.fmin(places.below, places.above)
    surprise = np.where(np.isnan(tail), 0.0, -np.log(np.fmin(tail, 1.0)))
    known = np.isfinite(values) & ~np.isnan(tail)
    order = np.where(known, contribution * surprise, -1.0)
    rows = np.arange(len(values))[:, None]
    telling = np.stack([each[np.argmax(order[:, each], axis=1)] for each in aspects], axis=1)
    # A sum that runs on has one order; that of `sum` depends on how many rows there are.
    made = np.stack([contribution[:, each].cumsum(axis=1)[:, -1] for each in aspects], axis=1)
    best = np.argsort(-order[rows, telling], axis=1, kind="stable")[:, :DRIVERS]
    named = known[rows, telling[rows, best]]  # those without a value come last
    counts = named.sum(axis=1)
    row, aspect = np.broadcast_to(rows, best.shape)[named], best[named]
    feature = telling[row, aspect]
    high = places.above[row, feature] <= places.below[row, feature]
    columns = [
        pa.array([each.name for each in features]).take(pa.array(feature)),
        pa.array(_quantities(features, feature, values[row, feature])),
        pa.array([each.unit for each in features]).take(pa.array(feature)),
        pa.array(high),
        pa.array(tail[row, feature]),
        pa.array(made[row, aspect]),
    ]
    items = pa.StructArray.from_arrays(columns, fields=list(DRIVER))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), items)


def words(features: tuple[Feature, ...], driver: dict[str, Any]) -> str:
    """Return a reason in words that a person understands; of a feature not known, its name."""
    about = {feature.name: feature for feature in features}.get(driver["name"])
    if about is None:
        return f"{driver['name']} {driver['value']:.3g} {driver['unit']}".strip()
    return about.words(driver["value"], driver["share"], high=driver["high"])


def _quantities(features: tuple[Feature, ...], which: np.ndarray, values: Floats) -> Floats:
    # Features of a scale together, as there are few scales.
    scales = np.array([each.scale for each in features])
    out = np.empty(len(values))
    for scale in np.unique(scales):
        mask = (scales == scale)[which]
        out[mask] = features[int(np.argmax(scales == scale))].quantities(values[mask])
    return out


def _shares(amounts: Floats) -> Floats:
    total = amounts.sum(axis=1, keepdims=True)
    return np.divide(amounts, total, out=np.zeros(amounts.shape), where=total > 0)
