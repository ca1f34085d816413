"""Our features of curves are those of the package `light-curve`, where both exist.

The package is GPL: nothing of finkray imports it, and the test installs it for itself.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from finkray.outliers.curve_features import CURVE_FEATURES, curve_features
from tests.support.published import install

LIGHT_CURVE = "light-curve==0.13.3"


def test_features_of_curves_are_those_of_the_package(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(install(tmp_path_factory.mktemp("light_curve"), LIGHT_CURVE)))
    import light_curve

    rng = np.random.default_rng(1)
    n = rng.integers(6, 40, 300).astype(float)  # points of each curve
    offsets = np.concatenate([[0], np.cumsum(n)]).astype(int)
    days = np.concatenate([np.sort(rng.uniform(0, 60, int(count))) for count in n])
    flux = rng.normal(0, 10, len(days)) + np.repeat(rng.normal(0, 20, len(n)), n.astype(int))
    error = rng.uniform(2, 3, len(days))  # above the least share of a flux that ours take
    found = curve_features(days, flux, error, offsets)
    ours = {feature.name: found[:, k] for k, feature in enumerate(CURVE_FEATURES)}

    def theirs(feature: Callable[..., np.ndarray]) -> np.ndarray:
        curves = itertools.pairwise(offsets)
        return np.array([feature(days[a:b], flux[a:b], error[a:b])[0] for a, b in curves])

    # Our moments divide by n, theirs by n - 1 and as estimates of a sample.
    skew = ours["skew"] * np.sqrt(n * (n - 1)) / (n - 2)
    fourth = np.expm1(ours["kurtosis"]) - 3
    kurtosis = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * fourth + 6)
    for feature, values in {
        light_curve.ReducedChi2(): 10 ** ours["chi2"],
        light_curve.Skew(): skew,
        light_curve.Kurtosis(): kurtosis,
        light_curve.StetsonK(): ours["stetson_k"],
        light_curve.Eta(): ours["eta"] * (n - 1) / n,
        light_curve.Cusum(): ours["cusum"] * np.sqrt((n - 1) / n),
    }.items():
        assert values == pytest.approx(theirs(feature), rel=1e-5, abs=1e-5), feature
