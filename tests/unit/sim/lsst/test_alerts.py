"""LSST's alerts from a seed: their form is Rubin's, and they tell one story from visit to visit."""

import functools
import io
import itertools
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.errors import SettingsError
from finkray.packets.schema_folder import SchemaFolder
from sim.lsst.alerts import MOST_SOURCES, LsstMaker
from sim.lsst.schema import Version, schema_id, schema_text
from sim.lsst.visits import VISITS_PER_NIGHT, field_of
from sim.maker import MadeAlert
from sim.sky.kinds import Kind
from tests.support.avro_cases import differences
from tests.support.examples import examples
from tests.support.simulated import decoded

IMAGES = ("cutoutDifference", "cutoutScience", "cutoutTemplate")


def decode(alert: MadeAlert) -> dict[str, Any]:
    version: Any = alert.schema_version
    return decode_with(schema_text(version), alert.packet)


@functools.lru_cache(maxsize=300)
def decode_with(schema: str, packet: bytes) -> dict[str, Any]:
    frame = io.BytesIO(packet[5:])
    record: Any = fastavro.schemaless_reader(frame, fastavro.parse_schema(json.loads(schema)))
    assert frame.read() == b""
    return record


@pytest.fixture(scope="module")
def visits() -> list[MadeAlert]:
    """The first visits to one field, in two bands."""
    maker = LsstMaker(3, alerts_per_visit=12)
    return list(itertools.takewhile(lambda alert: alert.visit < 10, maker.alerts()))


@settings(max_examples=examples(6))
@given(seed=st.integers(0, 2**40), version=st.sampled_from(["10.0", "11.0"]))
def test_a_frame_is_what_fastavro_would_have_written_and_finkray_reads_it(
    seed: int, version: Version
) -> None:
    maker = LsstMaker(seed, schema_version=version, alerts_per_visit=5)
    alerts = list(itertools.takewhile(lambda alert: alert.visit == 0, maker.alerts()))
    schema = json.loads(schema_text(version))
    rows = decoded([alert.packet for alert in alerts], "lsst")
    for alert, row in zip(alerts, rows, strict=True):
        record = decode(alert)
        body = io.BytesIO()
        fastavro.schemaless_writer(body, fastavro.parse_schema(schema), record)
        head = b"\x00" + schema_id(version).to_bytes(4, "big")
        assert alert.packet == head + body.getvalue()
        assert not list(differences(record, row))
        assert record["diaSourceId"] == record["diaSource"]["diaSourceId"] == alert.candid


@pytest.mark.parametrize("version", ["10.0", "11.0"])
def test_the_official_schema_reads_it(test_data: Path, version: Version) -> None:
    text = SchemaFolder(test_data / "schemas" / "lsst").find(schema_id(version))
    assert text is not None
    maker = LsstMaker(2, schema_version=version, alerts_per_visit=5)
    for alert in itertools.islice(maker.alerts(), 20):
        assert decode_with(text, alert.packet) == decode(alert)


def test_the_same_seed_gives_the_same_bytes_wherever_one_begins() -> None:
    def packets(seed: int, first_visit: int) -> list[bytes]:
        alerts = LsstMaker(seed, alerts_per_visit=4).alerts(first_visit)
        early = itertools.takewhile(lambda alert: alert.visit < 4, alerts)
        return [alert.packet for alert in early if alert.visit == 3]

    assert packets(1, 0) == packets(1, 3) != packets(2, 3)


def test_sizes_are_as_in_reality() -> None:
    alerts = list(itertools.islice(LsstMaker(1, alerts_per_visit=200).alerts(), 200))
    sizes = [len(alert.packet) for alert in alerts]
    assert 280_000 < np.mean(sizes) < 330_000
    assert min(sizes) > 90_000
    assert max(sizes) < 620_000


def test_no_alert_has_more_than_1200_previous_sources() -> None:
    night_four = 4 * VISITS_PER_NIGHT
    alerts = LsstMaker(1, alerts_per_visit=12).alerts(night_four)
    lengths = [len(decode(alert)["prvDiaSources"] or ()) for alert in itertools.islice(alerts, 40)]
    assert 1_000 < max(lengths) <= MOST_SOURCES
    assert min(lengths) == 0


