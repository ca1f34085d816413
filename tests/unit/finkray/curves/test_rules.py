"""Each measurement is one point, whatever packets bring it and in whatever order."""

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.curves.raw import columns, raw_points
from finkray.curves.rules import curve_points
from finkray.curves.schema import POINT
from finkray.services.columns import pick
from tests.support.curve_alerts import (
    FIRST_MJD,
    lsst_alert,
    lsst_source,
    lsst_table,
    ztf_alert,
    ztf_detection,
    ztf_forced,
    ztf_limit,
    ztf_table,
)
from tests.support.examples import examples
from tests.support.packets import real_lsst_alerts

TDE = "ztf/ztf_20200802-0831_fink-filters_ZTF20abfcszi_21.parquet"


def rows(table: pa.Table, *names: str) -> list[Any]:
    """The rows of some columns as tuples; of one column its values."""
    values = [curve_points(table)[name].to_pylist() for name in names]
    return values[0] if len(values) == 1 else list(zip(*values, strict=True))


def test_the_curve_of_the_public_tde_has_57_points_of_356(test_data: Path) -> None:
    alerts = pq.read_table(test_data / TDE)
    assert raw_points(alerts, "ztf").height == 356
    points = curve_points(alerts)
    assert points.num_rows == 57
    assert points.schema.equals(POINT)
    assert sum(points["own_alert"].to_pylist()) == 21
    assert set(points["apparent_status"].to_pylist()) == {"ok"}
    assert points["mjd_tai"].to_pylist() == sorted(points["mjd_tai"].to_pylist())


def test_107_alerts_of_lsst_lose_no_point(test_data: Path) -> None:
    alerts = real_lsst_alerts(test_data)
    ids = {alert["diaSourceId"] for alert in alerts}
    for alert in alerts:
        ids |= {source["diaSourceId"] for source in alert["prvDiaSources"] or ()}
    forced = {f["diaForcedSourceId"] for a in alerts for f in a["prvDiaForcedSources"] or ()}
    wanted = {name.split(".")[0] for name in columns("lsst")}
    table = pa.Table.from_pylist(
        [{name: value for name, value in alert.items() if name in wanted} for alert in alerts]
    )
    points = curve_points(table)
    by_kind: dict[str, list[int]] = {"detection": [], "forced": []}
    for kind, key in zip(points["kind"].to_pylist(), points["key"].to_pylist(), strict=True):
        by_kind[kind].append(key)
    assert sorted(by_kind["detection"]) == sorted(ids)
    assert sorted(by_kind["forced"]) == sorted(forced)
    # Columns read one by one, as from an archive, give the same.
    assert curve_points(pick(table, columns("lsst"))).equals(points)


def test_the_alert_itself_counts_before_a_rounded_entry_of_a_history() -> None:
    own = ztf_detection(1, magpsf=18.27396, isdiffpos="t")
    rounded = ztf_detection(1, magpsf=18.274, isdiffpos="1")
    alerts = [ztf_alert(ztf_detection(2), rounded), ztf_alert(own)]
    assert rows(ztf_table(*alerts), "key", "mag", "own_alert") == [
        (1, pytest.approx(18.27396, abs=1e-9), True),
        (2, pytest.approx(18.0), True),
    ]


def test_a_detection_wins_over_a_limit_of_its_image() -> None:
    alerts = [ztf_alert(ztf_detection(2), ztf_limit(1), ztf_limit(3)), ztf_alert(ztf_detection(3))]
    assert rows(ztf_table(*alerts), "kind", "key") == [
        ("limit", 1),
        ("detection", 2),
        ("detection", 3),
    ]
    (limit, *_) = rows(ztf_table(*alerts), "limit_mag", "flux_njy", "apparent_status")
    assert limit == (20.5, None, "no_flux")


def test_of_forced_photometry_the_newest_packet_counts_and_detections_stay() -> None:
    older = ztf_alert(ztf_detection(2), forced=[ztf_forced(1, 100.0)])
    newer = ztf_alert(ztf_detection(3), ztf_detection(1), forced=[ztf_forced(1, 200.0)])
    for alerts in ([older, newer], [newer, older]):
        assert rows(ztf_table(*alerts), "kind", "key")[:2] == [("detection", 1), ("forced", 1)]
        assert rows(ztf_table(*alerts), "flux_njy")[1] == pytest.approx(200.0)
        assert rows(ztf_table(*alerts), "limit_mag")[1] == pytest.approx(
            31.4 - 2.5 * math.log10(50)
        )


