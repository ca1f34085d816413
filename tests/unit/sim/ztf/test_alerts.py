"""Alerts from a seed: their form is ZTF's, and they tell one story from visit to visit."""

import gzip
import io
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

import fastavro
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.errors import SettingsError
from sim.maker import MadeAlert
from sim.sky.kinds import ALERTS_SHARE, Kind
from sim.ztf.alerts import Visit, ZtfMaker
from sim.ztf.schedule import night_of, night_plan
from sim.ztf.schema import Version, schema_text
from tests.support.examples import examples

VERSIONS: list[Version] = ["3.3", "4.02"]
NIGHT = date(2026, 1, 19)
IMAGES = ("cutoutScience", "cutoutTemplate", "cutoutDifference")


def decode(alert: MadeAlert) -> dict[str, Any]:
    [record] = fastavro.reader(io.BytesIO(alert.packet))
    return record


def image(record: dict[str, Any], name: str) -> np.ndarray[Any, Any]:
    with fits.open(io.BytesIO(gzip.decompress(record[name]["stampData"]))) as hdus:
        return np.array(hdus[0].data)


def first_visits(maker: ZtfMaker, count: int) -> list[Visit]:
    return list(itertools.islice(maker.visits(), count))


def all_alerts(visits: Iterable[Visit]) -> list[MadeAlert]:
    return [alert for visit in visits for alert in visit.alerts]


@pytest.fixture(scope="module", params=VERSIONS)
def night(request: pytest.FixtureRequest) -> list[Visit]:
    """Twenty fields in g, then the same ones in r."""
    return first_visits(ZtfMaker(5, schema_version=request.param, alerts_per_visit=30), 40)


