from datetime import timedelta

import pytest

from finkray.results.counts import ClassCounts, NightCounts
from tests.support.classified import BEFORE, LAST, alert, counts
from tests.support.snapshots import NIGHT
from ui import class_view as view
from ui.class_html import bars_html, choice_html, class_head_html, list_html
from ui.class_view import CLASSIFY_HINT, Asked, choose
from ui.view import STALE_AFTER_S, Banner, Reading

NOW = NIGHT + timedelta(seconds=2)


ANY = Asked()


def shown(asked: Asked = ANY, *more: ClassCounts) -> view.Shown:
    found = choose([counts(), *more], asked)
    assert found is not None
    return found


def banner_of(found: view.Shown | None, problem: str | None = None, age_s: float = 0.0) -> Banner:
    read_at = NOW - timedelta(seconds=age_s)
    return view.class_banner(Reading((), read_at, problem), found, NOW)


def test_without_classes_the_page_says_how_to_start() -> None:
    assert choose([], Asked()) is None
    assert choose([counts(nights=())], Asked()) is None
    assert banner_of(None) == Banner("quiet", CLASSIFY_HINT)
    assert choice_html([], None) == bars_html(None) == list_html(None, (), "") == ""


@pytest.mark.parametrize(
    ("asked", "night", "name"),
    [
        (Asked(), LAST, "Unknown"),
        (Asked("classify/1", BEFORE, "QSO"), BEFORE, "QSO"),
        (Asked(name="RR*"), LAST, "RR*"),
        (Asked(night=BEFORE, name="RR*"), BEFORE, "QSO"),
        (Asked("gone/1", "1999-01-01", "none such"), LAST, "Unknown"),
    ],
)
def test_what_is_asked_for_is_shown_where_it_is_there_else_the_newest(
    asked: Asked, night: str, name: str
) -> None:
    found = shown(asked)
    assert (found.night.night, found.name) == (night, name)


def test_classify_stands_before_results_of_others_but_they_can_be_asked_for() -> None:
    other = counts(
        name="mine", nights=(NightCounts(night="2027-01-01", classes={"odd": 1}, hours=("2027",)),)
    )
    assert shown(Asked(), other).counts.name == "classify"
    assert shown(Asked("mine/1"), other).name == "odd"
    options = view.result_options([counts(), other], shown(Asked(), other))
    assert [(one.value, one.chosen) for one in options] == [("classify/1", True), ("mine/1", False)]


def test_a_night_in_the_far_future_is_not_taken_for_the_newest() -> None:
    absurd = NightCounts(night="2106-02-07", classes={"QSO": 1}, hours=("2026-11-24T01",))
    found = choose([counts(nights=(absurd, *counts().nights))], ANY)
    assert found is not None
    assert found.night.night == LAST


def test_the_address_of_what_is_shown_shows_it_again() -> None:
    found = shown(Asked(night=LAST, name="Solar System"))
    assert found.asked.href == (
        "/classification?results=classify%2F1&night=2026-11-24&class=Solar+System"
    )


def test_each_class_has_a_bar_in_proportion_and_a_link_to_its_list() -> None:
    bars = view.bars(shown(Asked(name="RR*")))
    assert [bar.name for bar in bars][:3] == ["Unknown", "Solar System", "RR*"]
    assert [bar.width for bar in bars][:2] == [1.0, pytest.approx(1500 / 7000)]
    assert (bars[0].alerts, bars[0].share) == ("7\u2009000", "70 %")
    assert [bar.chosen for bar in bars] == [False, False, True, False, False]
    assert {bar.name: bar.level for bar in bars} == {
        "Unknown": "quiet",
        "Solar System": "good",
        "RR*": "good",
        "not checked": "warn",
        "<b>&": "good",
    }


def test_the_share_that_was_not_checked_is_said_first() -> None:
    found = banner_of(shown())
    assert (found.level, found.headline) == ("warn", "the night of 2026-11-24")
    assert found.details == (
        "classify 1",
        "10\u2009000 alerts",
        "6.0 % not checked",
        "counted up to 2026-11-24 03:12:45 UTC",
    )
    good = banner_of(shown(Asked(night=BEFORE)))
    assert (good.level, good.details[2]) == ("good", "all checked")


def test_that_there_was_no_catalogue_is_said() -> None:
    night = NightCounts(night=LAST, classes={"not checked": 5, "error": 1})
    found = choose([counts(nights=(night,))], Asked())
    shown_banner = banner_of(found)
    assert shown_banner.level == "bad"
    assert "no catalogue that tells types was there" in shown_banner.details
    assert "1 errors" in shown_banner.details


def test_a_source_that_fails_or_hangs_is_said_to() -> None:
    failed = banner_of(shown(), "StorageError: no such folder")
    assert (failed.level, failed.details, failed.old) == (
        "bad",
        ("StorageError: no such folder",),
        True,
    )
    assert banner_of(shown(), age_s=STALE_AFTER_S + 5).headline == "no answer for 20 s"


def test_the_versions_of_the_catalogues_stand_beside_the_bars() -> None:
    (row,) = view.catalogs(shown()).rows
    assert [cell.text for cell in row] == ["gcvs", "2022-06", "905", "8\u2009500", "595"]
    assert row[4].level == "warn"
    assert view.catalogs(shown(Asked(night=BEFORE))).rows == ()


def test_the_list_names_alert_object_time_and_rule() -> None:
    table = view.alerts_behind(shown(Asked(name="RR*")), [alert(7)])
    assert table.title == "the newest of 900 alerts: RR*"
    assert [cell.text for cell in table.rows[0]] == [
        "3200000000000000007",
        "ZTF260000007",
        "2026-11-24 03:12:38 UTC",
        "RRAB in gcvs 2022-06, 0.37 arcsec away",
        "ztf_20261124_programid1",
    ]


def test_every_text_from_outside_is_escaped() -> None:
    nasty = "<script>alert('x')</script>"
    night = NightCounts(night=nasty, classes={nasty: 1}, hours=())
    bad = counts(name=nasty, version=nasty, nights=(night,))
    found = choose([bad], Asked())
    page = (
        class_head_html(Reading((bad,), NOW, nasty), found, NOW)
        + choice_html([bad], found)
        + bars_html(found)
        + list_html(found, [alert(1, nasty)], "")
        + list_html(found, [], nasty)
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 7
