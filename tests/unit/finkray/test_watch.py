"""Alarms follow from facts: each code has facts that raise it, and ends with them."""

from datetime import timedelta

import pytest

from finkray.alarms import WHAT_TO_DO
from finkray.monitor import Monitor
from finkray.watch import Facts, Troubles, alarms_of

FACTS = {
    "KAFKA_UNREACHABLE": Facts(troubles=Troubles(kafka="no broker answers")),
    "NO_TOPIC": Facts(troubles=Troubles(no_topic="^ztf_")),
    "STORAGE": Facts(troubles=Troubles(storage="the disk is full")),
    "EXPIRED": Facts(troubles=Troubles(expired=8, last_expired="t[0] 12-19")),
    "ACTOR_DOWN": Facts(actors_down={"ingest-1": "it was killed"}),
    "UNKNOWN_SCHEMA": Facts(dead_letters_by_reason={"unknown_schema": 3, "truncated": 1}),
    "DIFFERENCE": Facts(difference=-2),
}


def test_nothing_is_raised_when_all_is_well() -> None:
    assert alarms_of(Facts(dead_letters_by_reason={"truncated": 5})) == {}


def test_every_alarm_has_facts_that_raise_it() -> None:
    assert FACTS.keys() == WHAT_TO_DO.keys()


@pytest.mark.parametrize("code", FACTS)
def test_these_facts_raise_this_alarm_alone(code: str) -> None:
    raised = alarms_of(FACTS[code])
    assert set(raised) == {code}
    assert raised[code]


def test_what_kafkas_client_tells_one_actor_is_an_alarm_too() -> None:
    told = {"ingest-1": "t[3]: not authorized", "ingest-0": "t[0]: not authorized"}
    raised = alarms_of(Facts(actor_troubles=told))
    assert raised == {
        "KAFKA_UNREACHABLE": "ingest-0: t[0]: not authorized; ingest-1: t[3]: not authorized"
    }


def test_an_alarm_keeps_the_time_it_began_and_ends_when_its_facts_do() -> None:
    monitor = Monitor()
    monitor.raise_alarms({"STORAGE": "full"})
    (first,) = monitor.alarms
    monitor.raise_alarms({"STORAGE": "read-only", "NO_TOPIC": "^ztf_"})
    known = {alarm.code: alarm for alarm in monitor.alarms}
    assert known["STORAGE"].since == first.since
    assert known["STORAGE"].message == "read-only"
    assert known["STORAGE"].what_to_do == WHAT_TO_DO["STORAGE"]
    monitor.raise_alarms({})
    assert monitor.alarms == ()
    monitor.raise_alarms({"STORAGE": "full again"})
    (again,) = monitor.alarms
    assert again.since - first.since > timedelta(0)
