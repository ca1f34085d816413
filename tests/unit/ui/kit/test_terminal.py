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


def test_what_a_narrow_terminal_shows_is_neither_cut_nor_folded_within_a_word() -> None:
    topics = [f"ztf_20261124_programid{number}" for number in (1, 2)]
    columns = (Column("topic"), Column("lag", number=True), Column("actor"))
    rows = tuple((Cell(topic), Cell("150 003", "bad"), Cell("ingest-0")) for topic in topics)
    table = table_text(Table("partitions", columns, rows, "none"))
    for width in (60, 44, 43, 42, 41, 35):
        words = printed(table, width).split()
        assert [word for word in words if word in topics] == topics, width
        assert words.count("ingest-0") == 2
    assert printed(table, 60).splitlines()[1].split() == ["topic", "lag", "actor"]
    assert printed(table, 35).splitlines()[1:3] == [
        "- topic ztf_20261124_programid1 ·  ",
        "  lag 150 003 · actor ingest-0     ",
    ]


def test_a_column_of_prose_is_folded_before_the_others() -> None:
    columns = (Column("reason"), Column("detail", prose=True))
    detail = "the record ends 17 bytes before its field"
    table = table_text(Table("", columns, ((Cell("bad_record"), Cell(detail)),), "none"))
    first, *others = printed(table, 30).splitlines()[1:]
    assert first.startswith("bad_record  the record ends")
    assert " ".join([first.split("  ", 1)[1], *others]).split() == detail.split()
