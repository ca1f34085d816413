"""Alarms in the snapshot and in the log."""

import logging
from datetime import timedelta

import pytest

from finkray.monitor.alarms import WHAT_TO_DO
from finkray.monitor.clock import Moment
from finkray.monitor.raised_alarms import KEPT, RaisedAlarms


def at(second: float, set_s: float = 0.0) -> Moment:
    return Moment(monotonic_s=second, unix_s=1_790_000_000 + second + set_s)


def test_an_alarm_keeps_its_start_time_and_ends_with_its_facts() -> None:
    raised = RaisedAlarms()
    raised.update({"STORAGE": "full"}, at(0))
    (first,) = raised.current
    raised.update({"STORAGE": "read-only", "NO_TOPIC": "^ztf_"}, at(5))
    known = {alarm.code: alarm for alarm in raised.current}
    assert known["STORAGE"].since == first.since
    assert known["STORAGE"].message == "read-only"
    assert known["STORAGE"].what_to_do == WHAT_TO_DO["STORAGE"]
    raised.update({}, at(6))
    assert raised.current == ()
    raised.update({"STORAGE": "full again"}, at(7))
    (again,) = raised.current
    assert again.since - first.since == timedelta(seconds=7)


def test_an_alarm_that_is_over_stays_in_the_history() -> None:
    raised = RaisedAlarms()
    raised.update({"STORAGE": "full"}, at(0))
    raised.update({"STORAGE": "read-only"}, at(5))
    raised.update({}, at(9))
    (past,) = raised.past
    assert (past.code, past.message) == ("STORAGE", "read-only")
    assert past.until - past.since == timedelta(seconds=9)
    for second in range(10, 10 + 4 * KEPT, 2):
        raised.update({"LEASE": f"at {second}"}, at(second))
        raised.update({}, at(second + 1))
    assert len(raised.past) == KEPT
    assert raised.past[0].message == f"at {8 + 4 * KEPT}"


def test_an_alarm_is_logged_when_it_is_raised_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    raised = RaisedAlarms()
    with caplog.at_level(logging.INFO):
        for second in range(60):
            raised.update({"STORAGE": f"full for {second} s"}, at(second))
        raised.update({}, at(60))
    assert caplog.messages == [
        "alarm STORAGE raised: full for 0 s",
        "alarm STORAGE is over, after 1 min 0 s",
    ]


@pytest.mark.parametrize("set_s", [-3600.0, 3600.0])
def test_an_alarm_lasts_as_long_as_it_does_while_the_clock_is_set(
    set_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    raised = RaisedAlarms()
    with caplog.at_level(logging.INFO):
        raised.update({"CLOCK": "jumped"}, at(0))
        raised.update({"CLOCK": "jumped"}, at(30, set_s))
        (alarm,) = raised.current
        raised.update({}, at(60, set_s))
    assert caplog.messages[-1] == "alarm CLOCK is over, after 1 min 0 s"
    (past,) = raised.past
    now_s = at(60, set_s).unix_s
    assert alarm.since.timestamp() == min(1_790_000_000, now_s - 60)
    assert past.since == alarm.since
    assert past.until.timestamp() == now_s
