from datetime import timedelta

import pytest

from finkray.status.archive import Alarm, BalanceSheet, Snapshot
from tests.support.snapshots import MIB, NIGHT, busy_night
from ui import tables, view
from ui.html import head_html, small_tables_html, wide_tables_html
from ui.view import STALE_AFTER_S, START_HINT, Banner, Reading

NOW = NIGHT + timedelta(seconds=2)
FULL = Alarm(
    code="storage-full",
    since=NIGHT - timedelta(minutes=3),
    message="The disk is full",
    what_to_do="Make room",
)


def banner_of(snapshot: Snapshot | None, **reading: object) -> Banner:
    facts = {"snapshot": snapshot, "read_at": NOW} | reading
    return view.banner(Reading(**facts), NOW)  # type: ignore[arg-type]


def test_without_an_archive_the_page_says_how_to_start_one() -> None:
    assert banner_of(None) == Banner("quiet", START_HINT)
    assert START_HINT in head_html(Reading(None, NOW), NOW)
    assert small_tables_html(Reading(None, NOW)) == wide_tables_html(Reading(None, NOW)) == ""


def test_a_running_archive_says_since_when_and_as_of_when() -> None:
    shown = banner_of(busy_night())
    assert (shown.level, shown.headline, shown.old) == ("good", "running", False)
    assert shown.details == (
        "since 2026-11-23 23:00:45 UTC (4 h 12 min)",
        "as of 2026-11-24 03:12:45 UTC",
    )


def test_an_old_snapshot_is_not_shown_as_the_state_of_now() -> None:
    at = NOW - timedelta(seconds=STALE_AFTER_S + 45)
    shown = banner_of(busy_night(at))
    assert (shown.level, shown.old) == ("bad", True)
    assert shown.headline == "no word from the archive for 1 min 0 s"
    assert "last word: running, 2026-11-24 03:11:47 UTC, 1 min 0 s ago" in shown.details


def test_a_snapshot_is_not_old_before_its_time() -> None:
    assert not banner_of(busy_night(NOW - timedelta(seconds=STALE_AFTER_S))).old


def test_a_stopped_archive_is_no_alarm_but_its_last_word_and_how_to_start_it() -> None:
    shown = banner_of(busy_night(NOW - timedelta(hours=3), state="stopped"))
    assert (shown.level, shown.headline, shown.old) == ("quiet", START_HINT, True)
    assert shown.details[0].startswith("last word: stopped, ")


def test_a_failed_archive_stays_failed_however_old_the_news() -> None:
    shown = banner_of(busy_night(NOW - timedelta(hours=3), state="failed"))
    assert (shown.level, shown.headline) == ("bad", "failed")


@pytest.mark.parametrize("state", ["starting", "draining"])
def test_a_passing_state_is_marked(state: str) -> None:
    assert banner_of(busy_night(state=state)).level == "warn"


def test_a_source_that_fails_or_hangs_is_said_to() -> None:
    failed = banner_of(busy_night(), problem="OSError: no route to host")
    assert (failed.level, failed.old) == ("bad", True)
    assert failed.details[0] == "OSError: no route to host"
    silent = banner_of(busy_night(), read_at=NOW - timedelta(minutes=2))
    assert (silent.level, silent.headline, silent.old) == ("bad", "no answer for 2 min 0 s", True)


def test_alarms_turn_the_page_red_and_stand_oldest_first() -> None:
    later = FULL.model_copy(update={"code": "later", "since": NIGHT})
    snapshot = busy_night(alarms=(later, FULL))
    assert banner_of(snapshot).headline == "running, 2 alarms"
    assert banner_of(snapshot).level == "bad"
    cards = view.alarms(snapshot, NIGHT)
    assert [card.code for card in cards] == ["storage-full", "later"]
    assert cards[0].since == "2026-11-24 03:09:45 UTC (3 min 0 s)"
    page = head_html(Reading(snapshot, NOW), NOW)
    assert page.index("The disk is full") < page.index("fr-figures")
    assert "Make room" in page
    assert "data-title='(2) finkray'" in page


def test_the_difference_is_good_at_zero_and_bad_on_either_side() -> None:
    def levels(archived: int) -> tuple[str, str, str]:
        sheet = BalanceSheet(received=100, archived=archived, dead_lettered=3)
        snapshot = busy_night(balance=sheet)
        figure, row = view.figures(snapshot)[-1], tables.balance(snapshot).rows[-1]
        assert row[0].text == figure.label == "difference"
        assert row[1].text == figure.value
        return figure.level, row[1].level, figure.value

    assert levels(97) == ("good", "good", "0")
    assert levels(90) == ("bad", "bad", "7")
    assert levels(99) == ("bad", "bad", "-2")


def test_both_curves_have_every_point_of_the_history() -> None:
    snapshot = busy_night()
    frame = view.curves(snapshot)
    assert frame.groupby("curve").size().to_dict() == {"incoming": 241, "archiving": 241}
    assert frame["minutes"].min() == -20
    assert frame["minutes"].max() == 0
    incoming = frame[frame["curve"] == "incoming"]["alerts_per_s"].to_list()
    assert incoming == [point.incoming_per_s for point in snapshot.history]


def test_both_curves_are_named_before_there_is_a_history() -> None:
    for snapshot in (None, busy_night(history=())):
        frame = view.curves(snapshot)
        assert frame["curve"].to_list() == ["incoming", "archiving"]
        assert frame["alerts_per_s"].isna().all()


def test_the_bound_on_held_bytes_is_marked_before_it_is_reached() -> None:
    held = view.figures(busy_night(held_bytes=500 * MIB))[4]
    assert (held.level, held.share) == ("warn", pytest.approx(500 / 512))
    assert view.figures(busy_night(held_bytes_limit=0))[4].share == 0


def test_every_text_from_outside_is_escaped() -> None:
    nasty = "<script>alert('x')</script>"
    alarm = Alarm(code=nasty, since=NIGHT, message=nasty, what_to_do=nasty)
    plain = busy_night()
    reading = Reading(
        busy_night(
            archive_uri=nasty,
            bootstrap_servers=nasty,
            alarms=(alarm,),
            dead_letters_by_reason={nasty: 1},
            actors=(plain.actors[0].model_copy(update={"name": nasty, "node_id": nasty}),),
            partitions=(plain.partitions[0].model_copy(update={"topic": nasty, "actor": nasty}),),
        ),
        NOW,
        problem=nasty,
    )
    page = head_html(reading, NOW) + small_tables_html(reading) + wide_tables_html(reading)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 11
