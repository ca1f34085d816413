"""Scores are centred within groups of alerts of which the same is known; strange ones stay."""

import numpy as np

from finkray.outliers.centring import Centring


def _reference() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    groups = np.repeat([0, 1, 3], [500, 300, 10])
    middle = np.array([-0.2, 0.3, 0.0, 0.6])[groups]
    return middle + 0.2 * rng.normal(size=len(groups)), groups


def test_groups_have_the_same_median_afterwards() -> None:
    scores, groups = _reference()
    moved = Centring(scores, groups)(scores, groups)
    medians = [np.median(moved[groups == group]) for group in (0, 1)]
    assert np.allclose(medians, 0.0, atol=0.03)
    small = np.median(moved[groups == 3])
    assert 0.2 < small < np.median(scores[groups == 3]), "ten alerts do not decide for a group"


def test_the_order_in_a_group_stays_and_strange_alerts_keep_their_scores() -> None:
    scores, groups = _reference()
    centring = Centring(scores, groups)
    some = np.linspace(-2, 4, 601)
    for group in range(4):
        moved = centring(some, np.full(len(some), group))
        assert (np.diff(moved) > 0).all()
        assert (moved[some >= 1] == some[some >= 1]).all()


def test_a_group_without_ordinary_alerts_keeps_its_scores() -> None:
    scores, groups = _reference()
    some = np.linspace(-2, 4, 13)
    for group in (2, 7):
        assert (Centring(scores, groups)(some, np.full(13, group)) == some).all()
