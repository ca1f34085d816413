import io

from rich.console import Console, RenderableType

from ui.kit.elements import AlarmCard, Banner, Cell, Column, Figure, Table
from ui.kit.markup import table_html
from ui.kit.terminal import alarm_text, banner_text, facts_text, figures_text, table_text

TABLE = Table(
    "letters",
    (Column("reason"), Column("count", number=True), Column("pid", detail=True)),
    (
        (Cell("[bold]union[/]"), Cell("14", "bad"), Cell("4711")),
        (Cell("b"), Cell("3"), Cell("12")),
    ),
    "none",
    "of the last night",
)


def printed(renderable: RenderableType, width: int = 80, *, terminal: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=terminal or None, highlight=False
    )
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_table_has_title_head_aligned_numbers_and_note() -> None:
    assert [line.rstrip() for line in printed(table_text(TABLE)).splitlines()] == [
        "letters",
        "reason          count",
        "[bold]union[/]     14",
        "b                   3",
        "of the last night",
    ]


def test_a_table_has_the_same_texts_as_html_but_for_the_columns_of_detail() -> None:
    html = table_html(TABLE)
    text = printed(table_text(TABLE))
    for shown in ("letters", "reason", "[bold]union[/]", "14", "of the last night"):
        assert shown in html
        assert shown in text
    assert "4711" in html
    assert "4711" not in text


def test_a_table_without_rows_says_so() -> None:
    assert printed(table_text(Table("letters", TABLE.columns, (), "none"))) == "letters: none\n"
    assert printed(table_text(Table("", TABLE.columns, (), "no letters"))) == "no letters\n"


def test_levels_are_colours_on_a_terminal_and_nothing_in_a_pipe() -> None:
    assert "\x1b[1;31m   14" in printed(table_text(TABLE), terminal=True)
    assert "\x1b" not in printed(table_text(TABLE))


def test_a_long_title_is_not_folded_at_the_width_of_its_table() -> None:
    title = "a title that is much longer than the rows of its table"
    assert title in printed(table_text(Table(title, (Column("a"),), ((Cell("1"),),), "")))


def test_banner_alarm_figures_and_facts_are_lines() -> None:
    assert printed(banner_text("archive", Banner("good", "running", ("a", "b")))) == (
        "archive: running; a; b\n"
    )
    assert printed(alarm_text(AlarmCard("DISK", "3 h", "[full]", "make room"))) == (
        "ALARM DISK since 3 h: [full]\n      make room\n"
    )
    figures = printed(figures_text("now", (Figure("lag", "7", "offsets"),)))
    assert figures.split() == ["now", "lag", "7", "offsets"]
    assert printed(facts_text((("epoch", "7"),))).split() == ["epoch", "7"]
