from datetime import timedelta

from tests.support.classified import service
from tests.support.snapshots import NIGHT
from ui.kit.markup import alarms_html
from ui.kit.reading import STALE_AFTER_S, Reading
from ui.pages.services import SERVICE_HINT, services_banner, services_html
from ui.views.services import service_cards, services_table

NOW = NIGHT + timedelta(seconds=2)


def test_without_services_the_page_says_how_to_start_one() -> None:
    assert services_banner(Reading((), NOW), NOW).headline == SERVICE_HINT


def test_each_service_shows_its_state_and_its_cost() -> None:
    table = services_table([service()], NOW)
    heads = [column.name for column in table.columns]
    shown = dict(zip(heads, (cell.text for cell in table.rows[0]), strict=True))
    assert shown == {
        "service": "classify",
        "version": "1",
        "state": "running",
        "breaker": "closed",
        "actors": "2 of 3",
        "waiting": "4\u2009200",
        "for inputs": "0",
        "behind": "3.2 s",
        "alerts/s": "620",
        "alerts/s a core": "31\u2009000",
        "batch p99": "250 ms",
        "latency p99": "6.1 s",
        "memory": "200 MiB",
        "errors": "3",
        "results": "90\u2009000",
    }


def test_a_paused_service_is_marked_with_the_reason() -> None:
    since = {"breaker": "half_open", "breaker_since": NIGHT - timedelta(minutes=3)}
    paused = service(name="mine", spec="m:Mine", last_fault="time: 60 s", **since)
    services = (service(), paused)
    banner = services_banner(Reading(services, NOW), NOW)
    assert (banner.level, banner.headline) == ("bad", "2 services")
    assert banner.details == ("1 paused because every batch fails",)
    (card,) = service_cards(services, NOW)
    assert card.since == "2026-11-24 03:09:45 UTC (3 min 2 s)"
    assert card.message == "mine is paused: time: 60 s"
    assert "finkray service check m:Mine" in card.what_to_do
    breakers = [row[3] for row in services_table(services, NOW).rows]
    assert [(cell.text, cell.level) for cell in breakers] == [
        ("closed", "quiet"),
        ("half open", "bad"),
    ]


def test_a_long_failure_does_not_push_what_to_do_off_the_page() -> None:
    paused = service(spec="m:Mine", breaker="open", last_fault="x" * 9000)
    page = alarms_html(service_cards([paused], NOW))
    assert "finkray service check m:Mine --archive" in page
    assert "no alert is lost</div>" in page
    assert 500 < page.count("x") < 1000
    assert "x…</strong>" in page


def test_alerts_that_wait_for_results_of_others_are_marked() -> None:
    table = services_table([service(waiting_for_inputs=1200)], NOW)
    heads = [column.name for column in table.columns]
    cell = table.rows[0][heads.index("for inputs")]
    assert (cell.text, cell.level) == ("1\u2009200", "warn")


def test_an_old_snapshot_is_not_shown_as_the_state_of_now() -> None:
    old = service(NOW - timedelta(seconds=STALE_AFTER_S + 5))
    banner = services_banner(Reading((old,), NOW), NOW)
    assert (banner.details, banner.alarms) == (("1 silent",), 1)
    (card,) = service_cards([old], NOW)
    assert card.since == "2026-11-24 03:12:27 UTC (20 s)"
    assert "finkray logs classify" in card.what_to_do
    cell = services_table([old], NOW).rows[0][2]
    assert (cell.text, cell.level) == ("silent for 20 s", "bad")


def test_a_source_that_fails_is_reported() -> None:
    banner = services_banner(Reading(None, NOW, "RayError: gone"), NOW)
    assert (banner.level, banner.details) == ("bad", ("RayError: gone",))


def test_every_text_from_outside_is_escaped() -> None:
    nasty = "<script>alert('x')</script>"
    one = service(name=nasty, version=nasty, spec=nasty, breaker="open", last_fault=nasty)
    page = services_html(Reading((one,), NOW, nasty), NOW)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 6