def test_forced_photometry_that_failed_has_no_flux() -> None:
    failed = ztf_forced(1, -99_999.0, forcediffimfluxunc=-99_999.0, procstatus="61")
    point = rows(
        ztf_table(ztf_alert(ztf_detection(2), forced=[failed])),
        *("flux_njy", "flux_err_njy", "limit_mag", "procstatus", "apparent_status"),
    )[0]
    assert point == (None, None, None, "61", "no_flux")


def test_two_sources_of_one_image_are_kept_and_the_farther_is_a_double() -> None:
    near, far = ztf_detection(5, pid=9), ztf_detection(6, pid=9, ra=10.0002, jd=2_458_905.7)
    alerts = [ztf_alert(ztf_detection(1)), ztf_alert(far), ztf_alert(near)]
    assert sorted(rows(ztf_table(*alerts), "key", "double")) == [(1, False), (5, False), (6, True)]


def test_doubles_are_found_on_both_sides_of_right_ascension_zero() -> None:
    alerts = [
        ztf_alert(ztf_detection(1, ra=359.99999)),
        ztf_alert(ztf_detection(2, pid=9, ra=0.00001)),
        ztf_alert(ztf_detection(3, pid=9, ra=359.9995)),
    ]
    assert rows(ztf_table(*alerts), "key", "double") == [(1, False), (2, False), (3, True)]


def test_a_withdrawn_source_is_no_point_until_it_is_processed_again() -> None:
    at_first = lsst_source(1)
    withdrawn = lsst_source(1, timeWithdrawnMjdTai=FIRST_MJD + 2)
    anew = lsst_source(1, timeProcessedMjdTai=FIRST_MJD + 3, psfFlux=900.0)
    alerts = [lsst_alert(at_first), lsst_alert(lsst_source(2), withdrawn)]
    assert rows(lsst_table(*alerts), "key") == [2]
    alerts.append(lsst_alert(lsst_source(4), anew))
    assert rows(lsst_table(*alerts), "key", "flux_njy")[0] == (1, 900.0)
    alerts.append(lsst_alert(lsst_source(5), withdrawn))
    assert rows(lsst_table(*alerts), "key", "flux_njy")[0] == (1, 900.0)


def test_the_newest_packet_says_which_object_a_source_of_lsst_belongs_to() -> None:
    alerts = [
        lsst_alert(lsst_source(1)),
        lsst_alert(lsst_source(2), lsst_source(1)),
        lsst_alert(lsst_source(3, diaObjectId=8), lsst_source(1, diaObjectId=8)),
    ]
    expected = [("7", 2), ("8", 1), ("8", 3)]
    assert rows(lsst_table(*alerts), "object_id", "key") == expected
    assert rows(lsst_table(*alerts[::-1]), "object_id", "key") == expected


def test_a_body_of_the_solar_system_has_a_curve_by_its_own_id() -> None:
    body = {"diaObjectId": 0, "ssObjectId": 99}
    alerts = [lsst_alert(lsst_source(1, **body)), lsst_alert(lsst_source(2, **body, ra=151.0))]
    assert rows(lsst_table(*alerts), "object_id", "key") == [("99", 1), ("99", 2)]


def test_a_point_of_ztf_belongs_to_each_object_whose_packets_have_it() -> None:
    alerts = [
        ztf_alert(ztf_detection(2), ztf_detection(1), object_id="ZTF20aaaaaaa"),
        ztf_alert(ztf_detection(3), ztf_detection(1), object_id="ZTF20aaaaaab"),
    ]
    assert rows(ztf_table(*alerts), "object_id", "key") == [
        ("ZTF20aaaaaaa", 1),
        ("ZTF20aaaaaaa", 2),
        ("ZTF20aaaaaab", 1),
        ("ZTF20aaaaaab", 3),
    ]


def test_absurd_times_are_marked_and_do_not_decide_what_is_newest() -> None:
    late = ztf_alert(ztf_detection(2, jd=9e6), forced=[ztf_forced(1, 100.0)])
    newest = ztf_alert(
        ztf_detection(3), ztf_limit(1, jd=2_459_900.5), forced=[ztf_forced(1, 200.0)]
    )
    table = ztf_table(late, newest)
    marked = dict(zip(rows(table, "kind", "key"), rows(table, "time_absurd"), strict=True))
    assert marked == {
        ("detection", 2): True,
        ("detection", 3): False,
        ("limit", 1): True,
        ("forced", 1): False,
    }
    assert rows(table, "flux_njy")[rows(table, "kind").index("forced")] == pytest.approx(200.0)


