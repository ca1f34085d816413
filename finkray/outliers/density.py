"""The local outlier factor: how sparse a row's surroundings are beside those of its neighbours.

A row may be near to none and yet ordinary, where all its like are far apart, or near to many and
odd, just beside a dense group. Breunig and others 2000. Pure.
"""

from typing import Final

import numpy as np

from finkray.errors import OutlierError
from finkray.outliers.arrays import Floats
from finkray.outliers.distances import Points, one_thread

DENSITY_NEIGHBOURS: Final = 20
DENSITY_ROWS: Final = 1024
"""Most rows among which neighbours are looked for: the time for a curve grows with them."""

_CHUNK: Final = 256
_ROW_BITS: Final = 10
"""Bits of a row's number, below `DENSITY_ROWS`."""
_MOST_COLUMNS: Final = 80
"""Squared distances of normal scores have 21 bits then: with those of a row's number, 31."""
_LEAST_DISTANCE: Final = 1.0
"""Least distance, in normal scores, so that rows that are the same are not infinitely dense."""


class LocalDensity:
    """Local outlier factors against a sample of the reference, in normal scores.

    Parameters
    ----------
    reference
        normal scores of the reference in whole steps, as `finkray.outliers.ranks` gives them
    seed
        of the choice, where there are more than `DENSITY_ROWS`

    Raises
    ------
    OutlierError
        if there are more than 80 columns
    """

    def __init__(self, reference: np.ndarray, seed: int) -> None:
        if reference.shape[1] > _MOST_COLUMNS:
            raise OutlierError(
                f"{reference.shape[1]} features for a local density: at most {_MOST_COLUMNS}"
            )
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
            # A whole number that has the squared distance and the row: to sort these is three times
            # as fast as to sort rows by distance, and rows that are equally far keep their order.
            keys = squares.astype(np.int32)
            keys <<= _ROW_BITS
            keys += np.arange(keys.shape[1], dtype=keys.dtype)
            first = np.sort(np.partition(keys, count - 1, axis=1)[:, :count], axis=1)
            nearest[chunk] = first & (DENSITY_ROWS - 1)
            roots = np.sqrt((first >> _ROW_BITS).astype(np.float64))
            distances[chunk] = np.maximum(roots, _LEAST_DISTANCE)
