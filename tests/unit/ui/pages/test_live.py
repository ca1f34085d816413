from datetime import timedelta

from finkray.status.archive import Alarm
from finkray.status.at_rest import ArchiveAtRest
from tests.support.snapshots import NIGHT, busy_night
from ui.kit.elements import AlarmCard
from ui.kit.reading import Reading
from ui.pages.live import head_html, small_tables_html, wide_tables_html
from ui.views.archive import START_HINT

NOW = NIGHT + timedelta(seconds=2)


def test_without_a_snapshot_the_page_has_its_banner_alone() -> None:
    page = head_html(Reading(None, NOW), NOW)
    assert START_HINT in page
    assert "fr-nothing" in page
    assert small_tables_html(None) == wide_tables_html(None) == ""


def test_a_dead_archive_and_dead_jobs_are_told_with_time_and_what_to_do() -> None:
    died = ArchiveAtRest("died", NIGHT, "process 7 on host-a", NIGHT, 12_345, 6)
    card = AlarmCard("job-ended", "", "classify ended", "finkray logs classify")
    for snapshot in (None, busy_night(NIGHT - timedelta(minutes=5))):
        page = head_html(Reading(snapshot, NOW), NOW, died, (card,))
        assert "died: its process ended" in page
        assert "last claim durable 2026-11-24 03:12:45 UTC (2.0 s ago)" in page
        assert "finkray logs classify" in page
        assert "data-title='(1) finkray'" in page


def test_a_night_is_not_well_while_another_job_has_an_alarm() -> None:
    card = AlarmCard("service-paused", "", "classify is paused", "finkray service check")
    page = head_html(Reading(busy_night(), NOW), NOW, None, (card, card))
    assert "fr-banner fr-bad" in page
    assert "jobs: 2 alarms" in page
    assert "fr-banner fr-good" in head_html(Reading(busy_night(), NOW), NOW)


def test_a_folder_that_cannot_be_read_is_not_an_archive_that_waits_for_its_start() -> None:
    page = head_html(Reading(None, NOW), NOW, None, (), "StorageError: <no disk>")
    assert "its folder cannot be read" in page
    assert "StorageError: &lt;no disk&gt;" in page
    assert START_HINT not in page


def test_alarms_stand_above_the_figures_and_are_counted_in_the_title() -> None:
    full = Alarm(
        code="storage-full", since=NIGHT, message="The disk is full", what_to_do="Make room"
    )
    page = head_html(Reading(busy_night(alarms=(full, full)), NOW), NOW)
    assert page.index("The disk is full") < page.index("fr-figures")
    assert "Make room" in page
    assert "data-title='(2) finkray'" in page


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
    page = (
        head_html(reading, NOW) + small_tables_html(reading.value) + wide_tables_html(reading.value)
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 11
