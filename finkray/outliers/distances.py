"""Exact distances between rows of normal scores. Pure.

Normal scores in whole steps, their squares and the sums of these are below 2^24, so float32 has
them exactly in whatever order they are added: a distance depends on no thread, library or
processor.
"""

import numpy as np


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
