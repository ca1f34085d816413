"""The objects of an archive are those of its alerts, by position, time, band and number."""

from collections import defaultdict
from pathlib import Path

import pytest

import finkray
from finkray.curves.objects import OBJECTS
from finkray.index.circle import separations_arcsec
from finkray.index.follower import IndexFollower
from finkray.storage.local import LocalStorage
from tests.support.curve_alerts import (
    FIRST_JD,
    CurveArchive,
    lsst_alert,
    lsst_source,
    lsst_table,
    ztf_alert,
    ztf_detection,
    ztf_limit,
    ztf_table,
)
from tests.support.night_archives import NightArchive, build, random_sky


@pytest.fixture
def archive(tmp_path: Path) -> finkray.Archive:
    """Three objects of ZTF, of which one alert came twice, and LSST's with and without an id."""
    made = CurveArchive(LocalStorage(tmp_path))
    one = [
        ztf_alert(ztf_detection(3, magpsf=17.5, ra=10.0001), ztf_detection(1), ztf_limit(2)),
        ztf_alert(ztf_detection(4, fid=2, magpsf=19.0)),
    ]
    other = [ztf_alert(ztf_detection(n, ra=200.0), object_id="ZTF20aaaaaab") for n in (5, 6, 7)]
    third = ztf_alert(ztf_detection(8, dec=20.0002, jd=None), object_id="ZTF20aaaaaac")
    made.put(ztf_table(*one, *other), "ztf")
    made.put(ztf_table(one[0], third), "ztf")
    body = lsst_source(2, diaObjectId=None, ssObjectId=99, band="z", psfFlux=-1000.0)
    unnamed = lsst_source(3, diaObjectId=None, ssObjectId=None)
    made.put(lsst_table(*map(lsst_alert, (lsst_source(1), body, unnamed))), "lsst")
    return finkray.open_archive(tmp_path)


def test_each_object_is_a_row_with_its_alerts_each_once(archive: finkray.Archive) -> None:
    found = archive.objects()
    assert found.schema.equals(OBJECTS)
    rows = {row["object_id"]: row for row in found.to_pylist()}
    assert list(rows) == ["7", "99", "ZTF20aaaaaaa", "ZTF20aaaaaab", "ZTF20aaaaaac"]
    first = rows["ZTF20aaaaaaa"]
    assert (first["alerts"], first["bands"]) == (2, ["g", "r"])  # histories do not count
    assert (first["brightest_mag"], first["faintest_mag"]) == (17.5, 19.0)
    assert first["ra_deg"] == 10.0  # of the latest
    assert first["last_mjd_tai"] - first["first_mjd_tai"] == pytest.approx(1.0)
    assert rows["ZTF20aaaaaac"]["first_mjd_tai"] is None
    assert (rows["99"]["survey"], rows["99"]["bands"], rows["7"]["alerts"]) == ("lsst", ["z"], 1)
    assert rows["99"]["brightest_mag"] == pytest.approx(31.4 - 7.5)


def test_count_time_and_band_choose_objects(archive: finkray.Archive) -> None:
    def ids(**chosen: object) -> list[str]:
        names: list[str] = archive.objects(**chosen)["object_id"].to_pylist()  # type: ignore[arg-type]
        return names

    assert ids(min_alerts=2) == ["ZTF20aaaaaaa", "ZTF20aaaaaab"]
    assert ids(min_alerts=2, max_alerts=2) == ["ZTF20aaaaaaa"]
    assert ids(bands="r") == ["ZTF20aaaaaaa"]
    assert ids(bands=["z", "y"]) == ["99"]
    mid = "2020-02-25T12:00"  # between ZTF's candids 4 and 5: FIRST_JD is 2020-02-21T04:48
    assert FIRST_JD == 2_458_900.7
    assert ids(end=mid) == ["ZTF20aaaaaaa"]
    assert ids(start=mid, end="2020-03-01") == ["ZTF20aaaaaab"]
    assert ids(start=mid, bands="g", min_alerts=4) == []
    for wrong, message in (
        ({"bands": "q"}, "'q' is no band"),
        ({"cone": (0, 91, 1)}, "declination 91"),
        ({"start": "yesterday"}, "is no time"),
    ):
        with pytest.raises(ValueError, match=message):
            ids(**wrong)


def test_a_cone_has_what_archive_cone_has(archive: finkray.Archive, tmp_path: Path) -> None:
    without_index = archive.objects(cone=(10.0, 20.0, 3.0))
    assert without_index["object_id"].to_pylist() == ["ZTF20aaaaaaa", "ZTF20aaaaaac"]
    columns = archive.cone(10.0, 20.0, 3.0).column_names
    assert without_index.select(columns).equals(archive.cone(10.0, 20.0, 3.0))
    IndexFollower(LocalStorage(tmp_path)).catch_up()
    assert finkray.open_archive(tmp_path).objects(cone=(10.0, 20.0, 3.0)).equals(without_index)
    assert archive.objects(cone=(50.0, 50.0, 1.0)).num_rows == 0


def test_built_nights_and_an_index_change_no_row(tmp_path: Path) -> None:
    made = NightArchive(LocalStorage(tmp_path))
    sky = random_sky(80)
    made.put(sky[:50])
    archive = finkray.open_archive(tmp_path)
    positions = defaultdict(list)
    for alert in sky:
        positions[alert.object_id].append((alert.candidate["ra"], alert.candidate["dec"]))
    build(made.storage)
    made.put(sky[50:])  # in no night
    found = archive.objects()
    assert dict(zip(found["object_id"].to_pylist(), found["alerts"].to_pylist(), strict=True)) == {
        name: len(places) for name, places in positions.items()
    }
    build(made.storage)
    assert archive.objects().equals(found)
    IndexFollower(made.storage).catch_up()
    ra, dec = positions[sky[3].object_id][0]
    near = archive.objects(cone=(ra, dec, 36_000))["object_id"].to_pylist()
    center = found.filter(
        [
            separation <= 36_000
            for separation in separations_arcsec(
                found["ra_deg"].to_numpy(), found["dec_deg"].to_numpy(), ra, dec
            )
        ]
    )
    assert set(near) >= set(center["object_id"].to_pylist())


def test_an_empty_archive_has_no_object(tmp_path: Path) -> None:
    NightArchive(LocalStorage(tmp_path))
    assert finkray.open_archive(tmp_path).objects().schema.equals(OBJECTS)
