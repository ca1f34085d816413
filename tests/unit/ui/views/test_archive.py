from datetime import timedelta

import pytest

from finkray.status.archive import Alarm, BalanceSheet, Snapshot
from tests.support.snapshots import MIB, NIGHT, busy_night
from ui.kit.elements import Banner
from ui.kit.reading import STALE_AFTER_S, Reading
from ui.views.archive import START_HINT, alarm_cards, archive_banner, figures
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
