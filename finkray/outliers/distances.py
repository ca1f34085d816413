"""Exact distances between rows of normal scores. Pure.

Normal scores in whole steps, their squares and the sums of these are below 2^24, so float32 has
them exactly in whatever order they are added: a distance depends on no thread, library or
processor.
"""

from contextlib import AbstractContextManager
from functools import cache
from typing import Final

import numpy as np
from threadpoolctl import ThreadpoolController

_GROUP: Final = 16
"""Columns of which the least value is taken, in `kth_smallest`."""


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which products of matrices take one thread.

    A second thread gains nothing on products this small, and spins while it waits.
    """
    return _blas().limit(limits=1, user_api="blas")


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


class Points:
    """Points to which distances are wanted.

    Parameters
    ----------
    normal
        normal scores in whole steps, as `finkray.outliers.ranks` gives them:
        shape (points, columns)

    Attributes
    ----------
    normal
        the same as float32
    """

    def __init__(self, normal: np.ndarray) -> None:
        self.normal = np.ascontiguousarray(normal, np.float32)
        squares = (self.normal**2).sum(axis=1)
        # One product of (rows, 1, squares of rows) with it gives all squared distances.
        one = np.ones(len(squares), np.float32)
        self._factor = np.ascontiguousarray(np.vstack([-2.0 * self.normal.T, squares, one]))

    def squared_distances(self, normal: np.ndarray) -> np.ndarray:
        """Return the squared distance of each row to each point: shape (rows, points)."""
        rows = np.ascontiguousarray(normal, np.float32)
        squares = (rows**2).sum(axis=1)
        out: np.ndarray = np.column_stack([rows, np.ones_like(squares), squares]) @ self._factor
        return out


def kth_smallest(values: np.ndarray, k: int) -> np.ndarray:
    """Return the k-th smallest value of each row, as `numpy.partition` does.

    The k-th smallest of the least values of groups of columns is at least that large, and hardly
    any other value is below it: to look for these takes half the time of a partition of the row.

    Parameters
    ----------
    values
        shape (rows, columns), C-contiguous, no NaN
    k
        from 1 to the number of columns
    """
    rows, columns = values.shape
    groups = columns // _GROUP
    if not rows or groups < 2 * k:
        return np.partition(values, k - 1, axis=1)[:, k - 1]
    least = values[:, : groups * _GROUP].reshape(rows, _GROUP, groups).min(axis=1)
    bound = np.partition(least, k - 1, axis=1)[:, k - 1 : k]
    small = np.flatnonzero(values <= bound)
    row = small // columns
    counts = np.bincount(row, minlength=rows)
    first = np.cumsum(counts) - counts
    candidates = np.full((rows, counts.max()), np.inf, values.dtype)
    candidates[row, np.arange(len(small)) - first[row]] = values.ravel()[small]
    out: np.ndarray = np.partition(candidates, k - 1, axis=1)[:, k - 1]
    return out
