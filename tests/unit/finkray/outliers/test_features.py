"""The features of real alerts: what they are, and what changes none of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from finkray import adapter
from finkray.errors import OutlierError
from finkray.outliers import features_lsst, features_ztf
from finkray.outliers.arrays import columns_of
from finkray.outliers.feature_list import FEATURE_LISTS, feature_list, matrix
from tests.support.outlier_alerts import (
    made_alerts,
    real_lsst_table,
    real_ztf_alerts,
    shuffled,
    tidal_disruption,
)

NIGHT = "20180626_skyportal_205"


def _columns(alerts: pa.Table, survey: str) -> dict[str, pa.Array]:
    """Return the columns that a service gets: each under its name, lists of numbers among them."""
    return columns_of(alerts, feature_list(survey).columns)


def _moved(values: pa.Array, by: float) -> pa.Array:
    if pa.types.is_list(values.type):
        inner = pa.compute.add(values.flatten().cast(pa.float64()), by)
        return pa.ListArray.from_arrays(values.offsets, inner)
    return pa.compute.add(values.cast(pa.float64()), by)


def _turned(values: pa.Array, every: int) -> pa.Array:
    """Return the lists, every so many of them from the end on."""
    turned = [
        each[::-1] if each and number % every == 0 else each
        for number, each in enumerate(values.to_pylist())
    ]
    return pa.array(turned, values.type)


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_order_and_batches_change_no_feature(test_data: Path, survey: str) -> None:
    alerts = real_ztf_alerts(test_data, NIGHT) if survey == "ztf" else real_lsst_table(test_data)
    about = feature_list(survey)
    names = about.column_names
    whole = matrix(about.table(alerts), names)
    other, order = shuffled(alerts)
    assert np.array_equal(matrix(about.table(other), names), whole[order], equal_nan=True)
    parts = [matrix(about.table(alerts.slice(at, 7)), names) for at in range(0, len(whole), 7)]
    assert np.array_equal(np.concatenate(parts), whole, equal_nan=True)
    flat = pa.table(_columns(alerts, survey))
    assert np.array_equal(about._features(flat), whole[:, : len(about.names)], equal_nan=True)


@pytest.mark.parametrize("every", [1, 2])
def test_the_order_of_histories_changes_no_feature(test_data: Path, every: int) -> None:
    about = feature_list("ztf")
    columns = _columns(real_ztf_alerts(test_data, NIGHT), "ztf")
    turned = {
        name: _turned(values, every) if name.startswith("prv_candidates.") else values
        for name, values in columns.items()
    }
    assert not turned["prv_candidates.jd"].equals(columns["prv_candidates.jd"])
    for each in (about._features, about._curves):
        before, after = (each(pa.table(table)) for table in (columns, turned))
        assert np.array_equal(before, after, equal_nan=True)


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_another_date_or_place_changes_no_feature(test_data: Path, survey: str) -> None:
    alerts = real_ztf_alerts(test_data, NIGHT) if survey == "ztf" else real_lsst_table(test_data)
    about = feature_list(survey)
    columns = _columns(alerts, survey)
    before = [each(pa.table(columns)) for each in (about._features, about._curves)]
    times = ("jd", "midpointMjdTai", "midPointTai")
    moved = {
        name: _moved(values, 1000.0 if name.split(".")[1] in times else 17.5)
        if name.split(".")[1] in (*times, "ra") and not pa.types.is_null(values.type)
        else values
        for name, values in columns.items()
    }
    after = [each(pa.table(moved)) for each in (about._features, about._curves)]
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(np.isnan(old), np.isnan(new))
        assert np.allclose(old, new, rtol=1e-6, atol=1e-5, equal_nan=True)


def test_the_features_read_nothing_that_tells_date_place_or_pixel_alone() -> None:
    for about in FEATURE_LISTS.values():
        read = {column.rpartition(".")[2] for column in about.columns}
        telling = {"field", "rcid", "xpos", "ypos", "magzpsci", "ndethist", "ncovhist", "drb"}
        assert not read & (telling | {"jdstarthist", "visit", "detector", "x", "y"})
        names = about.names
        assert len(set(names)) == len(names)
        assert not set(names) & set(about.quality), "image quality is no feature"
        assert all(feature.about for feature in about.features)


def test_features_of_a_real_tidal_disruption_are_what_its_packets_say(test_data: Path) -> None:
    alerts = tidal_disruption(test_data)
    table = feature_list("ztf").table(alerts)
    rows = sorted(alerts.to_pylist(), key=lambda alert: alert["candidate"]["jd"])
    last = rows[-1]
    row = table.filter(pa.compute.equal(table["alert_id"], last["candid"])).to_pylist()[0]
    now, fid = last["candidate"]["jd"], last["candidate"]["fid"]
    history = [p for p in last["prv_candidates"] if p["jd"] < now and p["magpsf"] is not None]
    band = sorted((p for p in history if p["fid"] == fid), key=lambda p: p["jd"])
    mags = [p["magpsf"] for p in band]
    mag = last["candidate"]["magpsf"]
    limit = last["candidate"]["diffmaglim"]
    assert row["over_image_limit"] == pytest.approx(limit - mag, abs=1e-5)
    assert row["detections"] == pytest.approx(np.log1p(len(band)))
    assert row["detections_other"] == pytest.approx(np.log1p(len(history) - len(band)))
    assert row["over_brightest"] == pytest.approx(mag - min(mags), abs=1e-5)
    assert row["range"] == pytest.approx(max(*mags, mag) - min(*mags, mag), abs=1e-5)
    days = np.array([p["jd"] - now for p in band] + [0.0])
    slope = np.polyfit(days, [*mags, mag], 1)[0]
    assert row["trend"] == pytest.approx(slope * -days[0], abs=1e-5)
    apart = [p["magpsf"] for p in band if now - p["jd"] >= 0.02]
    assert row["change"] == pytest.approx(mag - apart[-1], abs=1e-5)
    assert row["sign"] == 1.0


def test_a_history_without_usable_times_counts_as_none(test_data: Path) -> None:
    alerts = real_ztf_alerts(test_data, "20231018_fink-broker_172")
    values = features_ztf.features(alerts)
    past = [feature.name for feature in features_ztf.FEATURES].index("detections")
    counts = values[:, past]
    assert np.all(counts[np.isfinite(counts)] == 0)
    assert np.isnan(counts).any(), "visits of a star say nothing of it"
    assert np.isfinite(values).any(axis=1).all()


def test_lsst_alerts_without_history_and_negative_ones_have_features(test_data: Path) -> None:
    alerts = real_lsst_table(test_data)
    values = features_lsst.features(alerts)
    names = [feature.name for feature in features_lsst.FEATURES]
    flux = adapter.detections(alerts)["flux_njy"].to_numpy()
    assert (flux < 0).any()
    assert np.array_equal(np.sign(values[:, names.index("snr")]), np.sign(flux))
    assert values[:, names.index("solar_system")].sum() == 25
    no_history = np.isnan(values[:, names.index("days_since_last")])
    assert 0 < no_history.sum() < len(values)
    assert np.isfinite(values[no_history][:, :6]).mean() > 0.9


def test_columns_that_are_not_there_or_of_another_type_are_missing_values() -> None:
    alerts = made_alerts()
    about = feature_list("ztf")
    without = about.table(alerts.drop_columns(["prv_candidates"]))
    assert without["chi2"].null_count == without.num_rows
    assert without["over_image_limit"].null_count == 0
    columns = _columns(alerts, "ztf")
    columns["candidate.magnr"] = pa.array(["null"] * alerts.num_rows)
    columns["candidate.distnr"] = pa.array([-999.0] * alerts.num_rows)
    values = about._features(pa.table(columns))
    assert np.isnan(values[:, :2]).all()


def test_a_survey_without_features_is_refused() -> None:
    with pytest.raises(OutlierError, match="no features of the survey 'atlas': expected one of"):
        feature_list("atlas")
