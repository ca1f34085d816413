"""Elements as HTML. Every text is escaped here: pages add no text of their own to markup.

Control and bidi characters are shown as escapes, as on a terminal (`finkray.text.visible_text`).
"""

import html
from collections.abc import Iterable
from typing import Final

from finkray.text import clipped, visible_text
from ui.kit.elements import AlarmCard, Banner, Bar, Cell, Column, Figure, Select, Table

MOST_CHARACTERS: Final = 300
"""Most characters of a text in a table: a name of 10 kB made a page of 14 800 pixels."""

_MESSAGE_CHARACTERS: Final = 600
"""Most characters of the message of an alarm: the advice stays on the first screen."""


def heading_html(title: str) -> str:
    """Return the invisible first heading of a page: the navigation shows its title."""
    return f"<h1 class='fr-hidden'>{escaped(title)}</h1>"


def banner_html(banner: Banner) -> str:
    """Return the first line of a page.

    It carries `data-title`, which `kit.js` writes into the title of the tab. Its headline is read
    out when it changes; the details change each second.
    """
    details = "".join(f"<span>{escaped(detail)}</span>" for detail in banner.details)
    trouble = "! " if banner.level == "bad" else ""
    mark = f"({banner.alarms}) " if banner.alarms else trouble
    old = " fr-old" if banner.old else ""
    return (
        f"<div class='fr-banner fr-{banner.level}{old}' data-title='{escaped(mark)}finkray'>"
        f"<span class='fr-name'>finkray</span>"
        f"<strong role='status'>{escaped(banner.headline)}</strong>{details}</div>"
    )


def notice_html(banner: Banner) -> str:
    """Return a banner that stands below the first line of a page."""
    details = "".join(f"<span>{escaped(detail)}</span>" for detail in banner.details)
    return (
        f"<div class='fr-notice fr-{banner.level}'>"
        f"<strong>{escaped(banner.headline)}</strong>{details}</div>"
    )


def alarms_html(cards: Iterable[AlarmCard]) -> str:
    """Return the alarm cards, one below the other."""
    return "".join(_alarm(card) for card in cards)


def figures_html(figures: Iterable[Figure]) -> str:
    """Return the large numbers, side by side."""
    return f"<div class='fr-figures'>{''.join(_figure(figure) for figure in figures)}</div>"


def facts_html(facts: Iterable[tuple[str, str]]) -> str:
    """Return pairs of a name and a value, in one line."""
    pairs = "".join(
        f"<span><b>{escaped(name)}</b> {escaped(value)}</span>" for name, value in facts
    )
    return f"<div class='fr-facts'>{pairs}</div>"


def problem_html(problem: str) -> str:
    """Return a text in place of what cannot be shown."""
    return f"<section class='fr-table'><p>{escaped(problem)}</p></section>"


def table_grid_html(tables: Iterable[Table]) -> str:
    """Return small tables, side by side."""
    return f"<div class='fr-grid'>{''.join(table_html(table) for table in tables)}</div>"


def table_html(table: Table, *, wide: bool = False, tall: bool = False) -> str:
    """Return a table with its title.

    Parameters
    ----------
    table
        The table.
    wide
        It takes the whole width of the page.
    tall
        It may have many rows and scrolls by itself.
    """
    classes = "fr-table" + (" fr-wide" if wide else "") + (" fr-tall" if tall else "")
    title = f"<h2 class='fr-caption'>{escaped(table.title)}</h2>"
    if not table.rows:
        return f"<section class='{classes}'>{title}<p>{escaped(table.empty)}</p></section>"
    head = ""
    if any(column.name for column in table.columns):
        cells = (
            f"<th scope='col'{_class_attribute(column)}>{escaped(column.name)}</th>"
            for column in table.columns
        )
        head = f"<thead><tr>{''.join(cells)}</tr></thead>"
    body = "".join(f"<tr>{_cells(table.columns, row)}</tr>" for row in table.rows)
    note = f"<p>{escaped(table.note)}</p>" if table.note else ""
    return (
        f"<section class='{classes}'>{title}"
        f"<div class='fr-scroll' tabindex='0' role='region' aria-label='{escaped(table.title)}'>"
        f"<table>{head}<tbody>{body}</tbody></table></div>{note}</section>"
    )


def bars_html(title: str, bars: Iterable[Bar]) -> str:
    """Return a chart of bars, each a link."""
    rows = "".join(_bar_row(bar) for bar in bars)
    return (
        f"<section class='fr-table'><h2 class='fr-caption'>{escaped(title)}</h2>"
        f"<div class='fr-bars'>{rows}</div></section>"
    )


