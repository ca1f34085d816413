"""A built night: valid HATS, and what LSDB and other readers find in it equals brute force."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cdshealpix
import dask
import lsdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hats.catalog import PartitionInfo
from hats.io.validation import is_valid_catalog

from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span
from finkray.storage.local import LocalStorage
from tests.support.night_archives import NightArchive, build, near, random_sky

ALERTS = 3000


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    # Threads of dask cost more than these small reads.
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A night of some 3000 alerts over the sky, in leaves of 200, built."""
    folder = tmp_path_factory.mktemp("nights") / "archive"
    made = NightArchive(LocalStorage(folder))
    rng = np.random.default_rng(3)
    sky = random_sky(ALERTS)
    # Objects on both sides of RA 0, at the poles, and around corners of pixels of low order.
    corners = [(0.0, 10.0), (359.9999, 10.0), (0.0001, -30.0), (45.0, 41.8103), (90.0, 0.0)]
    for number, (ra, dec) in enumerate([*corners, (10.0, 89.9999), (200.0, -89.9999)]):
        for n in range(20):
            at = (float((ra + rng.normal(0, 0.002)) % 360), float(np.clip(dec, -90, 90)))
            sky.append(near(5000 + 100 * number + n, 50_000 + 100 * number + n, *at, rng))
    for first in range(0, len(sky), 400):
        made.put(sky[first : first + 400])
    built = build(made.storage, leaf_rows=200, object_leaf_rows=200)
    assert (built.generation, built.alerts) == (1, len(sky))
    return folder


@pytest.fixture(scope="module")
def night(archive: Path) -> Path:
    return archive / "hats" / "nights" / "2026-11-24"


@pytest.fixture(scope="module")
def rows(archive: Path) -> pd.DataFrame:
    """The alerts of the hourly files."""
    hourly, _ = open_dataset(LocalStorage(archive), Span(), None)
    table = hourly.to_table(["objectId", "candid", "candidate"])
    flat = pd.DataFrame(table["candidate"].to_pylist())
    return flat.assign(objectId=table["objectId"].to_pylist())


def latest(rows: pd.DataFrame) -> pd.DataFrame:
    """The latest alert of each object."""
    return rows.sort_values(["jd"], kind="stable").groupby("objectId").tail(1)


def within(rows: pd.DataFrame, ra: float, dec: float, radius_arcsec: float) -> pd.DataFrame:
    """The rows in a circle, by brute force."""
    a, d = np.radians(rows["ra"]), np.radians(rows["dec"])
    a0, d0 = np.radians([ra, dec])
    half = np.sin((d - d0) / 2) ** 2 + np.cos(d) * np.cos(d0) * np.sin((a - a0) / 2) ** 2
    return rows[np.degrees(2 * np.arcsin(np.sqrt(half))) * 3600 < radius_arcsec]


def test_the_collection_and_all_its_catalogues_are_strictly_valid(night: Path) -> None:
    assert is_valid_catalog(night, strict=True)
    for catalog in ("object_lc", "object_lc_10arcs", "object_lc_objectId", "alerts"):
        assert is_valid_catalog(night / "g1" / catalog, strict=True), catalog
    assert not (night / "g1" / "build").exists()


def test_leaves_have_one_schema_and_are_sorted_by_the_index(night: Path) -> None:
    for catalog in ("object_lc", "object_lc_10arcs", "alerts"):
        leaves = list((night / "g1" / catalog).rglob("Npix*.parquet"))
        assert len(leaves) > 10
        schemas = {pq.read_schema(leaf).to_string() for leaf in leaves}
        assert len(schemas) == 1
        for leaf in leaves:
            index = pq.read_table(leaf, partitioning=None)["_healpix_29"]
            assert str(index.type) == "int64"
            assert (np.diff(index.to_numpy()) >= 0).all()


def test_each_alert_of_the_hourly_files_is_once_in_the_night(
    night: Path, rows: pd.DataFrame
) -> None:
    alerts = lsdb.open_catalog(night / "g1" / "alerts").compute(progress_bar=False)
    assert len(alerts) == len(rows)
    assert sorted(alerts["candid"]) == sorted(rows["candid"])
    assert {"kafka_topic", "kafka_partition", "kafka_offset", "objectId"} <= set(alerts.columns)
    assert sorted(alerts["kafka_offset"]) == list(range(len(rows)))
    both = alerts.merge(rows, on="candid", suffixes=("", "_hour"))
    assert (both["ra"] == both["ra_hour"]).all()
    assert (both["magpsf"] == both["magpsf_hour"].astype(np.float32)).all()


