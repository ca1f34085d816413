"""The points of light curves: each measurement once, by the rules of the surveys, and none lost."""

from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalogs.nights.build import build_night, requests
from catalogs.nights.index import NightIndex
from catalogs.nights.listing import built_nights
from catalogs.nights.points import POINT, raw_points, united
from catalogs.nights.steps import Steps
from tests.support.night_archives import JD, measurement
from tests.support.packets import lsst_v10_frames, real_lsst_alerts
from tests.support.real_archives import RealArchive


def alerts(*rows: tuple[dict[str, Any], list[dict[str, Any]]], **more: Any) -> pa.Table:
    """Return alerts of ZTF with these candidates and histories."""
    return pa.table(
        {
            "objectId": ["ZTF26aaaaaaa"] * len(rows),
            "candid": pa.array([candidate["candid"] for candidate, _ in rows], pa.int64()),
            "candidate": [candidate for candidate, _ in rows],
            "prv_candidates": [history for _, history in rows],
            **more,
        }
    )


def curve(table: pa.Table, survey: str = "ztf") -> pd.DataFrame:
    """Return the light curve of alerts of one object."""
    (points,) = united(raw_points(table, np.zeros(len(table), np.int64), survey), np.array([0]))
    return pd.DataFrame(points.as_py())[POINT.names]


def test_an_alert_counts_before_its_rounded_copy_in_a_history() -> None:
    exact = measurement(1, 10.0, 20.0, magpsf=18.27396)
    rounded = exact | {"magpsf": 18.274, "isdiffpos": "1"}
    later = measurement(2, 10.0, 20.0, jd=JD + 0.02)
    points = curve(alerts((later, [rounded]), (exact, [])))
    assert points["point_id"].tolist() == [1, 2]
    assert points["flux_njy"][0] == pytest.approx(10 ** (0.4 * (31.4 - 18.27396)), rel=1e-12)


def test_a_message_that_came_twice_is_one_point() -> None:
    one = measurement(1, 10.0, 20.0)
    assert len(curve(alerts((one, []), (one, [])))) == 1


def test_two_detections_of_one_exposure_are_both_kept() -> None:
    first, second = (measurement(n, 10.0, 20.0, pid=77) for n in (1, 2))
    assert curve(alerts((first, []), (second, [])))["point_id"].tolist() == [1, 2]


def test_a_limit_of_an_image_is_once_and_not_beside_a_detection_of_it() -> None:
    limit = measurement(None, 10.0, 20.0, pid=76, jd=JD - 1)
    of_the_alert = measurement(None, 10.0, 20.0, pid=78)
    one = measurement(1, 10.0, 20.0, pid=78)
    two = measurement(2, 10.0, 20.0, pid=79, jd=JD + 0.1)
    points = curve(alerts((one, [limit]), (two, [limit, of_the_alert])))
    assert points["kind"].tolist() == ["limit", "detection", "detection"]
    assert points["point_id"].tolist() == [76, 1, 2]
    assert points["limit_mag"][0] == pytest.approx(20.5)
    assert np.isnan(points["flux_njy"][0])


def test_forced_points_are_a_kind_of_their_own_and_the_newest_counts() -> None:
    def forced(flux: float) -> dict[str, Any]:
        return {
            "jd": JD,
            "fid": 1,
            "pid": 5,
            "diffmaglim": 20.0,
            "magzpsci": 26.0,
            "forcediffimflux": flux,
            "forcediffimfluxunc": 2.0,
        }

    old = measurement(1, 10.0, 20.0, pid=5)
    new = measurement(2, 10.0, 20.0, pid=6, jd=JD + 1)
    histories = [[forced(50.0)], [forced(100.0), forced(-99_999.0) | {"pid": 4}]]
    points = curve(alerts((old, []), (new, []), fp_hists=histories))
    assert points["kind"].tolist() == ["detection", "forced", "forced", "detection"]
    by_id = points[points["kind"] == "forced"].set_index("point_id")
    assert by_id["flux_njy"][5] == pytest.approx(100.0 * 10 ** (-0.4 * (26.0 - 31.4)))
    assert np.isnan(by_id["flux_njy"][4])


