"""Features of curves: scale-free, of each curve alone, and what their names say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks, peak_prominences
from sklearn.neighbors import LocalOutlierFactor

from finkray.errors import OutlierError
from finkray.outliers.curve_detector import LEAST_CURVES, CurveDetector
from finkray.outliers.curve_features import CURVE_FEATURES, LEAST_POINTS, curve_features
from finkray.outliers.density import LocalDensity
from finkray.outliers.p_values import TailP, combined
from tests.support.examples import examples

NAMES = [feature.name for feature in CURVE_FEATURES]


def made(seed: int, curves: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return random curves of 3 to 20 points."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(3, 20, curves)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    days = np.concatenate([np.sort(rng.uniform(0, 90, count)) for count in counts])
    flux = rng.normal(0, 10, len(days)) + np.repeat(rng.normal(0, 20, curves), counts)
    return days, flux, rng.uniform(0.5, 2, len(days)), offsets


def of(days: list[float], flux: list[float], error: float = 0.01) -> dict[str, float]:
    """Return the features of one curve by name."""
    found = curve_features(
        np.array(days), np.array(flux), np.full(len(days), error), np.array([0, len(days)])
    )
    return dict(zip(NAMES, found[0].tolist(), strict=True))


@settings(max_examples=examples(10), deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), shift=st.floats(-1e4, 1e4))
def test_unit_epoch_and_pace_change_nothing(seed: int, scale: float, shift: float) -> None:
    days, flux, error, offsets = made(seed)
    plain = curve_features(days, flux, error, offsets)
    scaled = curve_features(days, scale * flux, scale * error, offsets)
    moved = curve_features(3.0 * days + shift, flux, error, offsets)
    assert np.allclose(plain, scaled, rtol=1e-6, atol=1e-6, equal_nan=True)
    # Slopes are compared with each other: rounding of times may turn one comparison.
    steady = [number for number, name in enumerate(NAMES) if name != "acceleration"]
    assert np.allclose(plain[:, steady], moved[:, steady], rtol=1e-5, atol=1e-5, equal_nan=True)


@settings(max_examples=examples(10), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_curve_has_the_same_features_alone_and_among_others(seed: int) -> None:
    days, flux, error, offsets = made(seed)
    together = curve_features(days, flux, error, offsets)
    for number, (start, end) in enumerate(itertools.pairwise(offsets)):
        here = slice(start, end)
        alone = curve_features(days[here], flux[here], error[here], np.array([0, end - start]))
        assert np.allclose(together[number], alone[0], atol=1e-9, equal_nan=True)
        assert np.isfinite(together[number]).all() == (end - start >= LEAST_POINTS)


def test_curves_that_say_nothing_have_no_features_and_no_warning() -> None:
    days = np.arange(8.0)
    for flux in (np.ones(8), np.full(8, np.nan)):
        assert np.isnan(curve_features(days, flux, np.ones(8), np.array([0, 8]))).all()
    assert np.isnan(curve_features(np.ones(8), days, np.ones(8), np.array([0, 8]))).all()
    assert np.isnan(curve_features(days, days, np.zeros(8), np.array([0, 8]))).all()
    empty = np.empty(0)
    assert curve_features(empty, empty, empty, np.array([0])).shape == (0, len(NAMES))
    assert np.isnan(curve_features(empty, empty, empty, np.array([0, 0]))).all()


def test_bad_points_are_left_out() -> None:
    days, flux, error = np.arange(9.0), np.arange(9.0) ** 2, np.ones(9)
    good = curve_features(days[:8], flux[:8], error[:8], np.array([0, 8]))
    for spoilt in (np.nan, np.inf):
        flux[8] = spoilt
        assert np.array_equal(curve_features(days, flux, error, np.array([0, 9])), good)


def test_against_the_textbook() -> None:
    rng = np.random.default_rng(1)
    days, flux = np.sort(rng.uniform(0, 50, 30)), rng.normal(5, 2, 30)
    found = of(days.tolist(), flux.tolist(), 0.5)
    assert found["eta"] == pytest.approx(np.sum(np.diff(flux) ** 2) / 29 / flux.var())
    off = (flux - flux.mean()) / flux.std()
    assert found["skew"] == pytest.approx(np.mean(off**3))
    assert found["kurtosis"] == pytest.approx(np.log1p(np.mean(off**4)))
    assert found["trend"] == pytest.approx(np.corrcoef(days, flux)[0, 1])
    ordered = np.sort(flux)
    within = [np.var(ordered[:k]) * k + np.var(ordered[k:]) * (30 - k) for k in range(1, 30)]
    assert found["two_levels"] == pytest.approx(np.log10(min(within) / 30 / flux.var()))
    inside = np.ptp(np.quantile(flux, [0.25, 0.75])) / np.ptp(flux)
    assert found["half_range"] == pytest.approx(inside)
    error = np.maximum(0.5, 0.02 * np.abs(flux))
    weighted = np.average(flux, weights=error**-2)
    chi2 = np.sum(((flux - weighted) / error) ** 2) / 29
    assert found["chi2"] == pytest.approx(np.log10(chi2))
    pull = np.abs(flux - weighted) / error
    assert found["stetson_k"] == pytest.approx(pull.mean() / np.sqrt(np.mean(pull**2)))
    assert found["cusum"] == pytest.approx(np.ptp(np.cumsum(off)) / 30)
    assert found["beyond_1"] == np.mean(np.abs(off) > 1)
    steps = np.diff(flux)
    assert found["step_skew"] == pytest.approx(np.mean(steps**3) / np.mean(steps**2) ** 1.5)


def test_shapes_have_the_features_of_their_names() -> None:
    days = np.linspace(0, 60, 25)
    hump = np.exp(-(((days - 15) / 6) ** 2))
    second = np.exp(-(((days - 45) / 6) ** 2))
    one, two = of(days.tolist(), hump.tolist()), of(days.tolist(), (hump + 0.8 * second).tolist())
    assert one["dip_between"] == one["sole_dip"] == 0
    assert two["dip_between"] == pytest.approx(two["sole_dip"]) == pytest.approx(0.8, abs=0.05)
    waves = of(days.tolist(), np.sin(days).tolist())
    assert waves["dip_between"] > 0.7
    assert waves["sole_dip"] < 0.3
    assert waves["other_dips"] > 0.5 > two["other_dips"]
    steps = of(days.tolist(), np.where(days % 20 < 10, 1.0, -0.5).tolist())
    assert steps["largest_gap"] == 1
    assert steps["two_levels"] == -4
    assert steps["above_half"] == steps["above_tenth"] == pytest.approx(0.5, abs=0.1)
    assert steps["flat_share"] > 0.7
    chirp = of(days.tolist(), np.sin(2 * np.pi * (days / 35) ** 2).tolist())
    assert chirp["crossings_late"] > 0
    rise = of(days.tolist(), (1 / (62 - days)).tolist())
    assert rise["acceleration"] == 1
    assert rise["when_highest"] == 1


def test_dips_are_the_prominences_of_maxima() -> None:
    days, flux, error, offsets = made(7, curves=60)
    found = curve_features(days, flux, error, offsets)
    columns = [NAMES.index(name) for name in ("dip_between", "sole_dip", "other_dips")]
    for row, (start, end) in zip(found[:, columns], itertools.pairwise(offsets), strict=True):
        if end - start < LEAST_POINTS:
            continue
        curve = (flux[start:end] - flux[start:end].min()) / np.ptp(flux[start:end])
        # Beside the ends nothing is higher: a maximum is measured from its dip.
        padded = np.concatenate([[-9.0], curve, [-9.0]])
        prominences = np.sort(peak_prominences(padded, find_peaks(padded)[0])[0])[::-1][1:]
        deepest, dips = prominences.max(initial=0.0), prominences.sum()
        sole = deepest**2 / dips if dips else 0.0
        others = np.log10((dips - deepest + 0.05) / (deepest + 0.05))
        assert row == pytest.approx([deepest, sole, others], abs=1e-6)


def test_a_sudden_rise_and_a_sudden_fall_have_steps_of_opposite_skewness() -> None:
    days = list(np.linspace(0, 30, 16))
    rise = [0.0, 0.0, *np.exp(-np.arange(14) / 4.0)]
    up, down = of(days, rise), of(days, rise[::-1])
    assert up["step_skew"] > 1
    assert down["step_skew"] == pytest.approx(-up["step_skew"])


def test_p_values_go_on_beyond_the_reference_in_order() -> None:
    reference = np.random.default_rng(2).exponential(size=2_000)
    p = TailP(reference)
    inside = p(np.quantile(reference, [0.1, 0.5, 0.9]))
    assert inside == pytest.approx([0.9, 0.5, 0.1], abs=0.01)
    beyond = p(np.array([8.0, 10.0, 14.0, np.nan]))
    assert np.all(np.diff(beyond[:3]) < 0)
    assert beyond[1] == pytest.approx(np.exp(-10.0), rel=1.5)
    assert np.isnan(beyond[3])
    scores = np.concatenate([reference, [8.0, 10.0, 14.0]])
    assert p(p.scores(p(scores))) == pytest.approx(p(scores), abs=2e-3)
    assert p.scores(np.array([1.0, np.nan]))[0] == reference.min()


def test_combined_p_values_are_uniform_and_missing_ones_are_not_asked() -> None:
    rng = np.random.default_rng(3)
    p = rng.random((20_000, 3))
    p[:, 1] = p[:, 0]  # as dependent as can be
    p[rng.random(20_000) < 0.3, 2] = np.nan
    for level in (0.05, 0.01):
        assert (combined(p) <= level).mean() == pytest.approx(level, rel=0.2)
    alone = np.array([[0.03, np.nan], [1e-9, np.nan], [np.nan, np.nan]])
    assert combined(alone)[:2] == pytest.approx([0.03, 1e-9])
    assert np.isnan(combined(alone)[2])


def test_the_detector_finds_the_odd_curve_in_whatever_band_it_is() -> None:
    rng = np.random.default_rng(4)
    reference = {"g": rng.normal(size=(300, 5)), "r": rng.normal(size=(300, 5))}
    detector = CurveDetector(reference, seed=1)
    g, r = rng.normal(size=(40, 5)), rng.normal(size=(40, 5))
    g[7], r[9], g[3], r[3] = 6.0, -6.0, np.nan, np.nan
    p = detector.p_values({"g": g, "r": r})
    assert set(np.argsort(p)[:2].tolist()) == {7, 9}
    assert np.isnan(p[3])
    assert np.array_equal(p[:5], detector.p_values({"g": g[:5], "r": r[:5]}), equal_nan=True)
    again = CurveDetector(reference, seed=1, threads=2).p_values({"g": g, "r": r})
    assert np.array_equal(p, again, equal_nan=True)


def test_a_band_with_too_few_reference_curves_is_not_used() -> None:
    rng = np.random.default_rng(8)
    few, enough = rng.normal(size=(LEAST_CURVES - 1, 5)), rng.normal(size=(LEAST_CURVES, 5))
    far = {"g": np.full((1, 5), 9.0), "r": np.full((1, 5), np.nan)}
    assert np.isnan(CurveDetector({"g": few, "r": enough}, seed=1).p_values(far)).all()
    assert CurveDetector({"g": enough, "r": few}, seed=1).p_values(far) < 0.05
    with pytest.raises(OutlierError, match=f"no band has {LEAST_CURVES} curves with features"):
        CurveDetector({"g": few, "r": few}, seed=1)


def test_the_local_outlier_factor_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    reference = np.round(32 * rng.normal(size=(300, 6)))
    asked = np.round(32 * rng.normal(size=(50, 6)) * 2)
    theirs = LocalOutlierFactor(20, novelty=True).fit(reference)
    ours = LocalDensity(reference, seed=1)
    # Distances are whole numbers: of neighbours equally far away each takes another one.
    assert ours.factors(asked) == pytest.approx(-theirs.score_samples(asked), rel=0.01)
    expected = np.sort(-theirs.negative_outlier_factor_)
    assert np.sort(ours.own) == pytest.approx(expected, rel=0.01)


def test_of_rows_equally_far_the_first_ones_are_neighbours() -> None:
    rng = np.random.default_rng(6)
    # Two values in 80 columns, the farthest apart that normal scores can be: most distances tie.
    reference, asked = (80.0 * rng.choice([-1, 1], size=(rows, 80)) for rows in (200, 40))
    squares = ((asked[:, None, :] - reference) ** 2).sum(axis=2)
    within = ((reference[:, None, :] - reference) ** 2).sum(axis=2)
    nearest = np.argsort(squares, axis=1, kind="stable")[:, :20]
    others = np.argsort(within, axis=1, kind="stable")[:, 1:21]
    reach = np.sqrt(np.take_along_axis(within, others, axis=1)[:, -1])

    def density(distances: np.ndarray, which: np.ndarray) -> np.ndarray:
        some = np.sqrt(np.take_along_axis(distances, which, axis=1))
        return 1 / np.maximum(some, reach[which]).mean(axis=1)

    expected = density(within, others)[nearest].mean(axis=1) / density(squares, nearest)
    assert LocalDensity(reference, seed=1).factors(asked) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(OutlierError, match="at most 80"):
        LocalDensity(np.zeros((50, 81)), seed=1)