def test_each_object_is_one_row_with_a_nested_light_curve(night: Path, rows: pd.DataFrame) -> None:
    objects = lsdb.open_catalog(night).compute(progress_bar=False)
    assert str(objects["lc"].dtype).startswith("nested<")
    assert sorted(objects["objectId"]) == sorted(set(rows["objectId"]))
    objects = objects.sort_values("objectId").reset_index(drop=True)
    newest = latest(rows).sort_values("objectId")
    assert objects["candid"].tolist() == newest["candid"].tolist()
    number = objects["objectId"].str[5:].astype(int)
    own = objects["objectId"].map(rows.groupby("objectId").size())
    assert objects["n_alerts"].tolist() == own.tolist()
    # Its alerts, and 0 to 4 points of a history that all of them repeat.
    assert objects["lc"].apply(len).tolist() == (number % 5 + own).tolist()
    curves = list(objects["lc"].iloc[::33])
    assert {kind for curve in curves for kind in curve["kind"]} == {"detection", "limit"}
    assert all(curve["mjd_tai"].is_monotonic_increasing for curve in curves)


def test_a_cone_equals_brute_force_also_at_borders_of_leaves_and_at_ra_0(
    night: Path, rows: pd.DataFrame
) -> None:
    places = [(0.0, 10.0), (359.9999, 10.0), (0.0001, -30.0), (90.0, 0.0), (10.0, 89.9999)]
    cones = [(ra, dec, 20.0) for ra, dec in [*places, (45.0, 41.8103), (200.0, -89.9999)]]
    cones += [(ra, dec, 5 * 3600.0) for ra, dec in [*corners(night), (0.0, 0.0), (359.9, 60.0)]]
    alerts = lsdb.open_catalog(night / "g1" / "alerts", columns=["candid", "ra", "dec"])
    objects = lsdb.open_catalog(night, columns=["candid", "ra", "dec"])
    hits = 0
    for cone in cones:
        for catalog, all_rows in ((alerts, rows), (objects, latest(rows))):
            found = catalog.cone_search(*cone).compute(progress_bar=False)
            expected = within(all_rows, *cone)
            assert sorted(found["candid"]) == sorted(expected["candid"]), cone
            hits += len(expected)
    assert hits > 200


def corners(night: Path) -> list[tuple[float, float]]:
    """A corner of some of the leaves."""
    pixels = PartitionInfo.read_from_dir(night / "g1" / "alerts").get_healpix_pixels()[::8]
    out = []
    for pixel in pixels:
        ra, dec = cdshealpix.vertices(np.array([pixel.pixel], np.uint64), pixel.order)
        out.append((float(ra[0, 0].deg), float(dec[0, 0].deg)))
    return out


def test_a_box_equals_brute_force(night: Path, rows: pd.DataFrame) -> None:
    alerts = lsdb.open_catalog(night / "g1" / "alerts", columns=["candid", "ra", "dec"])
    found = alerts.box_search(ra=(350.0, 20.0), dec=(-40.0, 15.0)).compute(progress_bar=False)
    inside = ((rows["ra"] >= 350) | (rows["ra"] <= 20)) & rows["dec"].between(-40, 15)
    assert sorted(found["candid"]) == sorted(rows[inside]["candid"])


def test_the_margin_has_the_objects_beyond_the_borders(night: Path, rows: pd.DataFrame) -> None:
    catalog = lsdb.open_catalog(night)
    assert catalog.margin is not None
    margin = catalog.margin.compute(progress_bar=False)
    assert set(margin["objectId"]) <= set(rows["objectId"])
    # The objects at the corner of three base pixels lie in each other's margins.
    corner = within(latest(rows), 45.0, 41.8103, 5.0)["objectId"]
    assert set(corner) <= set(margin["objectId"])


def test_an_object_is_found_by_its_id(night: Path, rows: pd.DataFrame) -> None:
    catalog = lsdb.open_catalog(night)
    wanted = rows["objectId"].iloc[1234]
    found = catalog.id_search(values={"objectId": wanted}).compute(progress_bar=False)
    assert list(found["objectId"]) == [wanted]
    assert set(found["lc"].iloc[0]["key"]) >= set(rows[rows["objectId"] == wanted]["candid"])


def test_a_cross_match_carries_the_light_curves_along(night: Path, rows: pd.DataFrame) -> None:
    chosen = latest(rows).iloc[::50]
    left = lsdb.from_dataframe(
        pd.DataFrame({"own": chosen["objectId"], "ra": chosen["ra"], "dec": chosen["dec"]})
    )
    pairs = left.crossmatch(
        lsdb.open_catalog(night),
        radius_arcsec=1.0,
        suffixes=("_left", ""),
        suffix_method="overlapping_columns",
    ).compute(progress_bar=False)
    assert len(pairs) == len(chosen)
    assert (pairs["own"] == pairs["objectId"]).all()
    assert pairs["lc"].apply(len).min() >= 1


def test_others_read_it_as_plain_parquet(night: Path, rows: pd.DataFrame) -> None:
    folder = night / "g1" / "object_lc" / "dataset"
    objects = set(rows["objectId"])
    in_polars: Any = pl.scan_parquet(folder / "**" / "*.parquet").collect()
    assert set(in_polars["objectId"]) == objects
    assert in_polars["lc"].struct.field("mjd_tai").list.len().min() >= 1
    in_arrow = pads.dataset(folder, format="parquet", partitioning="hive").to_table()
    assert set(in_arrow["objectId"].to_pylist()) == objects
    in_pandas = pd.read_parquet(folder, columns=["objectId"])
    assert set(in_pandas["objectId"]) == objects