def test_points_without_an_id_are_told_apart_by_time_and_band() -> None:
    history = [
        measurement(None, 10.0, 20.0, pid=None, jd=JD - 1, fid=fid, magpsf=18.0, isdiffpos="t")
        for fid in (1, 2, 2)
    ]
    points = curve(alerts((measurement(1, 10.0, 20.0), history)))
    assert sorted(points["band"]) == ["g", "g", "r"]


def test_a_withdrawn_source_of_lsst_is_left_out() -> None:
    source = {
        "diaObjectId": 5,
        "midpointMjdTai": 60_000.0,
        "ra": 1.0,
        "dec": 2.0,
        "band": "r",
        "psfFlux": 100.0,
        "psfFluxErr": 1.0,
        "timeWithdrawnMjdTai": None,
    }
    earlier = [source | {"diaSourceId": n, "midpointMjdTai": 59_990.0 + n} for n in (1, 2)]
    withdrawn = [earlier[0] | {"timeWithdrawnMjdTai": 60_001.0}, earlier[1]]
    sources = [source | {"diaSourceId": n, "midpointMjdTai": 60_000.0 + n} for n in (3, 4)]
    table = pa.table({"diaSource": sources, "prvDiaSources": [earlier, withdrawn]})
    assert curve(table, "lsst")["point_id"].tolist() == [2, 3, 4]
    alone = pa.table({"diaSource": [sources[0] | {"timeWithdrawnMjdTai": 60_001.0}]})
    assert len(curve(alone, "lsst")) == 0


def test_no_point_of_lssts_real_alerts_is_lost(tmp_path: Path, test_data: Path) -> None:
    archive = RealArchive(tmp_path / "archive", test_data)
    archive.put("lsst", lsst_v10_frames(test_data))
    index = NightIndex(archive.storage)
    index.update(Steps())
    for _, night in list(index.nights):
        (request,) = requests(index, night)
        build_night(archive.storage, request, Steps())
    nights = list(built_nights(archive.storage))
    assert sum(night.committed.alerts for night in nights) == 107

    found: dict[tuple[str, int], set[tuple[str, int]]] = {}
    rows = 0
    for night in nights:
        folder = Path(night.uri) / "g1" / "object_lc"
        for leaf in folder.rglob("Npix*.parquet"):
            for row in pq.read_table(leaf, partitioning=None).to_pylist():
                lists = row["lc"]
                points = set(zip(lists["kind"], lists["point_id"], strict=True))
                assert len(points) == len(lists["kind"])
                assert np.all(np.diff(lists["mjd_tai"]) >= 0)
                assert np.isfinite(lists["flux_njy"]).all()
                found[night.night, row["diaObjectId"]] = points
                rows += len(points)
    assert found == expected_points(test_data)
    assert rows > 10_000


def expected_points(test_data: Path) -> dict[tuple[str, int], set[tuple[str, int]]]:
    """All ids in the alerts of each object and night."""
    out = defaultdict(set)
    for alert in real_lsst_alerts(test_data):
        source = alert["diaSource"]
        if not source["diaObjectId"]:
            continue
        # The night begins at 12:00 UTC; MJD 40587 is 1970-01-01.
        days = source["midpointMjdTai"] - 37 / 86_400 - 0.5 - 40_587
        night = date.fromordinal(date(1970, 1, 1).toordinal() + int(np.floor(days)))
        points = out[night.isoformat(), source["diaObjectId"]]
        sources = [source, *(alert["prvDiaSources"] or [])]
        points |= {("detection", each["diaSourceId"]) for each in sources}
        forced = alert["prvDiaForcedSources"] or []
        points |= {("forced", each["diaForcedSourceId"]) for each in forced}
    return dict(out)
