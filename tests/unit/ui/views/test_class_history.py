"""The classes of an object over time."""

from ui.kit.elements import Table
from ui.kit.markup import table_html
from ui.lookups.records import GivenClass
from ui.views.class_history import class_history_table

MJD = 61_368.25


def given(name: str, day: float | None, results: str = "classify/1") -> GivenClass:
    return GivenClass(results, name, None if day is None else MJD + day)


def texts(table: Table) -> list[tuple[str, ...]]:
    return [tuple(cell.text for cell in row) for row in table.rows]


def test_a_class_that_comes_back_has_a_row_of_its_own_the_newest_first() -> None:
    classes = [given("QSO", 3), given("Unknown", 1), given("QSO", 0), given("QSO", 4)]
    table = class_history_table(classes)
    assert [column.name for column in table.columns] == ["results", "class", "from", "to", "alerts"]
    assert texts(table) == [
        ("classify/1", "QSO", "2026-11-27 05:59:23 UTC", "2026-11-28 05:59:23 UTC", "2"),
        ("classify/1", "Unknown", "2026-11-25 05:59:23 UTC", "2026-11-25 05:59:23 UTC", "1"),
        ("classify/1", "QSO", "2026-11-24 05:59:23 UTC", "2026-11-24 05:59:23 UTC", "1"),
    ]


def test_each_version_has_a_history_of_its_own() -> None:
    classes = [given("QSO", 0, "classify/2"), given("Unknown", 0), given("QSO", 1, "classify/2")]
    assert [(row[0], row[1], row[4]) for row in texts(class_history_table(classes))] == [
        ("classify/1", "Unknown", "1"),
        ("classify/2", "QSO", "2"),
    ]


def test_a_class_without_a_name_and_an_alert_without_a_time_are_shown() -> None:
    assert texts(class_history_table([given("", None)])) == [
        ("classify/1", "(empty)", "-", "-", "1")
    ]
    assert "no service gave its alerts a class" in table_html(class_history_table([]))


def test_the_name_of_a_class_is_text_and_no_markup() -> None:
    page = table_html(class_history_table([given("<b>&", 0)]))
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page
