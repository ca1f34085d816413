"""Render elements as text for a terminal, with rich.

Text is never read as rich's markup, and control characters are shown as escapes. rich leaves the
colours out if the output is not a terminal.
"""

from collections.abc import Iterable
from typing import Final

import rich.table
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.text import Text

from finkray.text import visible_text
from ui.kit.elements import AlarmCard, Banner, Cell, Figure, Level, Table

LEVEL_STYLE: Final[dict[Level, str]] = {
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "quiet": "",
}

_UNBOUNDED: Final = 100_000

_LEAST_PROSE: Final = 14
"""To how few characters a line a column of long texts may be folded."""


def line_text(text: str, style: str = "") -> Text:
    """Return text on one line, in which nothing is markup or a control character."""
    return Text(visible_text(text), style)


def banner_text(name: str, banner: Banner) -> Text:
    """Return a banner as one line: the name, the headline and the details."""
    return Text.assemble(
        (f"{name}: ", "bold"),
        (visible_text(banner.headline), LEVEL_STYLE[banner.level]),
        *(f"; {visible_text(detail)}" for detail in banner.details),
    )


def alarm_text(card: AlarmCard) -> Text:
    """Return an alarm in two lines: the message, and what to do."""
    since = f" since {card.since}" if card.since else ""
    return Text.assemble(
        (f"ALARM {visible_text(card.code)}", LEVEL_STYLE["bad"]),
        f"{since}: {visible_text(card.message)}\n      {visible_text(card.what_to_do)}",
    )


def figures_text(title: str, figures: Iterable[Figure], *, short: bool = False) -> RenderableType:
    """Return a title and the figures, one per line.

    Parameters
    ----------
    title
        Empty for none.
    figures
        The figures.
    short
        Put all figures into one or two lines, and add notes only where a value is marked.
    """
    if short:
        line = Text()
        for figure in figures:
            style = LEVEL_STYLE[figure.level]
            note = f" ({figure.note})" if figure.level in ("warn", "bad") and figure.note else ""
            line.append(" · " if line else "")
            line.append(f"{visible_text(figure.label)} ")
            line.append(visible_text(figure.value), style)
            line.append(visible_text(note), "dim")
        return line
    grid = _grid()
    for figure in figures:
        value = Text(visible_text(figure.value), LEVEL_STYLE[figure.level], justify="right")
        grid.add_row(line_text(figure.label), value, line_text(figure.note))
    return Group(Text(title, "bold"), grid)


def facts_text(facts: Iterable[tuple[str, str]]) -> RenderableType:
    """Return pairs of a name and a value, one per line."""
    grid = _grid()
    for name, value in facts:
        grid.add_row(line_text(name), Text(visible_text(value), overflow="fold"))
    return grid


def table_text(table: Table) -> RenderableType:
    """Return a table without its detail columns, or the text of an empty table.

    Where the terminal is too narrow for it, each row is a paragraph with the names of its columns:
    a number or a name that is folded or cut can be neither read nor copied.
    """
    if not table.rows:
        return Text.assemble((f"{table.title}: " if table.title else "", "bold"), table.empty)
    # The title is a line of its own: rich folds the title of a table at the table's width.
    title = [line_text(table.title, "bold")] if table.title else []
    note = [line_text(table.note, "dim")] if table.note else []
    return Group(*title, _Rows(table), *note)


class _Rows:
    """The rows of a table: as a grid, with a narrower gap if need be, else as paragraphs."""

    def __init__(self, table: Table) -> None:
        columns = [n for n, column in enumerate(table.columns) if not column.detail]
        self._columns = [table.columns[n] for n in columns]
        self._rows = [[row[n] for n in columns] for row in table.rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        unbounded = options.update(width=_UNBOUNDED, max_width=_UNBOUNDED)
        for gap in (2, 1):
            least = self._table(gap, _LEAST_PROSE)
            if Measurement.get(console, unbounded, least).maximum <= options.max_width:
                yield self._table(gap, None)
                return
        paragraphs = rich.table.Table.grid(padding=(0, 1, 0, 0))
        for row in self._rows:
            paragraphs.add_row("-", self._paragraph(row))
        yield paragraphs

    def _table(self, gap: int, most_prose: int | None) -> rich.table.Table:
        grid = _grid(gap)
        grid.show_header = any(column.name for column in self._columns)
        for column in self._columns:
            grid.add_column(
                Text(column.name),
                justify="right" if column.number else "left",
                overflow="fold",
                no_wrap=not column.prose,
                max_width=most_prose if column.prose else None,
            )
        for row in self._rows:
            grid.add_row(*(line_text(cell.text, LEVEL_STYLE[cell.level]) for cell in row))
        return grid

    def _paragraph(self, row: list[Cell]) -> Text:
        said = []
        for column, cell in zip(self._columns, row, strict=True):
            if cell.text:
                value = line_text(cell.text, LEVEL_STYLE[cell.level])
                said.append(Text.assemble((f"{column.name} " if column.name else "", "dim"), value))
        return Text(" · ").join(said)


def _grid(gap: int = 2) -> rich.table.Table:
    return rich.table.Table(box=None, show_header=False, header_style="dim", padding=(0, gap, 0, 0))
