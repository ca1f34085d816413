"""Measure with simulated users what thumbs do to the top of the list.

A user likes one kind of objects. It is rare: 1 % of the alerts. One half of the alerts is shown,
the strangest first; the user says up or down, and the model learns. The other half is never shown,
and the figures are of that half.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from coniferest.aadforest import AADForest
from coniferest.pineforest import PineForest

from bench.outliers.alerts import SimulatedSky
from bench.outliers.detection import score_of
from bench.outliers.figures import Floats, auc, mean, precision
from finkray.outliers.feature_list import feature_list, matrix
from finkray.outliers.model import OutlierModel
from sim.sky.kinds import KINDS, Kind

TASTES: Final = (Kind.SUPERNOVA, Kind.FLARE_STAR, Kind.ACTIVE_GALAXY)
AFTER: Final = (0, 10, 20, 50)
"""Numbers of thumbs after which the figures are taken."""

_AT_A_TIME: Final = 5
"""Thumbs between two fits."""

_ORDINARY: Final = 2_970
_LIKED: Final = 30
_TREES: Final = 300

Learner = Callable[["Shown", np.ndarray, np.ndarray], Floats]
"""Takes a set of alerts, the rows with thumbs and whether they are up; returns all scores."""


@dataclass(frozen=True)
class Shown:
    """The alerts of one user: a row to each; those with thumbs are never among `kept_back`."""

    model: OutlierModel
    features: pa.Table
    values: Floats
    liked: np.ndarray
    kept_back: np.ndarray
    seed: int


@dataclass(frozen=True, slots=True)
class Learnt:
    """Figures of the half that is never shown, after each number of `AFTER`."""

    precision: Mapping[int, float]
    auc: Mapping[int, float]


def measure(skies: Mapping[int, SimulatedSky]) -> dict[str, dict[str, Learnt]]:
    """Return the figures by taste and learner, the mean over the skies by their seeds."""
    found: dict[str, dict[str, Learnt]] = {}
    for taste in TASTES:
        sets = [alerts_of(sky, taste, seed) for seed, sky in skies.items()]
        found[taste.value] = {
            name: averaged([follow(one, learner) for one in sets])
            for name, learner in LEARNERS.items()
        }
    return found


def alerts_of(sky: SimulatedSky, taste: Kind, seed: int) -> Shown:
    """Draw alerts, 1 % of which are of the kind."""
    rng = np.random.default_rng(seed)
    is_taste = sky.kind == KINDS.index(taste)
    ordinary = rng.permutation(np.flatnonzero(~is_taste))[:_ORDINARY]
    liked = rng.permutation(np.flatnonzero(is_taste))[:_LIKED]
    rows = rng.permutation(np.concatenate([ordinary, liked]))
    features = sky.features.take(pa.array(rows))
    # A reference without the kind would know it as new: it is in there with its share.
    model = OutlierModel.fit(features, survey="ztf", seed=seed)
    values = matrix(features, feature_list("ztf").names)
    medians = np.nanmedian(values, axis=0)
    filled = np.where(np.isfinite(values), values, medians)
    kept_back = rng.random(len(rows)) < 0.5
    return Shown(model, features, filled, is_taste[rows], kept_back, seed)


def follow(shown: Shown, learner: Learner) -> Learnt:
    """Give thumbs to the top of the list, some at a time, and take the figures."""
    rows = np.empty(0, np.int64)
    precisions, aucs = {}, {}
    hidden = shown.kept_back
    for count in range(0, max(AFTER) + 1, _AT_A_TIME):
        scores = learner(shown, rows, shown.liked[rows])
        if count in AFTER:
            precisions[count] = precision(scores[hidden], shown.liked[hidden])
            aucs[count] = auc(scores[hidden], shown.liked[hidden])
        asked = np.where(hidden, -np.inf, scores)
        asked[rows] = -np.inf
        rows = np.concatenate([rows, np.argsort(-asked, kind="stable")[:_AT_A_TIME]])
    return Learnt(precisions, aucs)


def averaged(several: Sequence[Learnt]) -> Learnt:
    """Return the mean of each figure."""
    return Learnt(
        {count: mean([one.precision[count] for one in several]) for count in AFTER},
        {count: mean([one.auc[count] for one in several]) for count in AFTER},
    )


def _finkray(shown: Shown, rows: np.ndarray, up: np.ndarray) -> Floats:
    model = shown.model
    if len(rows):
        model = model.learn(shown.features.take(pa.array(rows)), up.tolist())
    return score_of(model, shown.features)


def _aad(shown: Shown, rows: np.ndarray, up: np.ndarray) -> Floats:
    forest = AADForest(n_trees=_TREES, prior_influence=0.0, random_seed=shown.seed, n_jobs=1)
    return _coniferest(forest, shown, rows, up)


def _pineforest(shown: Shown, rows: np.ndarray, up: np.ndarray) -> Floats:
    forest = PineForest(n_trees=_TREES, random_seed=shown.seed, n_jobs=1)
    return _coniferest(forest, shown, rows, up)


def _coniferest(
    forest: AADForest | PineForest, shown: Shown, rows: np.ndarray, up: np.ndarray
) -> Floats:
    # Their labels: -1 is an anomaly, 1 is not.
    forest.fit_known(shown.values, shown.values[rows], np.where(up, -1, 1))
    return -np.asarray(forest.score_samples(shown.values))


LEARNERS: Final[Mapping[str, Learner]] = {
    "finkray": _finkray,
    "AAD": _aad,
    "Pineforest": _pineforest,
}
