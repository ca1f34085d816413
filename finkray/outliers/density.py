"""The local outlier factor: how sparse a row's surroundings are beside those of its neighbours.

A row may be near to none and yet ordinary, where all its like are far apart, or near to many and
odd, just beside a dense group. Breunig and others 2000. Pure.
"""

from typing import Final

import numpy as np

from finkray.outliers.arrays import Floats
from finkray.outliers.distances import Points, one_thread

DENSITY_NEIGHBOURS: Final = 20
DENSITY_ROWS: Final = 1024
"""Most rows among which neighbours are looked for: the time for a curve grows with them."""

_CHUNK: Final = 256
_LEAST_DISTANCE: Final = 1.0
"""In steps of normal scores: rows that are the same are not infinitely dense."""


class LocalDensity:
    """Local outlier factors against a sample of the reference, in normal scores.

    Parameters
    ----------
    reference
        normal scores of the reference in whole steps, as `finkray.outliers.ranks` gives them
    seed
        of the choice, where there are more than `DENSITY_ROWS`
    """

    def __init__(self, reference: np.ndarray, seed: int) -> None:
        chosen = np.random.default_rng(seed).permutation(len(reference))[:DENSITY_ROWS]
        self._points = Points(reference[np.sort(chosen)])
        self._count = min(DENSITY_NEIGHBOURS, len(chosen) - 1)
        distances, which = self._nearest(self._points.normal, self._count + 1)
        # The first neighbour of a point is itself, or one in the same place.
        self._reach = distances[:, -1]
        self._density = self._densities(distances[:, 1:], which[:, 1:])
        self.own = self._factors(self._density, which[:, 1:])
        """The factors of the sample itself."""

    def factors(self, normal: np.ndarray) -> Floats:
        """Return the factor of each row: about 1 among its like, higher the sparser it is there."""
        distances, which = self._nearest(normal, self._count)
        return self._factors(self._densities(distances, which), which)

    def _densities(self, distances: Floats, which: np.ndarray) -> Floats:
        return 1.0 / np.maximum(distances, self._reach[which]).mean(axis=1)

    def _factors(self, density: Floats, which: np.ndarray) -> Floats:
        return self._density[which].mean(axis=1) / density

    def _nearest(self, normal: np.ndarray, count: int) -> tuple[Floats, np.ndarray]:
        distances, nearest = np.empty((len(normal), count)), np.empty((len(normal), count), int)
        with one_thread():
            self._fill(normal, count, distances, nearest)
        return distances, nearest

    def _fill(self, normal: np.ndarray, count: int, distances: Floats, nearest: np.ndarray) -> None:
        for start in range(0, len(normal), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            squares = self._points.squared_distances(normal[chunk])
            which = np.argpartition(squares, count - 1, axis=1)[:, :count]
            some = np.take_along_axis(squares, which, axis=1)
            order = np.argsort(some, axis=1, kind="stable")
            nearest[chunk] = np.take_along_axis(which, order, axis=1)
            sorted_squares = np.take_along_axis(some, order, axis=1).astype(np.float64)
            distances[chunk] = np.maximum(np.sqrt(sorted_squares), _LEAST_DISTANCE)