def test_bodies_of_the_solar_system_have_no_diaobject(visits: list[MadeAlert]) -> None:
    kinds = set()
    for alert in visits:
        record = decode(alert)
        is_body = alert.kind == Kind.ASTEROID
        assert (record["diaObject"] is None) == is_body
        assert (record["ssSource"] is not None) == (record["mpc_orbits"] is not None) == is_body
        if is_body:
            assert record["diaSource"]["diaObjectId"] == 0
            assert record["ssSource"]["ssObjectId"] == record["diaSource"]["ssObjectId"] > 0
            assert record["ssSource"]["designation"] == alert.object_id
            assert record["prvDiaSources"] is record["prvDiaForcedSources"] is None
        else:
            assert str(record["diaObject"]["diaObjectId"]) == alert.object_id
            past = record["prvDiaSources"] or []
            assert record["diaObject"]["nDiaSources"] == 1 + len(past)
        kinds.add(alert.kind)
    assert {Kind.ASTEROID, Kind.RR_LYRAE, Kind.ARTEFACT} < kinds


def test_no_two_alerts_share_an_id(visits: list[MadeAlert]) -> None:
    assert len({alert.candid for alert in visits}) == len(visits)
    seen = defaultdict(set)
    for alert in visits:
        for source in decode(alert)["prvDiaSources"] or ():
            seen[source["diaSourceId"]].add(source["diaObjectId"])
    assert all(len(objects) == 1 for objects in seen.values())


def test_the_history_is_what_was_sent_before(visits: list[MadeAlert]) -> None:
    sent = {alert.candid: decode(alert) for alert in visits}
    continued = 0
    for alert in visits:
        record = sent[alert.candid]
        history = record["prvDiaSources"] or []
        times = [source["midpointMjdTai"] for source in history]
        assert times == sorted(times)
        now = record["diaSource"]["midpointMjdTai"]
        assert all(now - 366 < time < now for time in times)
        for source in history:
            assert source["snr"] > 0
            if source["diaSourceId"] in sent:
                continued += 1
                assert source == sent[source["diaSourceId"]]["diaSource"]
    assert continued > 50


def test_nothing_that_was_sent_is_missing_in_a_later_history(visits: list[MadeAlert]) -> None:
    for earlier, later in itertools.combinations(visits, 2):
        if earlier.object_id == later.object_id and later.kind != Kind.ASTEROID:
            past = {source["diaSourceId"] for source in decode(later)["prvDiaSources"]}
            assert earlier.candid in past


def test_alerts_are_where_the_telescope_looked_and_asteroids_move(visits: list[MadeAlert]) -> None:
    bodies = defaultdict(list)
    for alert in visits:
        field = field_of(alert.visit)
        centre = SkyCoord(field.ra_deg, field.dec_deg, unit="deg")
        assert SkyCoord(alert.ra_deg, alert.dec_deg, unit="deg").separation(centre).deg < 2.6
        if alert.kind == Kind.ASTEROID:
            bodies[alert.source].append(alert)
    first, *_, last = max(bodies.values(), key=len)
    apart = SkyCoord(first.ra_deg, first.dec_deg, unit="deg").separation(
        SkyCoord(last.ra_deg, last.dec_deg, unit="deg")
    )
    assert 0.2 < apart.arcsec < 30


def test_cutouts_are_uncompressed_fits_with_image_variance_and_psf(visits: list[MadeAlert]) -> None:
    for alert in visits[:20]:
        record = decode(alert)
        for name in IMAGES:
            with fits.open(io.BytesIO(record[name])) as hdus:
                assert [hdu.name for hdu in hdus] == ["PRIMARY", "UNCERT", "PSFIMAGE"]
                size = record["diaSource"]["bboxSize"]
                assert hdus[0].data.shape == hdus[1].data.shape == (size, size)
                assert hdus[0].header["CRVAL1"] == pytest.approx(alert.ra_deg, abs=1e-12)
                assert hdus[0].header["CRVAL2"] == pytest.approx(alert.dec_deg, abs=1e-12)
                assert hdus[2].data.sum() == pytest.approx(1)
                flux = hdus[0].data.sum()
            if name == "cutoutDifference" and record["diaSource"]["snr"] > 60:
                shown = -2.5 * math.log10(abs(flux) / abs(record["diaSource"]["psfFlux"]))
                assert shown == pytest.approx(0, abs=0.8)
                assert (flux < 0) == record["diaSource"]["isNegative"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"schema_version": "9.0"}, "10.0, 11.0"),
        ({"alerts_per_visit": 0}, "alerts a visit"),
        ({"seed": -1}, "negative"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        LsstMaker(**arguments)
