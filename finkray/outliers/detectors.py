"""The two detectors: an isolation forest, and the distance to near neighbours. Pure.

Both give the same bits for the same reference and seed, whatever the number of threads, the size of
a batch and the order of its rows.
"""

from types import ModuleType
from typing import Final

import numpy as np

from finkray.errors import OutlierError
from finkray.outliers.arrays import Floats
from finkray.outliers.distances import Points, kth_smallest, one_thread
from finkray.outliers.leaves import Leaves

TREES: Final = 200
"""Number of trees: 300 take half as much time again, and change no figure by more than 0.02."""
SUBSAMPLE: Final = 128
"""Rows for each tree. With 256, the usual number (Liu, Ting and Zhou 2008), trees are deep enough
to follow the dense groups of one night: others look strange (AUC up to 0.03 more), and fewer of the
real transients reach the top 20."""

NEIGHBOURS: Final = 10
NEIGHBOUR_ROWS: Final = 2048
"""Most rows among which neighbours are looked for: the time for an alert grows with them."""

_CHUNK: Final = 128
"""Rows whose distances are in memory at a time: 1 MB of them stays in the cache."""


def coniferest_module() -> ModuleType:
    """Return the library of forests.

    Raises
    ------
    OutlierError
        if it is not installed
    """
    try:
        import coniferest.isoforest
    except ImportError as error:
        raise OutlierError(
            "outliers need the package coniferest: pip install 'finkray[outliers]'"
        ) from error
    return coniferest.isoforest


class Forest:
    """An isolation forest on those columns of a reference that are not constant.

    Parameters
    ----------
    reference
        shape (rows, columns), finite
    seed
        of the trees
    threads
        how many threads score; the scores are the same for any number
    """

    def __init__(self, reference: Floats, seed: int, threads: int) -> None:
        self._columns = reference.shape[1]
        self.used = np.flatnonzero(np.ptp(reference, axis=0) > 0)
        if not len(self.used):
            raise OutlierError(
                "all features are constant over these alerts: no forest can be built"
            )
        self._forest = coniferest_module().IsolationForest(
            n_trees=TREES,
            n_subsamples=min(SUBSAMPLE, len(reference)),
            random_seed=seed,
            n_jobs=threads,
        )
        self._forest.fit(self._input(reference))
        evaluator = self._forest.evaluator
        self._ordinary_length = evaluator.average_path_length(evaluator.samples)
        self._leaves = Leaves(self._forest.core_forest, len(self.used))

    def leaves(self, values: Floats) -> np.ndarray:
        """Return the leaf of each row in each tree: shape (rows, TREES)."""
        if not len(values):
            return np.empty((0, TREES), np.int64)
        found: np.ndarray = self._forest.apply(self._input(values)).view(np.int64)  # from uint64
        return found

    def score(self, leaves: np.ndarray) -> Floats:
        """Return how quickly rows are isolated, from 0 to 1: an ordinary one has about 0.4.

        Parameters
        ----------
        leaves
            of the rows, as `leaves` gives them
        """
        lengths = self._leaves.path_sums(leaves)
        scores: Floats = 2 ** (-lengths / (self._ordinary_length * TREES))
        return scores

    def signature(self, leaves: np.ndarray) -> Floats:
        """Return how much each column shortened the paths; 0 for a column that is not used.

        Parameters
        ----------
        leaves
            of the rows, as `leaves` gives them
        """
        out = np.zeros((len(leaves), self._columns))
        longer, visits = self._leaves.column_sums(leaves)
        # A feature that no tree asked on the way has 0 / 0.
        with np.errstate(invalid="ignore"):
            out[:, self.used] = -np.nan_to_num(longer / visits / self._ordinary_length)
        return out

    def _input(self, values: Floats) -> Floats:
        # coniferest takes NaN without a word, and sends it down one side.
        if not np.isfinite(values).all():
            raise OutlierError("a value that is not finite was about to reach the forest")
        return np.ascontiguousarray(values[:, self.used])


class Neighbours:
    """Distances to a sample of the reference, in normal scores.

    Parameters
    ----------
    reference
        normal scores of the reference in whole steps, as `finkray.outliers.ranks` gives them
    seed
        of the choice, where there are more than `NEIGHBOUR_ROWS`
    """

    def __init__(self, reference: np.ndarray, seed: int) -> None:
        rows = len(reference)
        chosen = np.random.default_rng(seed).permutation(rows)[:NEIGHBOUR_ROWS]
        self.rows = np.sort(chosen)
        self._points = Points(reference[self.rows])
        self._count = min(NEIGHBOURS, len(self.rows) - 1)

    def distances(self, normal: np.ndarray, own: np.ndarray) -> tuple[Floats, np.ndarray]:
        """Return the distance to the tenth neighbour, in steps, and the nearest reference row.

        Parameters
        ----------
        normal
            normal scores in whole steps, shape (rows, columns)
        own
            the reference row that is the alert itself, which is no neighbour of it; -1 if none is
        """
        at = np.searchsorted(self.rows, own)
        is_point = (own >= 0) & (self.rows[np.minimum(at, len(self.rows) - 1)] == own)
        out, nearest = np.empty(len(normal)), np.empty(len(normal), np.int64)
        with one_thread():
            self._fill(normal, at, is_point, out, nearest)
        return np.sqrt(out), nearest

    def _fill(
        self,
        normal: np.ndarray,
        at: np.ndarray,
        is_point: np.ndarray,
        out: Floats,
        nearest: np.ndarray,
    ) -> None:
        for start in range(0, len(normal), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            squares = self._points.squared_distances(normal[chunk])
            itself = np.flatnonzero(is_point[chunk])
            squares[itself, at[chunk][itself]] = np.inf
            nearest[chunk] = self.rows[np.argmin(squares, axis=1)]
            out[chunk] = kth_smallest(squares, self._count)

    def parts(self, normal: np.ndarray, nearest: np.ndarray) -> np.ndarray:
        """Return the squared difference to the nearest row, column by column."""
        where = np.searchsorted(self.rows, nearest)
        return (normal - self._points.normal[where]) ** 2