@pytest.fixture(scope="module")
def one_field() -> list[MadeAlert]:
    """All alerts of one field in some weeks, when it is up all night."""
    first_night = night_plan(5, night_of(NIGHT))
    middle = first_night[len(first_night) // 2].field.number
    maker = ZtfMaker(5, alerts_per_visit=20, fields={middle}, first_night=NIGHT)
    return all_alerts(first_visits(maker, 8))


@settings(deadline=None, max_examples=examples(5))
@given(seed=st.integers(0, 2**40), version=st.sampled_from(VERSIONS))
def test_a_packet_is_what_fastavro_would_have_written(seed: int, version: Version) -> None:
    [visit] = first_visits(ZtfMaker(seed, schema_version=version, alerts_per_visit=5), 1)
    for alert in visit.alerts:
        reader = fastavro.reader(io.BytesIO(alert.packet))
        [record] = reader
        assert reader.metadata == {"avro.codec": "null", "avro.schema": schema_text(version)}
        body = io.BytesIO()
        fastavro.schemaless_writer(body, json.loads(schema_text(version)), record)
        assert alert.packet[:-16].endswith(body.getvalue())
        assert record["schemavsn"] == version
        assert (record["objectId"], record["candid"]) == (alert.object_id, alert.candid)
        assert record["candidate"]["ra"] == alert.ra_deg
        assert record["candidate"]["jd"] == alert.jd == visit.exposure.jd


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(version: Version) -> None:
    def packets(seed: int) -> list[bytes]:
        maker = ZtfMaker(seed, schema_version=version, alerts_per_visit=6)
        return [alert.packet for alert in all_alerts(first_visits(maker, 3))]

    assert packets(1) == packets(1)
    assert not set(packets(1)) & set(packets(2))


def test_a_maker_begins_again_each_time() -> None:
    maker = ZtfMaker(1, alerts_per_visit=6)
    assert first_visits(maker, 3) == first_visits(maker, 3)


def test_sizes_are_as_in_reality(night: list[Visit]) -> None:
    for alert in all_alerts(night):
        record = decode(alert)
        cutouts = sum(len(record[name]["stampData"]) for name in IMAGES)
        assert 55_000 < len(alert.packet) < 77_000
        assert 0.53 < cutouts / len(alert.packet) < 0.70


def test_no_two_packets_share_a_candid_or_a_sync_marker(night: list[Visit]) -> None:
    alerts = all_alerts(night)
    assert len({alert.candid for alert in alerts}) == len(alerts)
    assert len({alert.packet[-16:] for alert in alerts}) == len(alerts)


def test_the_candid_tells_when_the_exposure_was(night: list[Visit]) -> None:
    for visit in night:
        for alert in visit.alerts:
            candidate = decode(alert)["candidate"]
            days_since_2017 = int(str(alert.candid)[:9]) / 1e5
            assert candidate["jd"] == pytest.approx(2_457_754.5 + days_since_2017, abs=2e-5)
            assert candidate["pid"] == alert.candid // 1_000_000
            assert candidate["nid"] == alert.candid // 10**15
            assert candidate["rcid"] == alert.candid // 10**8 % 100
            assert candidate["tblid"] == alert.candid % 5_000


def test_visits_are_exposures_one_after_the_other(night: list[Visit]) -> None:
    begins = [visit.exposure.jd for visit in night]
    assert np.diff(begins) * 86_400 == pytest.approx(40, abs=0.1)
    for visit in night:
        assert [a.candid for a in visit.alerts] == sorted(a.candid for a in visit.alerts)
    assert 20 < np.mean([len(visit.alerts) for visit in night]) < 40


def test_alerts_are_where_the_telescope_looked(night: list[Visit]) -> None:
    for visit in night:
        field = visit.exposure.field
        centre = SkyCoord(field.ra_deg, field.dec_deg, unit="deg")
        there = SkyCoord(
            [a.ra_deg for a in visit.alerts], [a.dec_deg for a in visit.alerts], unit="deg"
        )
        assert there.separation(centre).deg.max() < 5


def test_missing_values_are_sentinels_and_not_nulls(night: list[Visit]) -> None:
    alerts = all_alerts(night)
    for alert in alerts:
        candidate = decode(alert)["candidate"]
        assert None not in candidate.values()
        known = alert.kind == Kind.ASTEROID
        assert (candidate["ssnamenr"] == alert.source) == known
        assert (candidate["ssnamenr"] == "null") == (candidate["ssdistnr"] == -999) == (not known)
    assert any(decode(alert)["candidate"]["sgmag1"] == -999 for alert in alerts)
    assert {decode(alert)["candidate"]["programid"] for alert in alerts} == {1}


def test_all_kinds_of_objects_are_there_in_both_filters(night: list[Visit]) -> None:
    assert {alert.kind for alert in all_alerts(night)} == set(ALERTS_SHARE)
    assert {alert.filter_id for alert in all_alerts(night)} == {1, 2}


def test_an_object_stays_within_an_arcsec_of_its_place(one_field: list[MadeAlert]) -> None:
    sightings = defaultdict(list)
    for alert in one_field:
        sightings[alert.object_id].append(alert)
    repeated = [alerts for alerts in sightings.values() if len(alerts) > 1]
    assert repeated
    for alerts in repeated:
        place = SkyCoord([a.ra_deg for a in alerts], [a.dec_deg for a in alerts], unit="deg")
        assert 0 < place.separation(place[0]).arcsec.max() < 2
        assert len({alert.kind for alert in alerts}) == 1


def test_an_asteroid_moves_and_is_another_object_each_time(night: list[Visit]) -> None:
    seen = defaultdict(list)
    for alert in all_alerts(night):
        if alert.kind == Kind.ASTEROID:
            seen[alert.source].append(alert)
    twice = [alerts for alerts in seen.values() if len(alerts) == 2]
    assert twice
    for first, second in twice:
        assert first.object_id != second.object_id
        apart = SkyCoord(first.ra_deg, first.dec_deg, unit="deg").separation(
            SkyCoord(second.ra_deg, second.dec_deg, unit="deg")
        )
        hours = 24 * (second.jd - first.jd)
        assert 5 < apart.arcsec / hours < 90
        assert all(entry["candid"] is None for entry in decode(second)["prv_candidates"])


def test_the_history_is_what_was_sent_before(one_field: list[MadeAlert]) -> None:
    sent = {alert.candid: decode(alert) for alert in one_field}
    continued = 0
    for alert in one_field:
        record = sent[alert.candid]
        history = record["prv_candidates"]
        times = [entry["jd"] for entry in history]
        assert times == sorted(times)
        assert all(alert.jd - 30 <= jd < alert.jd for jd in times)
        for entry in history:
            if entry["candid"] is None:
                assert entry["magpsf"] is entry["ra"] is None
                assert entry["diffmaglim"] > 15
            elif entry["candid"] in sent:
                continued += 1
                before = sent[entry["candid"]]
                assert before["objectId"] == record["objectId"]
                same = set(entry) - {"pdiffimfilename", "ssdistnr", "ssmagnr", "ssnamenr"}
                assert {n: entry[n] for n in same} == {n: before["candidate"][n] for n in same}
    assert continued > 10


def test_nothing_that_was_sent_is_missing_in_a_later_history(one_field: list[MadeAlert]) -> None:
    for earlier, later in itertools.combinations(one_field, 2):
        if earlier.object_id == later.object_id and later.jd - earlier.jd < 30:
            history = decode(later)["prv_candidates"]
            assert earlier.candid in {entry["candid"] for entry in history}


def test_other_fields_do_not_matter(night: list[Visit]) -> None:
    visit = night[3]
    version, number = decode(visit.alerts[0])["schemavsn"], visit.exposure.field.number
    alone = ZtfMaker(5, schema_version=version, alerts_per_visit=30, fields={number})
    assert first_visits(alone, 1) == [visit]


def test_counts_of_detections_go_up_one_by_one(one_field: list[MadeAlert]) -> None:
    last: dict[str, dict[str, Any]] = {}
    for alert in one_field:
        candidate = decode(alert)["candidate"]
        assert candidate["jdstarthist"] <= candidate["jdendhist"] == alert.jd
        if before := last.get(alert.object_id):
            assert candidate["ndethist"] == before["ndethist"] + 1
            assert candidate["ncovhist"] > before["ncovhist"]
            assert candidate["jdstarthist"] == before["jdstarthist"]
        last[alert.object_id] = candidate


def test_forced_photometry_agrees_with_the_detections(one_field: list[MadeAlert]) -> None:
    ratios = []
    for alert in one_field:
        record = decode(alert)
        flux = {entry["jd"]: entry for entry in record["fp_hists"] or ()}
        for entry in record["prv_candidates"]:
            forced = flux.get(entry["jd"])
            if entry["candid"] is None or forced is None or forced["procstatus"] != "0":
                continue
            assert (forced["forcediffimflux"] > 0) == (entry["isdiffpos"] == "t")
            counted = 10 ** (0.4 * (entry["magzpsci"] - entry["magpsf"]))
            ratios.append(abs(forced["forcediffimflux"]) / counted)
    assert len(ratios) > 50
    assert np.median(ratios) == pytest.approx(1, abs=0.05)


def test_a_supernova_becomes_brighter_and_then_fades() -> None:
    curves: dict[str, dict[float, float]] = defaultdict(dict)
    maker = ZtfMaker(2, alerts_per_visit=120, first_night=date(2026, 3, 1))
    for alert in all_alerts(first_visits(maker, 40)):
        if alert.kind == Kind.SUPERNOVA:
            for entry in decode(alert)["prv_candidates"]:
                if entry["candid"] and entry["fid"] == 2:
                    curves[alert.object_id][entry["jd"]] = entry["magpsf"]
    long = [list(curve.values()) for curve in curves.values() if len(curve) >= 5]
    assert len(long) > 10
    for magnitudes in long:
        # Whatever part of the curve is seen, there is but one maximum, within the noise.
        brightest = int(np.argmin(magnitudes))
        rise, decline = magnitudes[: brightest + 1], magnitudes[brightest:]
        assert np.all(np.diff(rise) < 0.6)
        assert np.all(np.diff(decline) > -0.6)


def test_the_cutouts_show_the_source(night: list[Visit]) -> None:
    for alert in all_alerts(night[::8]):
        record = decode(alert)
        science, template, difference = (image(record, name) for name in IMAGES)
        for picture in (science, template, difference):
            assert picture.shape == (63, 63)
            assert picture.dtype == np.dtype(">f4")
        positive = record["candidate"]["isdiffpos"] == "t"
        left_over = (science - template) * (1 if positive else -1) - difference
        # What is left of the two is the difference of their backgrounds.
        assert np.ptp(left_over) < 0.01 * max(1, science.max() / 100)
        told = record["candidate"]["magpsf"]
        if positive and told < 19:
            shown = 26.2 - 2.5 * np.log10(difference[28:35, 28:35].sum())
            assert shown == pytest.approx(told, abs=0.5)
        assert difference[29:34, 29:34].sum() > 0
        candid = alert.candid
        assert record["cutoutTemplate"]["fileName"] == f"candid{candid}_ref.fits.gz"
        assert ("_scimref." in record["cutoutDifference"]["fileName"]) == positive


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"schema_version": "3.4"}, "3.3, 4.02"),
        ({"alerts_per_visit": 0}, "alerts a visit"),
        ({"seed": -1}, "negative"),
        ({"fields": {12}}, "200 to 904"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        ZtfMaker(**arguments)
