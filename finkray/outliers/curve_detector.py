"""Score light curves of several bands against those of a reference. Pure.

Forest and local density stand side by side: where one is blind the other often sees. Each band and
detector has a p-value, and an object the combination of its own.
"""

from collections.abc import Mapping

import numpy as np

from finkray.errors import OutlierError
from finkray.outliers.arrays import Floats
from finkray.outliers.density import LocalDensity
from finkray.outliers.detectors import Forest
from finkray.outliers.p_values import TailP, combined
from finkray.outliers.ranks import Places, Ranks

LEAST_CURVES = 75
"""A band with fewer reference curves is not used: the tail of p-values is fitted to 5 % of them.
With 58, in one draw, ordinary alerts looked strange by their curves: of transients painted on a
real night 60 % were in its top 20 in place of 84 %, of a tidal disruption event 17 alerts of 21.
With 100, nights without curves looked stranger beside others whose curves no longer count (AUC 0.67
in place of 0.64, of 80 reference curves)."""


class CurveDetector:
    """Detectors of one or more bands.

    Parameters
    ----------
    reference
        by band, features of curves as `finkray.outliers.curve_features` gives them; rows without a
        value are left out
    seed
        of the forests
    threads
        how many threads score; the scores are the same for any number

    Raises
    ------
    OutlierError
        if no band has `LEAST_CURVES` curves with features
    """

    def __init__(self, reference: Mapping[str, Floats], seed: int, threads: int = 1) -> None:
        self._bands: dict[str, _Band] = {}
        for band, values in reference.items():
            usable = values[np.isfinite(values).any(axis=1)]
            if len(usable) >= LEAST_CURVES:
                self._bands[band] = _Band(usable, seed, threads)
        if not self._bands:
            counts = {band: len(values) for band, values in reference.items()}
            raise OutlierError(
                f"no band has {LEAST_CURVES} curves with features, of {counts}: give more nights"
            )

    def p_values(self, curves: Mapping[str, Floats]) -> Floats:
        """Return one p-value for each object: low is strange, NaN where no band has features.

        Parameters
        ----------
        curves
            by band, features: a row for each object, the same in all bands; NaN where an object has
            no curve in the band
        """
        columns = [
            detector.p_values(curves[band])
            for band, detector in self._bands.items()
            if band in curves
        ]
        if not columns:
            rows = next((len(values) for values in curves.values()), 0)
            return np.full(rows, np.nan)
        return combined(np.concatenate(columns, axis=1))

    def contributions(self, curves: Mapping[str, Floats]) -> tuple[Places, Floats]:
        """Return where features lie in the reference, and how much each one shortened the paths.

        Returns
        -------
        Places
            of the features of all bands side by side, as they are given; NaN in bands that are not
            used
        ndarray
            rows sum up to 1, or are 0
        """
        places, shares = [], []
        for band, values in curves.items():
            detector = self._bands.get(band)
            known = np.isfinite(values).any(axis=1) & (detector is not None)
            share = np.zeros(values.shape)
            unknown = np.empty((0, values.shape[1]))
            of_known = Places(unknown, unknown, unknown.astype(np.float32))
            if detector is not None and known.any():
                of_known = detector.places(values[known])
                share[known] = detector.signature(values[known])
            places.append(of_known.spread(known))
            shares.append(share)
        together = np.concatenate(shares, axis=1)
        total = together.sum(axis=1, keepdims=True)
        return (
            Places(
                np.concatenate([each.below for each in places], axis=1),
                np.concatenate([each.above for each in places], axis=1),
                np.concatenate([each.normal for each in places], axis=1),
            ),
            np.divide(together, total, out=np.zeros(together.shape), where=total > 0),
        )


class _Band:
    """Forest and local density of one band.

    The forest is on the values, in which a curve far beyond all others is far; the density is on
    ranks, in which all features count alike.
    """

    def __init__(self, reference: Floats, seed: int, threads: int) -> None:
        self._ranks = Ranks(reference)
        self._medians = self._ranks.medians()
        filled = self._filled(reference)
        self._forest = Forest(filled, seed, threads)
        self._forest_p = TailP(self._forest.score(filled))
        self._density = LocalDensity(self._ranks.normal(reference), seed)
        self._density_p = TailP(self._density.own)

    def p_values(self, values: Floats) -> Floats:
        """Return the p-values of both: shape (rows, 2)."""
        known = np.isfinite(values).any(axis=1)
        normal = self._ranks.normal(values[known])
        out = np.full((len(values), 2), np.nan)
        out[known, 0] = self._forest_p(self._forest.score(self._filled(values[known])))
        out[known, 1] = self._density_p(self._density.factors(normal))
        return out

    def places(self, values: Floats) -> Places:
        """Return where the values lie in the reference."""
        return self._ranks.places(values)

    def signature(self, values: Floats) -> Floats:
        """Return how much each feature shortened the paths in the forest, 0 or more."""
        return np.maximum(self._forest.signature(self._filled(values)), 0.0)

    def _filled(self, values: Floats) -> Floats:
        return np.where(np.isfinite(values), values, self._medians)
