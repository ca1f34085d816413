"""Light curves and cones of an archive are those of its alerts."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import finkray
from finkray.curves.reading import OBJECT
from finkray.curves.schema import POINT
from finkray.errors import StorageError, UnknownObject
from finkray.ledger.log import Ledger
from finkray.storage.local import LocalStorage
from tests.support.curve_alerts import (
    archive_table,
    lsst_alert,
    lsst_source,
    lsst_table,
    ztf_alert,
    ztf_detection,
    ztf_limit,
    ztf_table,
)
from tests.support.packets import lsst_v10_frames, real_lsst_alerts, real_ztf_packets
from tests.support.real_archives import RealArchive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> finkray.Archive:
    """Real alerts: of 2018 and of 2024 with forced photometry in one topic, LSST's in another."""
    folder = tmp_path_factory.mktemp("curves")
    real = RealArchive(folder, test_data)
    real.put("ztf", list(real_ztf_packets(test_data, "20180626_skyportal_205"))[:40])
    boom = list(real_ztf_packets(test_data, "2024-2025_boom_12"))
    real.put("ztf", boom)
    real.put("ztf", boom[:2])  # the same alerts again
    real.put("lsst", lsst_v10_frames(test_data)[:30])
    return finkray.open_archive(folder)


def _real(test_data: Path, names: str) -> list[dict[str, Any]]:
    packets = real_ztf_packets(test_data, names)
    return [dict(alert) for packet in packets for alert in fastavro.reader(io.BytesIO(packet))]


def test_the_curve_of_each_object_of_ztf_is_that_of_its_packets(
    archive: finkray.Archive, test_data: Path
) -> None:
    alerts = _real(test_data, "2024-2025_boom_12")
    kinds = set()
    for alert in alerts:
        curve = archive.lightcurve(alert["objectId"])
        assert curve.schema.equals(POINT)
        keys = set(zip(curve["kind"].to_pylist(), curve["key"].to_pylist(), strict=True))
        expected = {("detection", alert["candid"])}
        for entry in alert["prv_candidates"] or ():
            limit = entry["magpsf"] is None
            expected.add(("limit", entry["pid"]) if limit else ("detection", entry["candid"]))
        expected |= {("forced", entry["pid"]) for entry in alert["fp_hists"] or ()}
        detected = {entry["pid"] for entry in alert["prv_candidates"] or () if entry["magpsf"]}
        expected -= {("limit", pid) for pid in detected}
        assert keys == expected
        assert curve.num_rows == len(keys)
        kinds |= {kind for kind, _ in keys}
    assert kinds == {"detection", "limit", "forced"}


def test_the_curve_of_an_object_of_lsst_has_its_sources_and_forced_points(
    archive: finkray.Archive, test_data: Path
) -> None:
    alerts = [alert for alert in real_lsst_alerts(test_data)[:30] if alert["diaObject"]]
    object_id = alerts[0]["diaObject"]["diaObjectId"]
    of_object = [alert for alert in alerts if alert["diaObject"]["diaObjectId"] == object_id]
    ids = {alert["diaSourceId"] for alert in of_object}
    ids |= {each["diaSourceId"] for alert in of_object for each in alert["prvDiaSources"] or ()}
    curve = archive.lightcurve(object_id)
    assert set(curve.filter(pc.field("kind") == "detection")["key"].to_pylist()) == ids
    assert archive.lightcurve(str(object_id)).equals(curve)


def test_several_curves_are_each_as_alone_and_unknown_objects_have_none(
    archive: finkray.Archive, test_data: Path
) -> None:
    names = [alert["objectId"] for alert in _real(test_data, "2024-2025_boom_12")[:3]]
    together = archive.lightcurves([*names, "ZTF99zzzzzzz"])
    alone = pa.concat_tables([archive.lightcurve(name) for name in sorted(set(names))])
    assert together.equals(alone)
    assert archive.lightcurves([]).schema.equals(POINT)


