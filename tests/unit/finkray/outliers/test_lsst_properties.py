"""The features of any LSST alert: without history, with negative fluxes, with sums of zero."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.outliers.feature_list import feature_list, matrix
from tests.support.examples import examples

ABOUT = feature_list("lsst")
MOVED_D = 1024.0
"""A power of two, and times are whole numbers of 1 / 1 024 days: adding it loses no digit."""

FLUXES = st.one_of(
    st.just(0.0), st.sampled_from([-500.0, 500.0]), st.floats(-1e5, 1e5).map(lambda x: round(x, 3))
)
BANDS = st.sampled_from(["g", "r", None])
POINT = st.fixed_dictionaries(
    {
        "ra": st.floats(0, 1e-4).map(lambda off: 150.0 + round(off, 8)),
        "dec": st.floats(0, 1e-4).map(lambda off: 2.0 + round(off, 8)),
        "midpointMjdTai": st.integers(-(40 << 10), -1).map(lambda step: 61000.0 + step / 1024),
        "band": BANDS,
        "psfFlux": FLUXES,
        "psfFluxErr": st.sampled_from([0.0, 30.0, 300.0]),
    }
)
POINTS = st.none() | st.lists(POINT, max_size=12, unique_by=lambda point: point["midpointMjdTai"])
DETECTION = st.fixed_dictionaries(
    {
        "band": st.sampled_from(["g", "r"]),
        "psfFlux": FLUXES.filter(bool),
        "psfFluxErr": st.just(50.0),
        "templateFlux": st.none() | FLUXES,
        "templateFluxErr": st.just(40.0),
    }
)
ALERTS = st.lists(st.tuples(DETECTION, POINTS, POINTS), min_size=1, max_size=4)

_NUMBERS = ("ra", "dec", "midpointMjdTai", "psfFlux", "psfFluxErr")
_POINT_TYPE = pa.struct([*((name, pa.float64()) for name in _NUMBERS), ("band", pa.string())])
_DETECTION_TYPE = pa.struct(
    [
        ("diaSourceId", pa.int64()),
        *_POINT_TYPE,
        ("templateFlux", pa.float64()),
        ("templateFluxErr", pa.float64()),
    ]
)
_SCHEMA = pa.schema(
    [
        ("diaSource", _DETECTION_TYPE),
        ("prvDiaSources", pa.list_(_POINT_TYPE)),
        ("prvDiaForcedSources", pa.list_(_POINT_TYPE)),
    ]
)


def table_of(
    drawn: list[Any], *, later_d: float = 0.0, east: float = 0.0, flux: float = 1.0
) -> Any:
    """Return alerts as an archive has them, at another time and place, and with other fluxes."""

    def moved(point: dict[str, Any]) -> dict[str, Any]:
        scaled = {k: v * flux for k, v in point.items() if k == "psfFlux" and v is not None}
        at = {"midpointMjdTai": point["midpointMjdTai"] + later_d, "ra": point["ra"] + east}
        return {**point, **scaled, **at}

    rows = []
    for number, (detection, sources, forced) in enumerate(drawn):
        here = {"diaSourceId": number, "ra": 150.0, "dec": 2.0, "midpointMjdTai": 61000.0}
        rows.append(
            {
                "diaSource": moved({**here, **detection}),
                "prvDiaSources": None if sources is None else [moved(each) for each in sources],
                "prvDiaForcedSources": None if forced is None else [moved(each) for each in forced],
            }
        )
    return pa.Table.from_pylist(rows, _SCHEMA)


def shuffled(points: list[Any] | None, seed: int) -> list[Any] | None:
    return points and random.Random(seed).sample(points, len(points))


def values_of(table: pa.Table) -> np.ndarray:
    return matrix(ABOUT.table(table), ABOUT.column_names)


@settings(max_examples=examples(10))
@given(drawn=ALERTS, seed=st.integers(0, 99))
def test_order_batch_time_and_place_change_no_feature(drawn: list[Any], seed: int) -> None:
    table = table_of(drawn)
    values = values_of(table)
    assert not np.isinf(values).any()
    assert np.isfinite(values[:, 0]).all(), "a detection alone has features"
    mixed = [
        (
            detection,
            *(points and random.Random(seed).sample(points, len(points)) for points in past),
        )
        for detection, *past in drawn
    ]
    assert np.array_equal(values_of(table_of(mixed)), values, equal_nan=True)
    backwards = np.arange(len(drawn))[::-1]
    other = values_of(table.take(pa.array(backwards)))
    assert np.array_equal(other, values[backwards], equal_nan=True)
    alone = [values_of(table.slice(row, 1)) for row in range(len(drawn))]
    assert np.array_equal(np.concatenate(alone), values, equal_nan=True)
    later = values_of(table_of(drawn, later_d=MOVED_D))
    assert np.array_equal(later, values, equal_nan=True)
    elsewhere = values_of(table_of(drawn, east=64.0))
    assert np.allclose(elsewhere, values, rtol=1e-6, atol=1e-5, equal_nan=True)


@settings(max_examples=examples(10))
@given(drawn=ALERTS)
def test_a_change_downwards_is_the_mirror_of_one_upwards(drawn: list[Any]) -> None:
    up, down = (values_of(table_of(drawn, flux=sign)) for sign in (1.0, -1.0))
    names = list(ABOUT.column_names)
    assert np.array_equal(np.isnan(up), np.isnan(down))
    for name in ("snr", "flux", "contrast", "change", "rank", "jump", "forced_median", "colour"):
        column = names.index(name)
        assert np.allclose(down[:, column], -up[:, column], equal_nan=True), name
    for name in ("template", "detections", "days_since_first", "forced_chi2", "scatter"):
        column = names.index(name)
        assert np.allclose(down[:, column], up[:, column], equal_nan=True), name
