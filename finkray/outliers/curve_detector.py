"""Score light curves of several bands against those of a reference. Pure.

Forest and neighbours stand side by side: where one is blind the other often sees. Each band and
detector has a p-value, and an object the combination of its own.
"""

from collections.abc import Mapping

import numpy as np

from finkray.errors import OutlierError
from finkray.outliers.arrays import Floats
from finkray.outliers.detectors import Forest, Neighbours
from finkray.outliers.p_values import TailP, combined
from finkray.outliers.ranks import Ranks

LEAST_CURVES = 50
"""A band with fewer reference curves is not used."""


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


class _Band:
    """Forest and neighbours of one band."""

    def __init__(self, reference: Floats, seed: int, threads: int) -> None:
        self._ranks = Ranks(reference)
        normal = self._ranks.places(reference).normal
        self._forest = Forest(normal.astype(np.float64), seed, threads)
        self._neighbours = Neighbours(normal, seed)
        self._forest_p = TailP(self._forest.score(normal.astype(np.float64)))
        itself = np.arange(len(normal))
        self._distance_p = TailP(self._neighbours.distances(normal, itself)[0])

    def p_values(self, values: Floats) -> Floats:
        """Return the p-values of both: shape (rows, 2)."""
        known = np.isfinite(values).any(axis=1)
        normal = self._ranks.places(values[known]).normal
        out = np.full((len(values), 2), np.nan)
        out[known, 0] = self._forest_p(self._forest.score(normal.astype(np.float64)))
        of_none = np.full(len(normal), -1)
        out[known, 1] = self._distance_p(self._neighbours.distances(normal, of_none)[0])
        return out