def test_bands_kinds_and_times_choose_points(archive: finkray.Archive, test_data: Path) -> None:
    (name, *_) = [alert["objectId"] for alert in _real(test_data, "2024-2025_boom_12")]
    curve = archive.lightcurve(name)
    chosen = archive.lightcurve(name, bands="g", kinds=["detection", "limit"])
    wanted = (pc.field("band") == "g") & (pc.field("kind") != "forced")
    assert chosen.equals(curve.filter(wanted))
    middle = sorted(curve["mjd_tai"].to_pylist())[curve.num_rows // 2]
    from_utc = _utc_of(middle)
    late, early = archive.lightcurve(name, start=from_utc), archive.lightcurve(name, end=from_utc)
    assert late.num_rows + early.num_rows == curve.num_rows
    assert min(late["mjd_tai"].to_pylist()) >= middle - 1e-6


def _utc_of(mjd_tai: float) -> str:
    """The UTC time of an MJD in TAI, to the microsecond and a little earlier."""
    seconds = (mjd_tai - 40_587) * 86_400 - 37 - 0.001
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def test_wrong_choices_are_named(archive: finkray.Archive) -> None:
    with pytest.raises(ValueError, match="'q' is no band: expected u, g, r, i, z, y"):
        archive.lightcurve("ZTF18aaaaaaa", bands=["g", "q"])
    with pytest.raises(ValueError, match="'alert' is no kind"):
        archive.lightcurve("ZTF18aaaaaaa", kinds="alert")
    with pytest.raises(ValueError, match="is no time"):
        archive.lightcurve("ZTF18aaaaaaa", start="yesterday")


@pytest.mark.parametrize("name", ["ZTF99zzzzzzz", "17", "9" * 30, "-5", "", "²", "O'Neil"])
def test_an_unknown_object_is_an_error_that_says_what_to_do(
    archive: finkray.Archive, name: str
) -> None:
    with pytest.raises(UnknownObject, match="finkray cone"):
        archive.lightcurve(name)


def test_a_file_that_is_damaged_is_named(tmp_path: Path, test_data: Path) -> None:
    real = RealArchive(tmp_path, test_data)
    real.put("ztf", list(real_ztf_packets(test_data, "2024-2025_boom_12"))[:1])
    (file,) = (tmp_path / "alerts").rglob("*.parquet")
    file.chmod(0o644)
    file.write_bytes(b"PAR1 no longer")
    with pytest.raises(StorageError, match="cannot be read"):
        finkray.open_archive(tmp_path).lightcurve("ZTF18aaaaaaa")


def test_an_empty_archive_knows_no_object(tmp_path: Path) -> None:
    Ledger.take_over(LocalStorage(tmp_path))
    archive = finkray.open_archive(tmp_path)
    with pytest.raises(UnknownObject):
        archive.lightcurve("ZTF18aaaaaaa")
    assert archive.cone(10, 20, 3).schema.equals(OBJECT)


def test_the_archive_of_the_settings_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path / "archive")
    archive_table(storage, ztf_table(ztf_alert(ztf_detection(2), ztf_limit(1))))
    config = tmp_path / "site.toml"
    config.write_text(f"[archive]\nuri = {json.dumps(str(tmp_path / 'archive'))}\n")
    monkeypatch.setenv("FINKRAY_CONFIG", str(config))
    assert finkray.lightcurve("ZTF20aaaaaaa", kinds="limit")["key"].to_pylist() == [1]


def test_a_source_that_went_over_to_another_object_is_in_one_curve(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    alerts = [
        lsst_alert(lsst_source(1)),
        lsst_alert(lsst_source(2), lsst_source(1)),
        lsst_alert(lsst_source(3, diaObjectId=8), lsst_source(1, diaObjectId=8)),
    ]
    archive_table(storage, lsst_table(*alerts), topic="lsst")
    archive = finkray.open_archive(tmp_path)
    assert archive.lightcurve(7)["key"].to_pylist() == [2]
    assert archive.lightcurve(8)["key"].to_pylist() == [1, 3]


def test_a_cone_has_the_objects_in_it_the_nearest_first(tmp_path: Path) -> None:
    positions = {"ZTF20aaaaaaa": (359.9999, 10.0), "ZTF20aaaaaab": (0.0002, 10.0)}
    positions |= {"ZTF20aaaaaac": (0.01, 10.0), "ZTF20aaaaaad": (120.0, 89.9999)}
    positions |= {"ZTF20aaaaaae": (300.0, 89.9999), "ZTF20aaaaaaf": (180.0, -90.0)}
    alerts = [
        ztf_alert(ztf_detection(n, ra=ra, dec=dec), object_id=name)
        for n, (name, (ra, dec)) in enumerate(positions.items(), 1)
    ]
    alerts.append(ztf_alert(ztf_detection(9, ra=359.99995, dec=10.0), object_id="ZTF20aaaaaaa"))
    archive_table(LocalStorage(tmp_path), ztf_table(*alerts))
    archive = finkray.open_archive(tmp_path)
    cone = archive.cone(0.0, 10.0, 3.0)
    assert cone.schema.equals(OBJECT)
    assert cone["object_id"].to_pylist() == ["ZTF20aaaaaaa", "ZTF20aaaaaab"]
    assert cone["alerts"].to_pylist() == [2, 1]
    assert cone["separation_arcsec"][0].as_py() == pytest.approx(0.177, abs=0.001)
    assert archive.cone(360.0, 10.0, 3.0).equals(cone)
    assert set(archive.cone(17.0, 90.0, 1.0)["object_id"].to_pylist()) == {
        "ZTF20aaaaaad",
        "ZTF20aaaaaae",
    }
    assert archive.cone(1.0, -90.0, 1.0)["object_id"].to_pylist() == ["ZTF20aaaaaaf"]
    assert archive.cone(50.0, 50.0, 1.0).num_rows == 0


@pytest.mark.parametrize(
    ("circle", "message"),
    [
        ((400, 0, 1), "right ascension 400"),
        ((0, 91, 1), "declination 91"),
        ((0, float("nan"), 1), "declination nan"),
        ((0, 0, 0), "radius 0"),
        ((0, 0, 1e9), "at most 36000 arcsec"),
    ],
)
def test_what_is_no_circle_is_refused(
    archive: finkray.Archive, circle: tuple[float, float, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        archive.cone(*circle)


def test_cones_of_real_alerts_are_those_of_astropy(
    archive: finkray.Archive, test_data: Path
) -> None:
    from astropy.coordinates import SkyCoord

    alerts = _real(test_data, "2024-2025_boom_12")
    alerts += _real(test_data, "20180626_skyportal_205")[:40]
    sky = SkyCoord(
        [alert["candidate"]["ra"] for alert in alerts],
        [alert["candidate"]["dec"] for alert in alerts],
        unit="deg",
    )
    for alert in alerts[:5]:
        center = alert["candidate"]["ra"], alert["candidate"]["dec"]
        near = sky.separation(SkyCoord(*center, unit="deg")).arcsec <= 10_000
        expected = {alerts[n]["objectId"] for n in near.nonzero()[0]}
        assert set(archive.cone(*center, 10_000)["object_id"].to_pylist()) == expected