def test_ztf_begins_exposures_in_utc_and_points_are_in_tai() -> None:
    (time,) = rows(ztf_table(ztf_alert(ztf_detection(1, jd=2_458_901.5))), "mjd_tai")
    assert time == pytest.approx(58_901.0 + 37 / 86_400, abs=1e-9)


def test_no_alerts_make_an_empty_curve_with_all_columns() -> None:
    assert curve_points(ztf_table()).schema.equals(POINT)
    assert curve_points(pa.table({"other": [1]})).num_rows == 0


@st.composite
def ztf_alerts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Alerts of two objects, whose histories are those of earlier ones, or other measurements."""
    alerts = []
    for candid in draw(st.lists(st.integers(1, 12), min_size=1, max_size=6, unique=True)):
        image = draw(st.sampled_from([candid, candid + 1]))
        ra = 10.0 + draw(st.integers(-2, 2)) * 1e-4
        history = []
        for other in draw(st.lists(st.integers(1, 12), max_size=4, unique=True)):
            mag = draw(st.sampled_from([18.0, 18.2]))
            history.append(
                ztf_limit(other) if draw(st.booleans()) else ztf_detection(other, magpsf=mag)
            )
        forced = [
            ztf_forced(other, draw(st.sampled_from([10.0, 100.0, -99_999.0])))
            for other in draw(st.lists(st.integers(1, 12), max_size=3, unique=True))
        ]
        detection = ztf_detection(candid, pid=image, ra=ra)
        name = draw(st.sampled_from(["ZTF20aaaaaaa", "ZTF20aaaaaab"]))
        alerts.append(ztf_alert(detection, *history, object_id=name, forced=forced))
    return alerts


@st.composite
def lsst_alerts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Alerts of two objects and a body, some of whose sources were processed anew or withdrawn."""

    def source(number: int) -> dict[str, Any]:
        return lsst_source(
            number,
            visit=draw(st.sampled_from([number, number + 1])),
            psfFlux=draw(st.sampled_from([1.0, 500.0, -500.0])),
            timeProcessedMjdTai=draw(st.sampled_from([None, FIRST_MJD, FIRST_MJD + 9])),
            timeWithdrawnMjdTai=draw(st.sampled_from([None, None, FIRST_MJD + 10])),
            **draw(
                st.sampled_from([{}, {"diaObjectId": 8}, {"diaObjectId": None, "ssObjectId": 9}])
            ),
        )

    numbers = st.lists(st.integers(1, 8), min_size=1, max_size=5, unique=True)
    return [lsst_alert(source(number), *map(source, draw(numbers))) for number in draw(numbers)]


@settings(max_examples=examples(20), deadline=None)
@given(ztf_alerts(), st.data())
def test_order_and_repeats_of_ztf_packets_change_nothing(
    alerts: list[dict[str, Any]], data: st.DataObject
) -> None:
    _check_order_and_repeats(ztf_table(*alerts), data)


@settings(max_examples=examples(20), deadline=None)
@given(lsst_alerts(), st.data())
def test_order_and_repeats_of_lsst_packets_change_nothing(
    alerts: list[dict[str, Any]], data: st.DataObject
) -> None:
    _check_order_and_repeats(lsst_table(*alerts), data)


def _check_order_and_repeats(table: pa.Table, data: st.DataObject) -> None:
    expected = curve_points(table)
    again = data.draw(st.lists(st.integers(0, table.num_rows - 1), max_size=6))
    order = data.draw(st.permutations([*range(table.num_rows), *again]))
    assert curve_points(table.take(order)).equals(expected)
    # No measurement twice, and none of the alerts' own lost unless it was withdrawn.
    names = ("survey", "object_id", "kind", "key")
    keys = list(zip(*(expected[name].to_pylist() for name in names), strict=True))
    assert len(set(keys)) == len(keys)


@settings(max_examples=examples(20), deadline=None)
@given(ztf_alerts())
def test_no_detection_of_ztf_is_lost(alerts: list[dict[str, Any]]) -> None:
    wanted = {(alert["objectId"], alert["candid"]) for alert in alerts}
    for alert in alerts:
        seen = {entry["candid"] for entry in alert["prv_candidates"] if "candid" in entry}
        wanted |= {(alert["objectId"], candid) for candid in seen}
    points = rows(ztf_table(*alerts), "object_id", "key", "kind")
    assert {(name, key) for name, key, kind in points if kind == "detection"} == wanted
