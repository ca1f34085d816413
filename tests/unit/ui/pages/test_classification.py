from datetime import timedelta

import pytest

from finkray.results.counts import ClassCounts, NightCounts
from tests.support.classified import BEFORE, LAST, alert, counts
from tests.support.snapshots import NIGHT
from ui.kit.elements import Banner
from ui.kit.reading import STALE_AFTER_S, Reading
from ui.pages.classification import (
    CLASSIFY_HINT,
    Choice,
    Selection,
    alerts_table,
    catalogs_table,
    chart_html,
    choice_html,
    class_banner,
    class_bars,
    head_html,
    list_html,
    result_options,
    select,
)
from ui.views.classes import classes_table

NOW = NIGHT + timedelta(seconds=2)
ANY = Choice()


def shown(choice: Choice = ANY, *more: ClassCounts) -> Selection:
    found = select([counts(), *more], choice)
    assert found is not None
    return found


def banner_of(found: Selection | None, problem: str | None = None, age_s: float = 0.0) -> Banner:
    read_at = NOW - timedelta(seconds=age_s)
    return class_banner(Reading((), read_at, problem), found, NOW)


def test_without_classes_the_page_says_how_to_start() -> None:
    assert select([], Choice()) is None
    assert select([counts(nights=())], Choice()) is None
    assert banner_of(None) == Banner("quiet", CLASSIFY_HINT)
    assert choice_html([], None) == chart_html(None) == list_html(None, (), "") == ""


@pytest.mark.parametrize(
    ("choice", "night", "name"),
    [
        (Choice(), LAST, "Unknown"),
        (Choice("classify/1", BEFORE, "QSO"), BEFORE, "QSO"),
        (Choice(name="RR*"), LAST, "RR*"),
        (Choice(night=BEFORE, name="RR*"), BEFORE, "QSO"),
        (Choice("gone/1", "1999-01-01", "none such"), LAST, "Unknown"),
    ],
)
def test_what_was_chosen_is_shown_where_it_exists_else_the_newest(
    choice: Choice, night: str, name: str
) -> None:
    found = shown(choice)
    assert (found.night.night, found.name) == (night, name)


def test_classify_is_shown_before_other_results_which_can_be_chosen() -> None:
    other = counts(
        name="mine", nights=(NightCounts(night="2027-01-01", classes={"odd": 1}, hours=("2027",)),)
    )
    assert shown(Choice(), other).counts.name == "classify"
    assert shown(Choice("mine/1"), other).name == "odd"
    options = result_options([counts(), other], shown(Choice(), other))
    assert [(option.value, option.chosen) for option in options] == [
        ("classify/1", True),
        ("mine/1", False),
    ]


def test_a_night_in_the_far_future_is_not_taken_for_the_newest() -> None:
    absurd = NightCounts(night="2106-02-07", classes={"QSO": 1}, hours=("2026-11-24T01",))
    found = select([counts(nights=(absurd, *counts().nights))], ANY)
    assert found is not None
    assert found.night.night == LAST


def test_the_address_of_what_is_shown_shows_it_again() -> None:
    found = shown(Choice(night=LAST, name="Solar System"))
    assert found.choice.href == (
        "classification?results=classify%2F1&night=2026-11-24&class=Solar+System"
    )


def test_a_class_with_an_empty_name_has_a_link_of_its_own() -> None:
    night = NightCounts(night=LAST, classes={"QSO": 5, "": 3}, hours=())
    of_night = counts(nights=(night,))
    found = select([of_night], Choice(name=""))
    assert found is not None
    assert found.name == ""
    assert found.choice.href.endswith("&class=")
    assert [bar.name for bar in class_bars(found)] == ["QSO", "(empty)"]
    assert [bar.chosen for bar in class_bars(found)] == [False, True]
    assert alerts_table(found, []).title == "the newest of 3 alerts: (empty)"


def test_each_class_has_a_bar_in_proportion_and_a_link_to_its_list() -> None:
    bars = class_bars(shown(Choice(name="RR*")))
    assert [bar.name for bar in bars][:3] == ["Unknown", "Solar System", "RR*"]
    assert [bar.width for bar in bars][:2] == [1.0, pytest.approx(1500 / 7000)]
    assert (bars[0].value, bars[0].share) == ("7\u2009000", "70 %")
    assert [bar.chosen for bar in bars] == [False, False, True, False, False]
    assert {bar.name: bar.level for bar in bars} == {
        "Unknown": "quiet",
        "Solar System": "good",
        "RR*": "good",
        "not checked": "warn",
        "<b>&": "good",
    }


def test_the_banner_says_which_share_was_not_checked() -> None:
    found = banner_of(shown())
    assert (found.level, found.headline) == ("warn", "the night of 2026-11-24")
    assert found.details == (
        "classify 1",
        "10\u2009000 alerts",
        "6.0 % not checked",
        "counted up to 2026-11-24 03:12:45 UTC",
    )
    good = banner_of(shown(Choice(night=BEFORE)))
    assert (good.level, good.details[2]) == ("good", "all checked")


def test_the_banner_says_that_no_catalogue_was_loaded() -> None:
    night = NightCounts(night=LAST, classes={"not checked": 5, "error": 1})
    found = select([counts(nights=(night,))], Choice())
    shown_banner = banner_of(found)
    assert shown_banner.level == "bad"
    assert "no catalogue with object types was loaded" in shown_banner.details
    assert "1 errors" in shown_banner.details


def test_a_source_that_fails_or_hangs_is_reported() -> None:
    failed = banner_of(shown(), "StorageError: no such folder")
    assert (failed.level, failed.details, failed.old) == (
        "bad",
        ("StorageError: no such folder",),
        True,
    )
    assert banner_of(shown(), age_s=STALE_AFTER_S + 5).headline == "no answer for 20 s"


def test_the_versions_of_the_catalogues_are_listed() -> None:
    (row,) = catalogs_table(shown().night).rows
    assert [cell.text for cell in row] == ["gcvs", "2022-06", "905", "8\u2009500", "595"]
    assert row[4].level == "warn"
    assert catalogs_table(shown(Choice(night=BEFORE)).night).rows == ()


def test_the_list_names_alert_object_time_and_rule() -> None:
    table = alerts_table(shown(Choice(name="RR*")), [alert(7)])
    assert table.title == "the newest of 900 alerts: RR*"
    assert [cell.text for cell in table.rows[0]] == [
        "3200000000000000007",
        "ZTF260000007",
        "2026-11-24 03:12:38 UTC",
        "RRAB in gcvs 2022-06, 0.37 arcsec away",
        "ztf_20261124_programid1",
    ]
    assert table.rows[0][1].href == "object?id=ZTF260000007&quantity=difference"


def test_every_text_from_outside_is_escaped() -> None:
    nasty = "<script>alert('x')</script>"
    night = NightCounts(night=nasty, classes={nasty: 1}, hours=())
    bad = counts(name=nasty, version=nasty, nights=(night,))
    found = select([bad], Choice())
    page = (
        head_html(Reading((bad,), NOW, nasty), found, NOW)
        + choice_html([bad], found)
        + chart_html(found)
        + list_html(found, [alert(1, nasty)], "")
        + list_html(found, [], nasty)
    )
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 7


def test_as_a_table_classes_beyond_the_limit_share_a_row() -> None:
    table = classes_table("classes", counts().nights[0], limit=3)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["Unknown", "7\u2009000", "70 %"],
        ["Solar System", "1\u2009500", "15 %"],
        ["RR*", "900", "9.0 %"],
        ["2 more classes", "600", "6.0 %"],
    ]
