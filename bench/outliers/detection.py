"""Find the strange kinds of the simulator: stage A, beside plain isolation forests.

The model is fitted on three fields, strange objects and all, and scores the other three.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from sklearn.ensemble import IsolationForest

from bench.outliers.alerts import SimulatedSky
from bench.outliers.figures import Floats, auc, by_object, mean, precision, recall
from finkray.outliers.feature_list import feature_list, matrix
from finkray.outliers.model import OutlierModel
from sim.sky.kinds import KINDS, STRANGE_KINDS, Kind, VisibleIn

OURS: Final = "finkray"
SAME_FEATURES: Final = "forest, same features"
ALL_FIELDS: Final = "forest, all fields"

_ORDINARY: Final = [number for number, kind in enumerate(KINDS) if kind not in STRANGE_KINDS]


@dataclass(frozen=True, slots=True)
class Found:
    """How well one detector found one kind, by object.

    Attributes
    ----------
    objects
        Objects of the kind.
    auc
        Against all ordinary objects.
    in_top
        Share of the objects that are among the 20 highest scores of all objects.
    """

    objects: int
    auc: float
    in_top: float


@dataclass(frozen=True)
class Detection:
    """What a detector found in one sky.

    Attributes
    ----------
    kinds
        By kind.
    precision
        Share of strange objects, of the kinds that this stage can see, among the 20 highest.
    precision_all
        The same of all strange kinds.
    """

    kinds: Mapping[Kind, Found]
    precision: float
    precision_all: float


def train_and_test(sky: SimulatedSky) -> tuple[SimulatedSky, SimulatedSky]:
    """Split a sky by field: no object is in both halves."""
    fields = np.unique(sky.field)
    trained = np.isin(sky.field, fields[: len(fields) // 2])
    return sky.take(trained), sky.take(~trained)


def stage_a(sky: SimulatedSky, seed: int) -> dict[str, Detection]:
    """Return what each detector found, by its name."""
    train, test = train_and_test(sky)
    model = OutlierModel.fit(train.features, survey="ztf", seed=seed)
    names = feature_list("ztf").names
    scores = {
        OURS: score_of(model, test.features),
        SAME_FEATURES: plain_forest(
            matrix(train.features, names), matrix(test.features, names), seed
        ),
        ALL_FIELDS: plain_forest(train.numbers, test.numbers, seed),
    }
    object_ids = test.features["object_id"].to_pylist()
    return {
        name: detection(object_ids, test.kind, values, VisibleIn.PACKET)
        for name, values in scores.items()
    }


def score_of(model: OutlierModel, alerts: pa.Table) -> Floats:
    """Return the scores of a model; alerts without one come last."""
    scores = model.score(alerts)["score"].to_numpy()
    return np.where(np.isnan(scores), -np.inf, scores)


def plain_forest(train: np.ndarray, test: np.ndarray, seed: int) -> Floats:
    """Return scores of scikit-learn's isolation forest; missing values are the training median."""
    known = np.isfinite(train).any(axis=0)
    medians = np.nanmedian(np.where(np.isfinite(train), train, np.nan)[:, known], axis=0)
    filled, asked = (
        np.where(np.isfinite(values[:, known]), values[:, known], medians)
        for values in (train, test)
    )
    drawn = np.random.default_rng(seed).permutation(len(filled))[:4096]
    forest = IsolationForest(n_estimators=300, random_state=seed).fit(filled[drawn])
    return -np.asarray(forest.score_samples(asked))


def detection(
    object_ids: Sequence[str], kind: np.ndarray, scores: Floats, visible: VisibleIn
) -> Detection:
    """Work out what scores of alerts found, with the highest score of each object.

    Parameters
    ----------
    object_ids, kind, scores
        Of each alert; the kind as an index in `KINDS`.
    visible
        Where the detector looks.
    """
    names, highest = by_object(object_ids, scores)
    kind_of = dict(zip(object_ids, kind.tolist(), strict=True))
    kinds = np.array([kind_of[name] for name in names])
    ordinary = np.isin(kinds, _ORDINARY)
    seen = [KINDS.index(each) for each, where in STRANGE_KINDS.items() if where == visible]
    found = {}
    for each in STRANGE_KINDS:
        wanted = kinds == KINDS.index(each)
        either = wanted | ordinary
        found[each] = Found(
            int(wanted.sum()), auc(highest[either], wanted[either]), recall(highest, wanted)
        )
    is_seen = np.isin(kinds, seen)
    either = is_seen | ordinary
    return Detection(
        found, precision(highest[either], is_seen[either]), precision(highest, ~ordinary)
    )


def averaged(detections: Sequence[Detection]) -> Detection:
    """Return the mean over several skies; objects are added up."""
    kinds = {
        kind: Found(
            sum(one.kinds[kind].objects for one in detections),
            mean([one.kinds[kind].auc for one in detections]),
            mean([one.kinds[kind].in_top for one in detections]),
        )
        for kind in STRANGE_KINDS
    }
    return Detection(
        kinds,
        mean([one.precision for one in detections]),
        mean([one.precision_all for one in detections]),
    )
