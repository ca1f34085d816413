"""Poison of each kind is refused by the archive's decoder, for the reason that it is made for."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.lsst.alerts import LsstMaker
from sim.player.poison import KINDS, oversized, poisoned
from sim.ztf.alerts import ZtfMaker
from tests.support.examples import examples
from tests.support.simulated import MAX_MESSAGE_BYTES, decode_all, decoded

ZTF = [
    next(ZtfMaker(1, schema_version=version, alerts_per_visit=5).alerts()).packet
    for version in ("3.3", "4.02")
]
LSST = [
    next(LsstMaker(1, schema_version=version, alerts_per_visit=5).alerts()).packet
    for version in ("10.0", "11.0")
]
STREAMS = {"ztf": (ZTF, LSST[0]), "lsst": (LSST, ZTF[0])}


@settings(max_examples=examples(25))
@given(
    survey=st.sampled_from(list(STREAMS)),
    newer=st.booleans(),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32),
)
def test_poison_is_refused_and_does_no_harm_to_its_neighbours(
    survey: str, newer: bool, kind: str, seed: int
) -> None:
    packets, other = STREAMS[survey]
    good = packets[newer]
    poison = poisoned(kind, good, other, random.Random(seed))
    assert poison.data != good
    found = decode_all([good, poison.data, good], survey)
    [reject] = found.rejects
    assert (reject.index, reject.reason in poison.reasons) == (1, True), reject
    assert [table.rows.tolist() for table in found.tables] == [[0, 2]]


@pytest.mark.parametrize("survey", list(STREAMS))
def test_there_is_poison_of_every_kind(survey: str) -> None:
    assert set(KINDS) == {
        "truncated",
        "wrong_sync",
        "wrong_union",
        "empty",
        "tombstone",
        "text",
        "other_survey",
        "declared_size",
        "deflate_bomb",
    }
    [*packets], other = STREAMS[survey]
    made = [poisoned(kind, packets[0], other, random.Random(1)) for kind in KINDS]
    assert len({poison.data for poison in made}) == len(KINDS)
    reasons = [reject.reason for reject in decode_all([p.data for p in made], survey).rejects]
    expected = {"bad_record", "empty", "tombstone", "not_avro", "other_survey", "too_large"}
    assert expected <= set(reasons)


@pytest.mark.parametrize("packet", [*ZTF, *LSST])
def test_an_oversized_alert_is_a_good_alert_that_is_too_large(packet: bytes) -> None:
    survey = "ztf" if packet in ZTF else "lsst"
    large = oversized(packet, MAX_MESSAGE_BYTES)
    assert MAX_MESSAGE_BYTES < len(large) < MAX_MESSAGE_BYTES + len(packet) + 100
    [reject] = decode_all([large], survey).rejects
    assert reject.reason == "too_large"
    larger = oversized(packet, 100_000)
    [one], [other] = decoded([packet], survey), decoded([larger], survey)
    assert {name for name in one if one[name] != other[name]} == {
        "cutoutDifference" if survey == "ztf" else "cutoutTemplate"
    }


def test_every_alert_of_both_surveys_is_read() -> None:
    for maker, survey in (
        (ZtfMaker(4, alerts_per_visit=10), "ztf"),
        (LsstMaker(4, alerts_per_visit=10), "lsst"),
    ):
        alerts = list(itertools.islice(maker.alerts(), 30))
        rows = decoded([alert.packet for alert in alerts], survey)
        name = "candid" if survey == "ztf" else "diaSourceId"
        assert [row[name] for row in rows] == [alert.candid for alert in alerts]
