from datetime import timedelta

import pytest

from finkray.status.archive import Alarm, BalanceSheet, Snapshot
from tests.support.snapshots import MIB, NIGHT, busy_night
from ui.kit.elements import Banner
from ui.kit.reading import STALE_AFTER_S, Reading
from ui.views.archive import (
    START_HINT,
    alarm_cards,
    archive_banner,
    figures,
    last_visit_banner,
)
from ui.views.archive_tables import balance_table

NOW = NIGHT + timedelta(seconds=2)
FULL = Alarm(
    code="storage-full",
    since=NIGHT - timedelta(minutes=3),
    message="The disk is full",
    what_to_do="Make room",
)


def banner_of(snapshot: Snapshot | None, **reading: object) -> Banner:
    facts = {"value": snapshot, "read_at": NOW} | reading
    return archive_banner(Reading(**facts), NOW)  # type: ignore[arg-type]


def test_without_an_archive_the_page_says_how_to_start_one() -> None:
    assert banner_of(None) == Banner("quiet", START_HINT)


def test_a_running_archive_says_since_when_and_as_of_when() -> None:
    shown = banner_of(busy_night())
    assert (shown.level, shown.headline, shown.old) == ("good", "running", False)
    assert shown.details == (
        "since 2026-11-23 23:00:45 UTC (4 h 12 min)",
        "as of 2026-11-24 03:12:45 UTC (2.0 s ago)",
    )


def test_an_old_snapshot_is_not_shown_as_the_state_of_now() -> None:
    at = NOW - timedelta(seconds=STALE_AFTER_S + 45)
    shown = banner_of(busy_night(at))
    assert (shown.level, shown.old) == ("bad", True)
    assert shown.headline == "no report from the archive for 1 min 0 s"
    assert "last report: running, 2026-11-24 03:11:47 UTC, 1 min 0 s ago" in shown.details


def test_a_snapshot_is_not_old_before_its_time() -> None:
    assert not banner_of(busy_night(NOW - timedelta(seconds=STALE_AFTER_S))).old


def test_a_stopped_archive_is_no_alarm_and_the_banner_says_how_to_start_it() -> None:
    shown = banner_of(busy_night(NOW - timedelta(hours=3), state="stopped"))
    assert (shown.level, shown.headline, shown.old) == ("quiet", START_HINT, True)
    assert shown.details[0].startswith("last report: stopped, ")


def test_a_failed_archive_stays_failed_however_old_its_snapshot_is() -> None:
    shown = banner_of(busy_night(NOW - timedelta(hours=3), state="failed"))
    assert (shown.level, shown.headline) == ("bad", "failed")


@pytest.mark.parametrize("state", ["starting", "draining"])
def test_a_transient_state_is_marked(state: str) -> None:
    assert banner_of(busy_night(state=state)).level == "warn"


def test_a_source_that_fails_or_hangs_is_reported() -> None:
    failed = banner_of(busy_night(), problem="OSError: no route to host")
    assert (failed.level, failed.old) == ("bad", True)
    assert failed.details[0] == "OSError: no route to host"
    silent = banner_of(busy_night(), read_at=NOW - timedelta(minutes=2))
    assert (silent.level, silent.headline, silent.old) == ("bad", "no answer for 2 min 0 s", True)


def test_alarms_turn_the_banner_red_and_are_listed_oldest_first() -> None:
    later = FULL.model_copy(update={"code": "later", "since": NIGHT})
    snapshot = busy_night(alarms=(later, FULL))
    assert banner_of(snapshot).headline == "running, 2 alarms"
    assert banner_of(snapshot).level == "bad"
    cards = alarm_cards(snapshot, NIGHT)
    assert [card.code for card in cards] == ["storage-full", "later"]
    assert cards[0].since == "2026-11-24 03:09:45 UTC (3 min 0 s)"


def test_the_most_urgent_alarm_comes_first_however_new_it_is() -> None:
    codes = ["of a later release", "OTHER_COLUMNS", "RESTARTS", "LAG_GROWS", "LEASE", "STORAGE"]
    alarms = tuple(
        FULL.model_copy(update={"code": code, "since": NIGHT + timedelta(minutes=number)})
        for number, code in enumerate(codes)
    )
    shown = [card.code for card in alarm_cards(busy_night(alarms=alarms), NIGHT)]
    assert shown == ["STORAGE", "LEASE", "LAG_GROWS", "OTHER_COLUMNS", "RESTARTS", codes[0]]


def test_the_difference_is_good_at_zero_and_bad_on_either_side() -> None:
    def levels(archived: int) -> tuple[str, str, str]:
        sheet = BalanceSheet(received=100, archived=archived, dead_lettered=3)
        snapshot = busy_night(balance=sheet)
        figure, row = figures(snapshot)[-1], balance_table(snapshot.balance).rows[-2]
        assert row[0].text == figure.label == "difference"
        assert row[1].text == figure.value
        return figure.level, row[1].level, figure.value

    assert levels(97) == ("good", "good", "0")
    assert levels(90) == ("bad", "bad", "7")
    assert levels(99) == ("bad", "bad", "-2")


def test_the_bound_on_held_bytes_is_marked_before_it_is_reached() -> None:
    held = figures(busy_night(held_bytes=500 * MIB))[4]
    assert (held.level, held.share) == ("warn", pytest.approx(500 / 512))
    assert figures(busy_night(held_bytes_limit=0))[4].share == 0


def test_what_kafka_has_is_unknown_and_not_0_while_it_does_not_answer() -> None:
    away = Alarm(code="KAFKA_UNREACHABLE", since=NIGHT, message="no broker", what_to_do="look")
    snapshot = busy_night(alarms=(away,), lag=0)
    shown = {figure.label: figure for figure in figures(snapshot)}
    for name in ("lag", "difference"):
        assert (shown[name].value, shown[name].level) == ("unknown", "warn")
        assert shown[name].note.startswith("since 2026-11-24 03:12:45 UTC")
    rows = {row[0].text: row[1] for row in balance_table(snapshot.balance, kafka_away=True).rows}
    assert rows["waiting in Kafka"].text == rows["difference"].text == "unknown"
    # A loss stays one, whether Kafka answers or not.
    lost = busy_night(alarms=(away,), balance=BalanceSheet(received=10, archived=7))
    assert figures(lost)[-1].value == "3"


def test_what_was_never_read_is_unknown() -> None:
    ends = tuple(each.model_copy(update={"high_watermark": -1}) for each in busy_night().partitions)
    snapshot = busy_night(partitions=ends, lag=0, balance=BalanceSheet(), latency=())
    shown = {figure.label: figure.value for figure in figures(snapshot)}
    assert {shown[name] for name in ("lag", "difference", "latency, p95")} == {"unknown"}
    assert figures(busy_night())[2].value == "≥ 2\u2009000"  # one of eight is unknown


def test_the_last_visit_is_held_against_the_line_of_a_minute() -> None:
    def shown(**changes: object) -> Banner:
        visit = busy_night().visits[0].model_copy(update=changes)
        banner = last_visit_banner(busy_night(visits=(visit,)), NOW)
        assert banner is not None
        return banner

    assert shown().level == "warn"
    assert "412 of its alerts are not durable yet" in shown().details
    assert shown(waiting=0, durable_s=3.1).level == "good"
    slow = shown(waiting=0, durable_s=75.0)
    assert (slow.level, slow.headline) == ("bad", "last visit: lsst 2026112400512")
    assert slow.details[-1] == "durable 1 min 15 s after it, beyond the line of 60 s"
    assert last_visit_banner(busy_night(visits=()), NOW) is None
