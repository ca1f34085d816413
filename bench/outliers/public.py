"""Real alerts: a tidal disruption event, nights against each other, p-values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bench.outliers.detection import score_of
from bench.outliers.figures import TOP, Floats, above, auc, mean, p_values, recall, share_within
from finkray.outliers.model import OutlierModel

_MOST_OF_A_FILE = 200
_SPLITS = 20


@dataclass(frozen=True, slots=True)
class Tde:
    """How well the tidal disruption event is found among ordinary alerts of the same pool.

    Attributes
    ----------
    auc
        Of its 21 alerts against the ordinary ones that the model was not fitted on.
    in_top
        Share of its alerts among the 20 highest scores; at most 20 / 21.
    alone_in_top
        Share of its alerts among the 20 highest scores, each put beside the others alone: a
        list has one row an object.
    most_above
        How many other alerts score at least as high as the lowest of its alerts.
    """

    auc: float
    in_top: float
    alone_in_top: float
    most_above: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Share of a night's ordinary alerts with small p-values.

    Attributes
    ----------
    alerts
        Alerts of the night.
    own_05, own_01
        Share with p at most 0.05, 0.01, calibrated with other alerts of the same night.
    frozen_05, frozen_01
        The same with the model's own reference, which is of other nights.
    """

    alerts: int
    own_05: float
    own_01: float
    frozen_05: float
    frozen_01: float


def halves(
    nights: Sequence[pa.Table], rng: np.random.Generator
) -> tuple[list[pa.Table], list[pa.Table]]:
    """Split each night at random in two; at most 200 alerts of a night go to the first half."""
    first, second = [], []
    for night in nights:
        order = rng.permutation(night.num_rows)
        count = min(night.num_rows // 2, _MOST_OF_A_FILE)
        first.append(night.take(pa.array(np.sort(order[:count]))))
        second.append(night.take(pa.array(np.sort(order[count:]))))
    return first, second


def tde(nights: Mapping[str, pa.Table], event: pa.Table, seeds: Sequence[int]) -> list[Tde]:
    """Return how well the event is found, for each seed of split and model."""
    found = []
    for seed in seeds:
        train, test = halves(list(nights.values()), np.random.default_rng(seed))
        model = OutlierModel.fit(pa.concat_tables(train), survey="ztf", seed=seed)
        ordinary, wanted = score_of(model, pa.concat_tables(test)), score_of(model, event)
        scores = np.concatenate([ordinary, wanted])
        is_wanted = np.arange(len(scores)) >= len(ordinary)
        beaten_by = above(wanted, ordinary)
        found.append(
            Tde(
                auc(scores, is_wanted),
                recall(scores, is_wanted),
                float((beaten_by < TOP).mean()),
                int(beaten_by.max()),
            )
        )
    return found


def nights_apart(
    nights: Mapping[str, pa.Table], asked: Sequence[str], seeds: Sequence[int]
) -> dict[str, float]:
    """Return the AUC of each night against the others, for a model of half of the others."""
    found = {}
    for name in asked:
        others = [table for other, table in nights.items() if other != name]
        values = []
        for seed in seeds:
            train, test = halves(others, np.random.default_rng(seed))
            model = OutlierModel.fit(pa.concat_tables(train), survey="ztf", seed=seed)
            theirs = score_of(model, pa.concat_tables(test))
            own = score_of(model, nights[name])
            scores = np.concatenate([theirs, own])
            values.append(auc(scores, np.arange(len(scores)) >= len(theirs)))
        found[name] = mean(values)
    return found


def calibration(
    nights: Mapping[str, pa.Table], asked: Sequence[str], seed: int
) -> dict[str, Calibration]:
    """Return the p-values of each night, for a model of all the others."""
    found = {}
    for name in asked:
        others = [table for other, table in nights.items() if other != name]
        model = OutlierModel.fit(pa.concat_tables(others), survey="ztf", seed=seed)
        answer = model.score(nights[name])
        scores, frozen = (answer[column].to_numpy() for column in ("score", "p_model"))
        own = own_p_values(scores, np.random.default_rng(seed))
        found[name] = Calibration(
            len(scores),
            share_within(own, 0.05),
            share_within(own, 0.01),
            share_within(frozen, 0.05),
            share_within(frozen, 0.01),
        )
    return found


def own_p_values(scores: Floats, rng: np.random.Generator) -> Floats:
    """Return p-values of a night's scores, of one half at a time, calibrated with the other."""
    values = []
    for _ in range(_SPLITS):
        order = rng.permutation(len(scores))
        half = len(scores) // 2
        values.append(p_values(scores[order[:half]], scores[order[half:]]))
    return np.concatenate(values)
