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
With 58, in one draw, ordinary alerts looked strange by their curves: of transients injected into a
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

    def leaves(self, curves: Mapping[str, Floats]) -> dict[str, np.ndarray]:
        """Return by band the leaves of the forest in which curves end, as the other methods take.

        Parameters
        ----------
        curves
            by band, features: a row for each object, the same in all bands; NaN where an object has
            no curve in the band
        """
        return {
            band: detector.leaves(curves[band])
            for band, detector in self._bands.items()
            if band in curves
        }

    def p_values(
        self, curves: Mapping[str, Floats], leaves: Mapping[str, np.ndarray] | None = None
    ) -> Floats:
        """Return one p-value for each object: low is strange, NaN where no band has features.

        Parameters
        ----------
        curves
            as of `leaves`
        leaves
            those of the curves, if they are known
        """
        leaves = self.leaves(curves) if leaves is None else leaves
        columns = [self._bands[band].p_values(curves[band], each) for band, each in leaves.items()]
        if not columns:
            rows = next((len(values) for values in curves.values()), 0)
            return np.full(rows, np.nan)
        return combined(np.concatenate(columns, axis=1))

    def contributions(
        self, curves: Mapping[str, Floats], leaves: Mapping[str, np.ndarray]
    ) -> tuple[Places, Floats]:
        """Return where features lie in the reference, and how much each one shortened the paths.

        Parameters
        ----------
        curves, leaves
            as of `leaves`

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
                share[known] = detector.signature(leaves[band][known])
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
        self._forest_p = TailP(self._forest.score(self._forest.leaves(filled)))
        self._density = LocalDensity(self._ranks.normal(reference), seed)
        self._density_p = TailP(self._density.own)

    def leaves(self, values: Floats) -> np.ndarray:
        """Return the leaf of each row in each tree of the forest; any leaf where all is NaN."""
        known = np.isfinite(values).any(axis=1)
        found = self._forest.leaves(self._filled(values[known]))
        out = np.zeros((len(values), found.shape[1]), found.dtype)
        out[known] = found
        return out

    def p_values(self, values: Floats, leaves: np.ndarray) -> Floats:
        """Return the p-values of both: shape (rows, 2)."""
        known = np.isfinite(values).any(axis=1)
        normal = self._ranks.normal(values[known])
        out = np.full((len(values), 2), np.nan)
        out[known, 0] = self._forest_p(self._forest.score(leaves[known]))
        out[known, 1] = self._density_p(self._density.factors(normal))
        return out

    def places(self, values: Floats) -> Places:
        """Return where the values lie in the reference."""
        return self._ranks.places(values)

    def signature(self, leaves: np.ndarray) -> Floats:
        """Return how much each feature shortened the paths in the forest, 0 or more."""
        return np.maximum(self._forest.signature(leaves), 0.0)

    def _filled(self, values: Floats) -> Floats:
        return np.where(np.isfinite(values), values, self._medians)
