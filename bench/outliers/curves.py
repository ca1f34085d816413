"""Find the strange kinds by the light curves of objects: stage B, and both stages together."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.outliers.alerts import SimulatedSky
from bench.outliers.detection import (
    OURS,
    Detection,
    detection,
    plain_forest,
    score_of,
    train_and_test,
)
from bench.outliers.figures import Floats, by_object
from finkray.outliers.curve_detector import CurveDetector
from finkray.outliers.curve_features import curve_features
from finkray.outliers.model import OutlierModel
from finkray.outliers.p_values import TailP, combined
from sim.sky.kinds import KINDS, Kind, VisibleIn

STAGE_B: Final = "stage B"
BOTH: Final = "both stages"
SAME_FEATURES: Final = "forest, same features"

_BANDS: Final = {"g": 1, "r": 2}

_SECOND_PEAK_DAYS: Final = 60.0
"""Days after the beginning of a two-peaked transient in which its second peak has been."""


@dataclass(frozen=True)
class Curves:
    """Features of curves: a row of each array to an object, in the order of their names.

    `has_event` says whether an object's points go on until what makes its kind strange was there.
    """

    object_ids: list[str]
    features: dict[str, Floats]
    kind: np.ndarray
    has_event: np.ndarray

    @property
    def together(self) -> Floats:
        """The features of all bands side by side."""
        return np.concatenate(list(self.features.values()), axis=1)


def curves_of(sky: SimulatedSky) -> Curves:
    """Return the features of the curves of all objects, NaN where a curve is too short."""
    object_ids = sky.features["object_id"].combine_chunks()
    names = sorted(object_ids.unique().to_pylist())
    whose = pc.index_in(sky.points["object_id"], pa.array(names)).combine_chunks().to_numpy()
    columns = {name: sky.points[name].to_numpy() for name in ("jd", "flux", "error", "band")}
    features = {}
    for band, number in _BANDS.items():
        here = columns["band"] == number
        # The points are sorted by object and time.
        offsets = np.searchsorted(whose[here], np.arange(len(names) + 1))
        jd, flux, error = (columns[name][here] for name in ("jd", "flux", "error"))
        features[band] = curve_features(jd, flux, error, offsets)
    row_of = dict(zip(object_ids.to_pylist(), range(len(sky.kind)), strict=True))
    rows = np.array([row_of[name] for name in names])
    offsets = np.searchsorted(whose, np.arange(len(names) + 1))
    first, last = columns["jd"][offsets[:-1]], columns["jd"][offsets[1:] - 1]
    has_event = _has_event(sky.kind[rows], sky.event_jd[rows], first, last)
    return Curves(names, features, sky.kind[rows], has_event)


def _has_event(kind: np.ndarray, event_jd: Floats, first: Floats, last: Floats) -> np.ndarray:
    """Return whether curves between two times have what makes their kind strange.

    Of a two-peaked transient both peaks must be in it, of an ever faster rise its end; the other
    kinds are strange all the time that they are seen.
    """
    begun = event_jd >= first
    two_peaks = begun & (event_jd + _SECOND_PEAK_DAYS <= last)
    return np.select(
        [kind == KINDS.index(Kind.TWO_PEAKS), kind == KINDS.index(Kind.RUNAWAY)],
        [two_peaks, begun & (event_jd <= last)],
        default=True,
    )


def stage_b(sky: SimulatedSky, seed: int) -> dict[str, Detection]:
    """Return what curves found, by the name of the detector.

    Stage B and the plain forest are asked for objects with a curve alone; both stages together for
    all objects.
    """
    train, test = train_and_test(sky)
    reference, asked = curves_of(train), curves_of(test)
    p = CurveDetector(reference.features, seed).p_values(asked.features)
    has_curve = np.isfinite(p)
    some = np.flatnonzero(has_curve)
    known = np.isfinite(reference.together).any(axis=1)
    plain = plain_forest(reference.together[known], asked.together[some], seed)
    ids = [asked.object_ids[number] for number in some.tolist()]
    both = combined(np.stack([p, _packet_p(train, test, seed)], axis=1))
    return {
        STAGE_B: detection(ids, asked.kind[some], -np.log(p[some]), VisibleIn.CURVE),
        SAME_FEATURES: detection(ids, asked.kind[some], plain, VisibleIn.CURVE),
        f"{OURS}, {BOTH}": detection(asked.object_ids, asked.kind, -np.log(both), VisibleIn.CURVE),
    }


def stage_b_of_many(sky: SimulatedSky, many: SimulatedSky, seed: int) -> dict[str, Detection]:
    """Return what stage B found of a sky with many strange objects, by which of them count.

    Its reference is the usual one. The second figures leave out objects whose curve has not yet
    what makes their kind strange.
    """
    train, _ = train_and_test(sky)
    _, test = train_and_test(many)
    asked = curves_of(test)
    p = CurveDetector(curves_of(train).features, seed).p_values(asked.features)
    return {
        name: detection(
            [asked.object_ids[number] for number in np.flatnonzero(chosen).tolist()],
            asked.kind[chosen],
            -np.log(p[chosen]),
            VisibleIn.CURVE,
        )
        for name, chosen in {
            "all": np.isfinite(p),
            "what is strange is in the curve": np.isfinite(p) & asked.has_event,
        }.items()
    }


def _packet_p(train: SimulatedSky, test: SimulatedSky, seed: int) -> Floats:
    """Return p-values of the highest score of each object of the test, by stage A."""
    model = OutlierModel.fit(train.features, survey="ztf", seed=seed)
    highest = [
        by_object(sky.features["object_id"].to_pylist(), score_of(model, sky.features))[1]
        for sky in (train, test)
    ]
    return TailP(highest[0])(highest[1])
