"""What leaves say of rows is what coniferest says of them, to the last bit."""

import numpy as np
import pytest
from coniferest.isoforest import IsolationForest

from finkray.outliers.detectors import SUBSAMPLE, TREES, Forest
from finkray.outliers.leaves import Leaves


@pytest.fixture(scope="module")
def reference() -> np.ndarray:
    rng = np.random.default_rng(5)
    values = np.stack(
        [rng.normal(size=900), rng.integers(0, 3, 900), np.exp(3 * rng.normal(size=900))], axis=1
    )
    values[:, 1] *= rng.random(900) < 0.02  # most trees see a constant column
    return values


@pytest.mark.parametrize("rows", [900, 60, 2])
def test_sums_over_leaves_are_those_of_coniferest(reference: np.ndarray, rows: int) -> None:
    forest = IsolationForest(
        n_trees=TREES, n_subsamples=min(SUBSAMPLE, rows), random_seed=7, n_jobs=1
    )
    forest.fit(reference[:rows])
    asked = np.concatenate([reference, 4.0 * reference[:50] - 1.0])
    ends = forest.apply(asked).astype(np.int64)
    leaves = Leaves(forest.core_forest, reference.shape[1])
    paths = forest.core_forest.calc_paths_sum(asked, batch_size=64)
    assert np.array_equal(leaves.path_sums(ends), paths)
    longer, visits = leaves.column_sums(ends)
    expected, counted = forest.core_forest.calc_feature_delta_sum(asked, batch_size=64)
    assert np.array_equal(longer, expected)
    assert np.array_equal(visits, counted)


def test_a_forest_scores_and_explains_as_coniferest_does(reference: np.ndarray) -> None:
    constant = np.insert(reference, 1, 3.0, axis=1)
    forest = Forest(constant, seed=7, threads=1)
    plain = IsolationForest(n_trees=TREES, n_subsamples=SUBSAMPLE, random_seed=7, n_jobs=1)
    plain.fit(reference)
    ends = forest.leaves(constant[:40])
    assert np.array_equal(forest.score(ends), -plain.score_samples(reference[:40]))
    signature = np.nan_to_num(plain.feature_signature(reference[:40]))
    assert np.array_equal(forest.signature(ends), np.insert(-signature, 1, 0.0, axis=1))
    nothing = forest.leaves(constant[:0])
    assert forest.score(nothing).shape == (0,)
    assert forest.signature(nothing).shape == (0, 4)
