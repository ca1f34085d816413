"""Alarms follow from facts: each code has facts that raise it, and ends with them."""

from dataclasses import replace

import pytest

from finkray.claim import Claim, ClaimResult, Gap, TopicPartition
from finkray.kafka.errors import HELP
from finkray.monitor.alarm_rules import (
    RESTARTS_PER_H,
    SLOW_START_S,
    STALLED_S,
    DriverTroubles,
    Facts,
    alarms_of,
)
from finkray.monitor.alarms import MOST_URGENT_FIRST, WHAT_TO_DO
from tests.support.alarm_facts import FACTS, NOW_S, lags, restarted

WELL = {
    "other dead letters": Facts(dead_letters_by_reason={"truncated": 5}),
    "a disk without a bound": Facts(free_bytes=None, low_disk_bytes=2**31),
    "a disk with room": Facts(free_bytes=2**31, low_disk_bytes=2**31),
    "ordinary back-pressure": Facts(stalled_s={"ingest-0": STALLED_S - 1}),
    "a lease that missed a beat": Facts(lease_silent_s=14.0, lease_ttl_s=15.0),
    "a start that takes its time": Facts(starting_s=SLOW_START_S - 1),
    "a restart or two": Facts(troubles=restarted(RESTARTS_PER_H - 1), monotonic_s=NOW_S),
    "restarts of yesterday": Facts(troubles=restarted(9), monotonic_s=NOW_S + 3601),
    "clocks that differ by a second": Facts(polled_p50_s=-1.0),
    "a backlog that is worked off": lags(90_000, 70_000, 50_000, 30_000, 10_000),
    "a backlog that stays": lags(*[90_000] * 5),
    "visits": lags(*[0] * 5, burst=10_000),
    "a lag that grows, but is small": lags(0, 10, 20, 30, 40),
    "a start with a growing lag": lags(10_000, 20_000, 30_000),
}


def test_every_alarm_has_facts_that_raise_it() -> None:
    assert FACTS.keys() == WHAT_TO_DO.keys()
    assert sorted(MOST_URGENT_FIRST) == sorted(WHAT_TO_DO)


@pytest.mark.parametrize("what", WELL)
def test_no_alarm_is_raised_without_a_trouble(what: str) -> None:
    assert alarms_of(WELL[what]) == {}


@pytest.mark.parametrize("code", FACTS)
def test_the_facts_of_an_alarm_raise_no_other_one(code: str) -> None:
    raised = alarms_of(FACTS[code])
    assert set(raised) == {code}
    assert raised[code]


def test_a_trouble_that_one_actors_kafka_client_reports_is_an_alarm() -> None:
    told = {"ingest-1": "t[3]: not authorized", "ingest-0": "t[0]: not authorized"}
    raised = alarms_of(Facts(actor_troubles=told))
    assert raised == {
        "KAFKA_UNREACHABLE": "ingest-0: t[0]: not authorized; ingest-1: t[3]: not authorized"
    }


def test_a_record_batch_that_cannot_be_read_now_is_named_beside_those_skipped() -> None:
    now = {"ingest-0": "t[1]: the record batch at offset 7 cannot be read"}
    assert alarms_of(Facts(actor_unreadable=now)) == {
        "UNREADABLE": "ingest-0: t[1]: the record batch at offset 7 cannot be read"
    }
    troubles = DriverTroubles(unreadable=64, last_unreadable="t[0] 5-68")
    message = alarms_of(Facts(troubles=troubles, actor_unreadable=now))["UNREADABLE"]
    assert message.startswith("ingest-0: t[1]: ")
    assert message.endswith("; 64 offsets skipped since the archive started; the last: t[0] 5-68")


def test_a_growing_lag_is_told_from_the_bursts_of_visits() -> None:
    assert alarms_of(lags(0, 5_000, 10_000, 15_000, 20_000, burst=10_000)) == {
        "LAG_GROWS": "from 0 to 20000 alerts within 10 min, and never less"
    }


def test_a_full_disk_raises_one_alarm_and_not_also_intake_stopped() -> None:
    stopped = replace(FACTS["INTAKE_STOPPED"], troubles=DriverTroubles(storage="the disk is full"))
    assert set(alarms_of(stopped)) == {"STORAGE"}


def test_alerts_from_the_future_raise_the_clock_alarm() -> None:
    assert alarms_of(Facts(polled_p50_s=-30.0)) == {
        "CLOCK": "alerts have times that are 30 s ahead of this machine's clock"
    }


def test_restarts_are_remembered_for_an_hour_and_no_longer() -> None:
    troubles = DriverTroubles()
    for minute in range(1000):
        troubles.add_restart("the streaming query", 60.0 * minute)
    assert len(troubles.restarts) == 61


def test_the_schemas_that_packets_wait_for_are_named() -> None:
    troubles = DriverTroubles()
    waiting = {"unknown_schema": 3}

    def message() -> str:
        facts = Facts(troubles=troubles, dead_letters_by_reason=waiting)
        return alarms_of(facts)["UNKNOWN_SCHEMA"]

    assert message() == "3 packets are dead letters: no schema source knows their schema"
    troubles.add_unknown_schemas([1101])
    troubles.add_unknown_schemas([900, 1101])
    assert message().endswith("no schema source knows their schema (900, 1101)")
    for number in range(10_000):
        troubles.add_unknown_schemas([number])
    assert message().endswith("(0, 1, 2, 3, 4, 5, 6, 7 and 56 more)")
    # Resolved letters do not count, whatever was met before.
    assert alarms_of(Facts(troubles=troubles)) == {}


def test_committed_claims_are_counted_for_alarms() -> None:
    claim = Claim(TopicPartition("cluster", "t", "id", 0), 12, 19)
    troubles = DriverTroubles()
    troubles.add_committed(ClaimResult(claim, (), (), (("truncated", 4),), ()))
    assert alarms_of(Facts(troubles=troubles)) == {}

    gaps = (Gap("expired", 12, 13), Gap("not_delivered", 14, 14))
    for _ in range(2):
        troubles.add_committed(ClaimResult(claim, (), (), (("other_columns", 5),), gaps))

    alarms = alarms_of(Facts(troubles=troubles))
    assert alarms["EXPIRED"] == f"4 offsets since the archive started; the last: {claim}"
    assert alarms["OTHER_COLUMNS"].startswith("10 packets since the archive started")
    assert alarms["OTHER_COLUMNS"].endswith(str(claim))


def test_an_outage_of_kafka_keeps_its_first_reason_until_kafka_answers() -> None:
    troubles = DriverTroubles()
    troubles.add_discovery("connection refused", answered=False)
    troubles.add_discovery("timed out after 2004 ms", answered=False)
    assert troubles.kafka == "connection refused"
    login = HELP["_AUTHENTICATION"]
    troubles.add_discovery(login, answered=False)
    assert troubles.kafka == login, "what a person can act on is shown at once"
    troubles.add_discovery("2 partitions have no leader", answered=True)
    assert troubles.kafka == "2 partitions have no leader"
    troubles.add_discovery("timed out", answered=False)
    assert troubles.kafka == "timed out"
    troubles.add_discovery("", answered=True)
    assert troubles.kafka == ""
