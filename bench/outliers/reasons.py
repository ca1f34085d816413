"""Measure how true reasons are, and what features, scores and reasons cost."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from bench.outliers.detection import score_of
from bench.outliers.figures import top
from finkray.outliers.feature_list import FeatureList, feature_list, features_of, matrix
from finkray.outliers.model import OutlierModel

_INJECTED: Final = 400
_STRANGEST: Final = 50
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Reasons:
    """How true the reasons are.

    Attributes
    ----------
    first, three
        How often a feature that was pushed beyond its 1st or 99th percentile is named first, and
        among the first three.
    rank_before, rank_after
        Mean rank of the 50 strangest, 0 to 1, as they are, and with the aspects that are named,
        all features of them, set to the median.
    rank_after_features
        The same with nothing but the three features that are named set to the median.
    rank_after_others
        The same with three aspects drawn at random of those not named.
    """

    first: float
    three: float
    rank_before: float
    rank_after: float
    rank_after_features: float
    rank_after_others: float


@dataclass(frozen=True, slots=True)
class Speed:
    """CPU time of one core.

    Attributes
    ----------
    features_per_s, scores_per_s
        Alerts a second for features alone, and for scores of features.
    all_per_s
        Alerts a second for features, scores and reasons together.
    reasons_ms
        Milliseconds an alert for what reasons add to a score.
    """

    features_per_s: float
    scores_per_s: float
    all_per_s: float
    reasons_ms: float


def reasons(model: OutlierModel, test: pa.Table, seed: int) -> Reasons:
    """Measure the reasons of a model on features of alerts that it was not fitted on."""
    rng = np.random.default_rng(seed)
    names = feature_list(model.survey).names
    values = matrix(test, names)
    pushed, which = pushed_rows(values, rng)
    drivers = model.explain(with_values(test, pushed, names, rows=len(pushed)))["drivers"]
    named = [[driver["name"] for driver in each] for each in drivers.to_pylist()]
    wanted = [names[number] for number in which]
    first = np.mean([bool(n) and n[0] == w for n, w in zip(named, wanted, strict=True)])
    three = np.mean([w in n[:3] for n, w in zip(named, wanted, strict=True)])
    scores = score_of(model, test)
    ordered = np.sort(scores)
    strangest = top(scores, _STRANGEST)
    table = test.take(pa.array(strangest))
    answers = model.explain(table).to_pylist()
    named = [[driver["name"] for driver in answer["drivers"]] for answer in answers]
    aspects = [[model.about.aspect_of(name) for name in each] for each in named]
    others = [
        _others(model.about, [name for aspect in each for name in aspect], rng) for each in aspects
    ]
    ranks = [
        _rank(ordered, scores[strangest]),
        *(
            _rank(ordered, score_of(model, _at_median(model, table, chosen)))
            for chosen in (
                [[name for aspect in each for name in aspect] for each in aspects],
                named,
                others,
            )
        ),
    ]
    return Reasons(float(first), float(three), *ranks)


def _at_median(model: OutlierModel, table: pa.Table, chosen: Sequence[Sequence[str]]) -> pa.Table:
    """Return the table with some features of each row, those that are known, at the median."""
    # Where a curve decided, the reasons are features of the curve.
    every = [*model.about.names, *model.about.curve_names]
    medians = np.nanmedian(matrix(model.reference, every), axis=0)
    values = matrix(table, every)
    for row, names in enumerate(chosen):
        columns = np.array([every.index(name) for name in names], np.int64)
        values[row, columns] = np.where(np.isfinite(values[row, columns]), medians[columns], np.nan)
    return with_values(table, values, every)


def _others(about: FeatureList, named: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return the features of as many other aspects as are named, drawn at random."""
    source = about.aspects if named[0] in about.names else about.curve_aspects
    rest = [names for names in source.values() if names[0] not in named]
    count = len(source) - len(rest)
    drawn = rng.permutation(len(rest))[:count]
    return [name for number in drawn for name in rest[number]]


def _rank(ordered: np.ndarray, scores: np.ndarray) -> float:
    return float(np.mean(np.searchsorted(ordered, scores) / len(ordered)))


def pushed_rows(values: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Push one feature of each of some rows beyond its 1st or 99th percentile.

    Returns
    -------
    ndarray
        the rows, changed
    ndarray
        the column that was changed in each
    """
    spread = np.nanpercentile(values, [1, 50, 99], axis=0)
    able = np.flatnonzero((spread[2] > spread[1]) | (spread[0] < spread[1]))
    rows = values[rng.permutation(len(values))[:_INJECTED]].copy()
    which = able[rng.integers(0, len(able), len(rows))]
    low, middle, high = (edge[which] for edge in spread)
    up = (high > middle) & (rng.random(len(rows)) < 0.5)
    up |= low == middle
    # A tenth of the way from the median farther out than the edge.
    rows[np.arange(len(rows)), which] = np.where(
        up, high + 0.1 * (high - middle), low - 0.1 * (middle - low)
    )
    return rows, which


def with_values(
    table: pa.Table, values: np.ndarray, names: list[str], rows: int | None = None
) -> pa.Table:
    """Return the table of features with other values, of its first `rows` rows."""
    changed = table.slice(0, rows)
    for name, column in zip(names, values.T, strict=True):
        where = changed.schema.get_field_index(name)
        changed = changed.set_column(where, name, pa.array(column, mask=np.isnan(column)))
    return changed


def speed(model: OutlierModel, alerts: pa.Table) -> Speed:
    """Measure nested alerts of the model's survey: the least CPU time of some tries."""
    count = alerts.num_rows
    features = features_of(alerts, model.survey)
    features_s = _cpu_s(lambda: features_of(alerts, model.survey))
    scores_s = _cpu_s(lambda: model.score(features))
    explained_s = _cpu_s(lambda: model.explain(features))
    all_s = _cpu_s(lambda: model.explain(alerts))
    return Speed(
        count / features_s,
        count / scores_s,
        count / all_s,
        1000 * max(0.0, explained_s - scores_s) / count,
    )


def _cpu_s(work: Callable[[], object]) -> float:
    least = float("inf")
    for _ in range(_TRIES):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    return least
