"""Light curves of a night: those of `finkray.curves`, also for objects at borders of leaves."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

import finkray
from catalogs.nights.build import build_night, requests
from catalogs.nights.curves import CURVE
from catalogs.nights.index import NightIndex
from catalogs.nights.listing import built_nights
from catalogs.nights.steps import Steps
from finkray.curves.raw import columns
from finkray.curves.rules import curve_points
from finkray.nights.layout import is_narrow
from finkray.services.columns import pick
from finkray.storage.contract import Storage
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span
from finkray.storage.local import LocalStorage
from tests.support.curve_alerts import FIRST_MJD, archive_table, lsst_alert, lsst_source, lsst_table
from tests.support.packets import lsst_v10_frames, real_ztf_packets
from tests.support.real_archives import RealArchive

ID = {"ztf": "objectId", "lsst": "diaObjectId"}


def build_all(storage: Storage, leaf_rows: int) -> None:
    """Build all nights of an archive, in small leaves of objects."""
    index = NightIndex(storage)
    index.update(Steps())
    for survey, night in sorted(index.nights):
        (request,) = requests(index, night, survey)
        small = type(request)(survey, night, request.facts, object_leaf_rows=leaf_rows)
        build_night(storage, small, Steps())


def curves(storage: Storage) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The points of each object in each night, as the catalogues of objects have them."""
    out = {}
    for night in built_nights(storage):
        for leaf in Path(night.uri).glob("g*/object_lc/**/Npix*.parquet"):
            for row in pq.read_table(leaf, partitioning=None).to_pylist():
                lists = row["lc"]
                assert lists.keys() == {field.name for field in CURVE}
                points = [
                    dict(zip(lists, each, strict=True))
                    for each in zip(*lists.values(), strict=True)
                ]
                out[night.night, str(row[ID[night.committed.survey]])] = points
    return out


def expected(storage: Storage) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The same by the rules of `finkray.curves` from the hourly files."""
    out: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for survey in ("ztf", "lsst"):
        hourly, _ = open_dataset(storage, Span(), frozenset([survey]))
        alerts = hourly.to_table()
        for night in pc.unique(alerts["obs_night"]).to_pylist():
            of_night = alerts.filter(pc.field("obs_night") == pa.scalar(night, pa.date32()))
            has_object = (
                pc.is_valid(of_night["objectId"])
                if survey == "ztf"
                else pc.greater(
                    pc.fill_null(pc.struct_field(of_night["diaSource"], "diaObjectId"), 0), 0
                )
            )
            points = curve_points(pick(of_night.filter(has_object), columns(survey)))
            for point in points.to_pylist():
                del point["survey"]
                key = (night.isoformat(), point.pop("object_id"))
                out.setdefault(key, []).append(point)
    return out


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Storage:
    """An archive of real alerts of both surveys, with all its nights."""
    archive = RealArchive(tmp_path_factory.mktemp("real") / "archive", test_data)
    archive.put("ztf", list(real_ztf_packets(test_data, "20180626_skyportal_205")))
    archive.put("lsst", lsst_v10_frames(test_data))
    build_all(archive.storage, 20)
    return archive.storage


def test_a_night_has_the_light_curves_of_the_archive_to_the_last_column(real: Storage) -> None:
    found = curves(real)
    assert found == expected(real)
    points = [point for curve in found.values() for point in curve]
    assert len(points) > 14_000
    assert sum(point["double"] for point in points) > 10
    assert {"ok", "no_flux", "no_reference"} <= {point["apparent_status"] for point in points}
    assert sum(night.committed.alerts for night in built_nights(real)) == 107 + 205


def test_the_narrow_columns_of_real_alerts_are_those_of_the_hourly_files(real: Storage) -> None:
    for survey, record in (("ztf", "candidate"), ("lsst", "diaObject")):
        dataset = finkray.open_archive(real.uri).dataset(topic=survey)
        hourly, _ = open_dataset(real, Span(), frozenset([survey]))
        names = [field.name for field in hourly.schema if is_narrow(field.type)]
        assert record in names
        assert all(each.path.startswith("hats/") for each in scanned(dataset, names))
        rows, expected_rows = (
            pl.DataFrame(each.to_table(names)).sort("kafka_offset") for each in (dataset, hourly)
        )
        assert rows.equals(expected_rows)  # NaN equals NaN here
        assert hourly.to_table(names).schema.equals(dataset.to_table(names).schema)


def scanned(dataset: Any, names: list[str]) -> list[pads.Fragment]:
    """The files that a scan of columns reads."""
    return [batch.fragment for batch in dataset.scanner(columns=names).scan_batches()]


@pytest.mark.parametrize("newest", [1, 2])
def test_a_source_that_went_over_to_an_object_in_another_leaf_is_in_its_curve_alone(
    tmp_path: Path, newest: int
) -> None:
    # Base pixels meet at right ascension 90 above declination 41.8; each is a leaf.
    ra = {1: 90 - 0.5 / 3600, 2: 90 + 0.5 / 3600}
    moved = lsst_source(7, diaObjectId=1, midpointMjdTai=FIRST_MJD - 1.0)
    alerts = []
    for number in (1, 2):
        when = FIRST_MJD + (0.2 if number == newest else 0.1)
        own = lsst_source(
            10 + number, diaObjectId=number, ra=ra[number], dec=60.0, midpointMjdTai=when
        )
        alerts.append(lsst_alert(own, moved | {"diaObjectId": number}))
    storage = LocalStorage(tmp_path / "archive")
    table = lsst_table(*alerts)
    night = pa.repeat(pa.scalar(date(2026, 2, 28)), len(table))
    archive_table(storage, table.append_column("obs_night", night), "lsst")
    build_all(storage, 1)
    found = curves(storage)
    keys = {number: [point["key"] for point in curve] for (_, number), curve in found.items()}
    other = 3 - newest
    assert keys == {str(newest): [7, 10 + newest], str(other): [10 + other]}
