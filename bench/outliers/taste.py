"""Measure with simulated users what thumbs do to the top of the list.

A user likes one kind of objects. It is rare: 1 % of the alerts. One half of the alerts is shown,
the strangest first; the user says up or down, and the model learns. The other half is never shown,
and the figures are of that half. What ten thumbs teach where half of them are up, as of a user who
knows examples, is measured apart: how soon a user meets the first alert that he likes is left out.
So is a user who looks at the list of stars alone (`finkray outliers list --context star`), as who
likes flares does; his figures are of that list.

Users of opposite taste are measured on real alerts: one likes transients, one asteroids, one fading
stars.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from coniferest.aadforest import AADForest
from coniferest.pineforest import PineForest

from bench.outliers.alerts import WHOLE_NIGHTS, SimulatedSky
from bench.outliers.detection import score_of
from bench.outliers.figures import Floats, auc, mean, precision
from finkray.outliers.arrays import column_of, floats
from finkray.outliers.context import contexts
from finkray.outliers.feature_list import feature_list, features_of, matrix
from finkray.outliers.model import OutlierModel
from sim.sky.kinds import KINDS, Kind

TASTES: Final = (Kind.SUPERNOVA, Kind.FLARE_STAR, Kind.ACTIVE_GALAXY)
STARS: Final = {Kind.FLARE_STAR: "star"}
"""Tastes of users who look at the list of a context alone, measured beside the whole list."""

AFTER: Final = (0, 10, 20, 50)
"""Numbers of thumbs after which the figures are taken."""

DRAWS: Final = 3
"""Sets of alerts that are drawn of each sky."""
KNOWN: Final = 5
"""Thumbs up, and thumbs down, of a user who knows examples."""

_AT_A_TIME: Final = 5
"""Thumbs between two fits."""

_FADING: Final = 0.9
"""Share of detections fainter than the reference image, above which a star counts as fading."""
_ORDINARY: Final = 2_970
_LIKED: Final = 30
_TREES: Final = 300

Learner = Callable[["Shown", np.ndarray, np.ndarray], Floats]
"""Takes a set of alerts, the rows with thumbs and whether they are up; returns all scores."""


@dataclass(frozen=True)
class Shown:
    """The alerts of one user: a row to each.

    Those with thumbs are never among `kept_back`. He looks at those that are `listed`.
    """

    model: OutlierModel
    features: pa.Table
    values: Floats
    liked: np.ndarray
    kept_back: np.ndarray
    listed: np.ndarray
    seed: int


@dataclass(frozen=True, slots=True)
class LearningFigures:
    """Figures of the half that is never shown, of what the user lists.

    Attributes
    ----------
    precision, auc
        after each number of `AFTER`
    met
        how many of these thumbs were up
    known_precision, known_auc
        after `KNOWN` thumbs up and as many down
    """

    precision: Mapping[int, float]
    auc: Mapping[int, float]
    met: Mapping[int, float]
    known_precision: float
    known_auc: float


def measure(skies: Mapping[int, SimulatedSky]) -> dict[str, dict[str, LearningFigures]]:
    """Return the figures by taste and learner, the mean over the skies by their seeds."""
    draws = [(sky, DRAWS * seed + draw) for seed, sky in skies.items() for draw in range(DRAWS)]
    found = {}
    for taste in TASTES:
        sets = [alerts_of(sky, taste, seed) for sky, seed in draws]
        found[taste.value] = _by_learner(sets)
    for taste, context in STARS.items():
        sets = [alerts_of(sky, taste, seed, context) for sky, seed in draws]
        found[f"{taste.value}, list of context {context}"] = _by_learner(sets)
    return found


def measure_real(
    nights: Mapping[str, pa.Table], transients: pa.Table, seeds: Sequence[int]
) -> dict[str, dict[str, LearningFigures]]:
    """Return the figures of users of opposite taste, by taste and learner.

    Parameters
    ----------
    nights
        nested alerts by name of the night
    transients
        nested alerts of transients, to be put beside those of the whole nights
    seeds
        of the halves that are shown
    """
    tables = [nights[name] for name in WHOLE_NIGHTS]
    where = np.concatenate([contexts(table) for table in tables])
    ordinary = pa.concat_tables([features_of(table, "ztf") for table in tables])
    features = pa.concat_tables([ordinary, features_of(transients, "ztf")])
    is_transient = np.arange(features.num_rows) >= ordinary.num_rows
    where = np.concatenate([where, np.full(transients.num_rows, "transient")])
    share, sign = (floats(column_of(features, name)) for name in ("negative_share", "sign"))
    # The share is of two detections at least; of a single one its direction says the same.
    fading = (where == "star") & (np.where(np.isnan(share), sign < 0, share) > _FADING)
    likes = {"transients": is_transient, "asteroids": where == "asteroid", "fading stars": fading}
    model = OutlierModel.fit(ordinary, survey="ztf", seed=1)
    filled = _filled(features)
    every = np.ones(features.num_rows, bool)
    found = {}
    for name, liked in likes.items():
        sets = [
            Shown(model, features, filled, liked, _half(len(liked), seed), every, seed)
            for seed in seeds
        ]
        found[f"{name} ({liked.sum()} of {len(liked)})"] = _by_learner(sets)
    return found


def _by_learner(sets: Sequence["Shown"]) -> dict[str, LearningFigures]:
    return {
        name: averaged([follow(one, learner) for one in sets]) for name, learner in LEARNERS.items()
    }


def alerts_of(sky: SimulatedSky, taste: Kind, seed: int, context: str | None = None) -> Shown:
    """Draw alerts, 1 % of which are of the kind, of which the user lists those of a context."""
    rng = np.random.default_rng(seed)
    is_taste = sky.kind == KINDS.index(taste)
    ordinary = rng.permutation(np.flatnonzero(~is_taste))[:_ORDINARY]
    liked = rng.permutation(np.flatnonzero(is_taste))[:_LIKED]
    rows = rng.permutation(np.concatenate([ordinary, liked]))
    features = sky.features.take(pa.array(rows))
    # A reference without the kind would know it as new: it is in there with its share.
    model = OutlierModel.fit(features, survey="ztf", seed=seed)
    listed = np.ones(len(rows), bool) if context is None else sky.context[rows] == context
    half = _half(len(rows), seed)
    return Shown(model, features, _filled(features), is_taste[rows], half, listed, seed)


def follow(shown: Shown, learner: Learner) -> LearningFigures:
    """Give thumbs to the top of the list, some at a time, and take the figures."""
    rows = np.empty(0, np.int64)
    precisions, aucs, met = {}, {}, {}
    hidden = shown.kept_back & shown.listed
    known = _known(shown, learner(shown, rows, shown.liked[rows]))
    after_known = learner(shown, known, shown.liked[known])[hidden]
    for count in range(0, max(AFTER) + 1, _AT_A_TIME):
        scores = learner(shown, rows, shown.liked[rows])
        if count in AFTER:
            precisions[count] = precision(scores[hidden], shown.liked[hidden])
            aucs[count] = auc(scores[hidden], shown.liked[hidden])
            met[count] = float(shown.liked[rows].sum())
        asked = np.where(shown.listed & ~shown.kept_back, scores, -np.inf)
        asked[rows] = -np.inf
        rows = np.concatenate([rows, np.argsort(-asked, kind="stable")[:_AT_A_TIME]])
    liked = shown.liked[hidden]
    return LearningFigures(
        precisions, aucs, met, precision(after_known, liked), auc(after_known, liked)
    )


def _known(shown: Shown, scores: Floats) -> np.ndarray:
    """Return rows of some alerts that the user likes, and of the strangest that he does not."""
    rng = np.random.default_rng(shown.seed)
    able = shown.listed & ~shown.kept_back
    liked = rng.permutation(np.flatnonzero(shown.liked & able))[:KNOWN]
    others = np.flatnonzero(~shown.liked & able)
    strangest = others[np.argsort(-scores[others], kind="stable")[:KNOWN]]
    return np.concatenate([liked, strangest])


def _half(rows: int, seed: int) -> np.ndarray:
    """Return which rows are never shown."""
    return np.random.default_rng([seed, 1]).random(rows) < 0.5


def _filled(features: pa.Table) -> Floats:
    values = matrix(features, feature_list("ztf").names)
    return np.where(np.isfinite(values), values, np.nanmedian(values, axis=0))


def averaged(several: Sequence[LearningFigures]) -> LearningFigures:
    """Return the mean of each figure."""
    return LearningFigures(
        {count: mean([one.precision[count] for one in several]) for count in AFTER},
        {count: mean([one.auc[count] for one in several]) for count in AFTER},
        {count: mean([one.met[count] for one in several]) for count in AFTER},
        mean([one.known_precision for one in several]),
        mean([one.known_auc for one in several]),
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
