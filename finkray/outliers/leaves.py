"""What the leaves of an isolation forest say of the rows that end in them. Pure.

A path through a tree ends in a leaf, so all that is to be said of a path is known of the leaf: how
long it is, and which columns made it shorter. The forest is walked through once for a row, and
score and reasons are sums over its leaves. They are those of coniferest to the last bit: its path
lengths have 24 bits and at most as many behind the point, so float64 adds up those of a forest
exactly, in whatever order.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_array

from finkray.outliers.arrays import Floats

_VISIT: Final = 2.0**15
"""A visit of a node in a sum, beside what it shortened paths by: of 200 trees of seven levels that
is below 2^14, and a multiple of 2^-24. Both are in one number, for the product to be half as
wide."""


class Leaves:
    """The leaves of all trees, numbered as coniferest's `apply` does.

    Parameters
    ----------
    trees
        those of a forest of coniferest
    columns
        number of columns that the trees divide
    """

    def __init__(self, trees: Iterable[Any], columns: int) -> None:
        self._trees, self._columns = list(trees), columns
        self._lengths = np.concatenate([tree.leaf_values() for tree in self._trees])

    def path_sums(self, leaves: np.ndarray) -> Floats:
        """Return the sum of the lengths of the paths to the leaves of each row.

        Parameters
        ----------
        leaves
            the leaf of each row in each tree: shape (rows, trees)
        """
        sums: Floats = self._lengths[leaves].sum(axis=1)
        return sums

    def column_sums(self, leaves: np.ndarray) -> tuple[Floats, Floats]:
        """Return how much longer columns made the paths of each row, and how often they were asked.

        Returns
        -------
        ndarray
            sum over the nodes of the paths that divide each column; negative where it shortened
            them. Shape (rows, columns)
        ndarray
            number of these nodes
        """
        rows, trees = leaves.shape
        ends = np.arange(0, leaves.size + 1, trees)
        ones = np.ones(leaves.size)
        found = csr_array((ones, leaves.ravel(), ends), shape=(rows, len(self._lengths)))
        sums: Floats = found @ self._by_column
        visits = np.rint(sums / _VISIT)
        return sums - _VISIT * visits, visits

    @cached_property
    def _by_column(self) -> Floats:
        """What each leaf adds to the sums: shape (leaves, columns)."""
        return np.concatenate([_of_tree(tree, self._columns) for tree in self._trees])


def _of_tree(tree: Any, columns: int) -> Floats:
    left, column, length = tree.left, tree.feature, tree.node_average_path_length
    sums = np.zeros((len(left), columns))
    parents = np.flatnonzero(left[:1])  # the root, if it is not a leaf
    while len(parents):
        children = np.concatenate([left[parents], left[parents] + 1])
        parents = np.tile(parents, 2)
        sums[children] = sums[parents]
        # In float32 and in this order, as coniferest does.
        longer = np.float32(1.0) + (length[children] - length[parents])
        sums[children, column[parents]] += _VISIT + longer.astype(np.float64)
        parents = children[left[children] > 0]
    return sums[left == 0]