def columns_html(*sections: str) -> str:
    """Return markup side by side, the first of it the widest; on a phone one below the other."""
    return f"<div class='fr-columns'>{''.join(sections)}</div>"


def choice_form_html(selects: Iterable[Select]) -> str:
    """Return select boxes in a form that opens the same page with the choice in its address."""
    boxes = "".join(_select(select) for select in selects)
    return f"<form class='fr-choice' method='get'>{boxes}<button type='submit'>show</button></form>"


def code_html(text: str) -> str:
    """Return lines for a program or a shell, which a keyboard can scroll."""
    lines = "\n".join(escaped(line) for line in text.split("\n"))
    return f"<pre tabindex='0'><code>{lines}</code></pre>"


def _alarm(card: AlarmCard) -> str:
    since = f"<div class='fr-since'>since {escaped(card.since)}</div>" if card.since else ""
    message = clipped(card.message, _MESSAGE_CHARACTERS)
    return (
        f"<div class='fr-alarm' role='alert'><div><strong>{escaped(message)}</strong>"
        f"<span class='fr-code'>{escaped(card.code)}</span></div>"
        f"{since}"
        f"<div class='fr-todo'>{escaped(card.what_to_do)}</div></div>"
    )


def _figure(figure: Figure) -> str:
    bar = ""
    if figure.share is not None:
        width = min(100.0, max(0.0, figure.share * 100))
        bar = f"<div class='fr-bar'><i style='width:{width:.1f}%'></i></div>"
    return (
        f"<div class='fr-figure fr-{figure.level}'>"
        f"<div class='fr-label'>{escaped(figure.label)}</div>"
        f"<div class='fr-value'>{escaped(figure.value)}</div>{bar}"
        f"<div class='fr-note'>{escaped(figure.note)}</div></div>"
    )


def _cells(columns: Iterable[Column], row: Iterable[Cell]) -> str:
    return "".join(
        f"<td{_class_attribute(column, cell.level)}>{_cell_text(cell)}</td>"
        for column, cell in zip(columns, row, strict=True)
    )


def _cell_text(cell: Cell) -> str:
    text = escaped(clipped(cell.text, MOST_CHARACTERS))
    if cell.image:
        size = "width='120' height='40'" if cell.is_wide else "width='48' height='48'"
        text = (
            f"<img class='{'fr-small' if cell.is_wide else 'fr-stamp'}' loading='lazy' {size} "
            f"src='{escaped(cell.image)}' alt='{text}'>"
        )
    buttons = "".join(
        f"<button type='button' class='fr-thumb' data-post='{escaped(button.post)}' "
        f"aria-label='{escaped(button.description)}'>{escaped(button.label)}</button>"
        for button in cell.buttons
    )
    note = clipped(cell.note, MOST_CHARACTERS)
    below = f"<div class='fr-below-text'>{escaped(note)}</div>" if note else ""
    return (f"<a href='{escaped(cell.href)}'>{text}</a>" if cell.href else text) + buttons + below


def _class_attribute(column: Column, level: str = "quiet") -> str:
    names = [
        *(["fr-number"] if column.number else []),
        *(["fr-prose"] if column.prose else []),
        *([f"fr-{level}"] if level != "quiet" else []),
    ]
    return f" class='{' '.join(names)}'" if names else ""


def _bar_row(bar: Bar) -> str:
    chosen = " aria-current='true'" if bar.chosen else ""
    return (
        f"<a class='fr-barrow fr-{bar.level}' href='{escaped(bar.href)}'{chosen}>"
        f"<span class='fr-barname'>{escaped(bar.name)}</span>"
        f"<span class='fr-track'><i style='width:{max(0.3, bar.width * 100):.1f}%'></i></span>"
        f"<span class='fr-number'>{escaped(bar.value)}</span>"
        f"<span class='fr-number fr-note'>{escaped(bar.share)}</span></a>"
    )


def _select(select: Select) -> str:
    options = "".join(
        f"<option value='{escaped(option.value)}'{' selected' if option.chosen else ''}>"
        f"{escaped(option.label)}</option>"
        for option in select.options
    )
    name = escaped(select.name)
    return f"<label>{name} <select name='{name}'>{options}</select></label>"


def escaped(text: str) -> str:
    """Return a text as markup that shows it, control characters as escapes."""
    return html.escape(visible_text(text))
