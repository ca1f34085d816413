"""Render elements as text for a terminal, with rich.

Text is never read as rich's markup, and control characters are shown as escapes. rich leaves the
colours out if the output is not a terminal.
"""

from collections.abc import Iterable
from typing import Final

import rich.table
from rich.console import Group, RenderableType
from rich.text import Text

from finkray.text import visible_text
from ui.kit.elements import AlarmCard, Banner, Figure, Level, Table

LEVEL_STYLE: Final[dict[Level, str]] = {
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "quiet": "",
}


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
    """Return a table without its detail columns, or the text of an empty table."""
    if not table.rows:
        return Text.assemble((f"{table.title}: " if table.title else "", "bold"), table.empty)
    shown = [index for index, column in enumerate(table.columns) if not column.detail]
    grid = _grid()
    grid.show_header = any(column.name for column in table.columns)
    for index in shown:
        column = table.columns[index]
        grid.add_column(
            Text(column.name), justify="right" if column.number else "left", overflow="fold"
        )
    for row in table.rows:
        cells = (row[index] for index in shown)
        grid.add_row(*(line_text(cell.text, LEVEL_STYLE[cell.level]) for cell in cells))
    # The title is a line of its own: rich folds the title of a table at the table's width.
    title = [line_text(table.title, "bold")] if table.title else []
    note = [line_text(table.note, "dim")] if table.note else []
    return Group(*title, grid, *note)


def _grid() -> rich.table.Table:
    return rich.table.Table(box=None, show_header=False, header_style="dim", padding=(0, 2, 0, 0))
