"""The figures of the outlier benchmark are those that small examples have by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.outliers.detection import averaged, detection, plain_forest
from bench.outliers.figures import (
    above,
    auc,
    by_object,
    mean,
    p_values,
    precision,
    recall,
    share_within,
)
from bench.outliers.public import own_p_values
from bench.outliers.reasons import pushed_rows
from bench.outliers.taste import AFTER, LEARNERS, follow
from sim.sky.kinds import KINDS, STRANGE_KINDS, Kind, VisibleIn


def test_auc_is_one_for_a_perfect_list_and_one_half_for_ties() -> None:
    wanted = np.array([True, False, False])
    assert auc(np.array([3.0, 2.0, 1.0]), wanted) == 1
    assert auc(np.array([1.0, 2.0, 3.0]), wanted) == 0
    assert auc(np.array([2.0, 2.0, 2.0]), wanted) == 0.5
    assert np.isnan(auc(np.array([1.0]), np.array([True])))


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=2, max_size=30))
def test_auc_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    scores, wanted = np.array([row[0] for row in rows], float), np.array([r[1] for r in rows])
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[wanted] for b in scores[~wanted]]
    if pairs:
        assert auc(scores, wanted) == pytest.approx(np.mean(pairs))


def test_precision_and_recall_look_at_the_highest_scores_alone() -> None:
    scores = np.array([5.0, 1.0, 4.0, 3.0])
    wanted = np.array([True, True, False, True])
    assert precision(scores, wanted, 2) == 0.5
    assert recall(scores, wanted, 2) == pytest.approx(1 / 3)


def test_alerts_above_are_those_that_score_at_least_as_high() -> None:
    scores, others = np.array([3.0, 0.5, 9.0]), np.array([4.0, 1.0, 3.0, 2.0])
    assert above(scores, others).tolist() == [2, 4, 0]


def test_an_object_counts_once_with_its_highest_score() -> None:
    names, highest = by_object(["b", "a", "b"], np.array([1.0, 2.0, 3.0]))
    assert names == ["a", "b"]
    assert highest.tolist() == [2.0, 3.0]


def test_p_values_of_a_night_calibrated_with_itself_are_uniform() -> None:
    assert p_values(np.array([9.0, 0.0, 2.0]), np.array([1.0, 2.0, 3.0])).tolist() == [
        0.25,
        1.0,
        0.75,
    ]
    p = own_p_values(np.random.default_rng(1).normal(size=400), np.random.default_rng(2))
    assert share_within(p, 0.05) == pytest.approx(0.05, abs=0.01)


def test_a_mean_leaves_out_what_is_no_number() -> None:
    assert mean([1.0, float("nan"), 3.0]) == 2
    assert np.isnan(mean([]))


def test_detection_is_by_kind_and_against_ordinary_objects_alone() -> None:
    hostless, steps, star = (
        KINDS.index(kind) for kind in (Kind.HOSTLESS, Kind.STRANGE, Kind.RR_LYRAE)
    )
    kind = np.array([hostless, hostless, steps, star, star])
    scores = np.array([0.1, 2.0, 9.0, 1.0, 3.0])
    found = detection(["h", "h", "s", "r", "q"], kind, scores, VisibleIn.PACKET)
    assert found.kinds[Kind.HOSTLESS].objects == 1
    assert found.kinds[Kind.HOSTLESS].auc == 0.5
    assert found.kinds[Kind.STRANGE].auc == 1
    assert set(found.kinds) == set(STRANGE_KINDS)
    both = averaged([found, found])
    assert both.kinds[Kind.HOSTLESS].objects == 2
    assert both.kinds[Kind.HOSTLESS].auc == 0.5


def test_the_plain_forest_takes_missing_values_and_empty_columns() -> None:
    rng = np.random.default_rng(3)
    train = rng.normal(size=(200, 3))
    train[:, 2] = np.nan
    train[::7, 1] = np.nan
    scores = plain_forest(train, np.array([[0.0, 0.0, np.nan], [9.0, 9.0, 1.0]]), 1)
    assert scores[1] > scores[0]


def test_one_feature_of_each_row_is_pushed_beyond_its_edge() -> None:
    values = np.random.default_rng(4).normal(size=(500, 4))
    values[:, 3] = 7.0  # cannot be pushed anywhere
    rows, which = pushed_rows(values, np.random.default_rng(5))
    assert 3 not in which
    pushed = rows[np.arange(len(rows)), which]
    low, high = np.percentile(values, [1, 99], axis=0)
    assert np.all((pushed < low[which]) | (pushed > high[which]))


@pytest.mark.parametrize("every", [1, 3])
def test_a_user_sees_what_he_lists_and_never_the_half_that_is_kept_back(every: int) -> None:
    class Everything:
        liked = np.arange(600) % 10 == 0
        kept_back = np.arange(600) % 2 == 1
        listed = np.arange(600) % every == 0
        seed = 1

    seen = []

    def learner(shown: Everything, rows: np.ndarray, up: np.ndarray) -> np.ndarray:
        assert len(rows) == len(set(rows.tolist()))
        assert np.array_equal(up, shown.liked[rows])
        seen.append(rows)
        return np.arange(600.0)

    learnt = follow(Everything(), learner)  # type: ignore[arg-type]
    assert set(learnt.auc) == set(AFTER)
    # Asked from the end on: 598, 596, ... of which every fifth is liked, 590 the first; of every
    # third alert 594, 588, ..., of which every fifth is liked as well.
    assert learnt.met == {0: 0, 10: 2, 20: 4, 50: 10}
    assert len(seen[-1]) == max(AFTER)
    assert not any(Everything.kept_back[rows].any() for rows in seen)
    assert all(Everything.listed[rows].all() for rows in seen)
    assert {"finkray", "AAD", "Pineforest"} <= set(LEARNERS)
