"""Markup for what `ui.view` worked out. Every text is escaped here, and nowhere else."""

from collections.abc import Iterable
from datetime import datetime
from html import escape

from finkray.status.archive import Snapshot
from ui.tables import Cell, Table, actors, partitions, small_tables, visits
from ui.view import AlarmCard, Banner, Figure, Reading, alarms, banner, figures, place


def head_html(reading: Reading[Snapshot], now: datetime) -> str:
    """The banner, the alarms and the large figures.

    The banner carries `data-tick`, which differs at every tick: by it the browser knows
    whether the page still hears from its server (`page.js`).
    """
    shown = banner(reading, now)
    snapshot = reading.snapshot
    if snapshot is None:
        return banner_html(shown, now, known=False)
    return (
        banner_html(shown, now, known=True)
        + "".join(alarm_html(card) for card in alarms(snapshot, now))
        + f"<div class='fr-figures'>{''.join(_figure(one) for one in figures(snapshot))}</div>"
    )


def small_tables_html(reading: Reading[Snapshot]) -> str:
    """The balance sheet, latency, dead letters and micro-batches, side by side."""
    if reading.snapshot is None:
        return ""
    shown = "".join(table_html(one) for one in small_tables(reading.snapshot))
    return f"<div class='fr-grid'>{shown}</div>"


def wide_tables_html(reading: Reading[Snapshot]) -> str:
    """The visits, the actors, the partitions, and which archive this is."""
    snapshot = reading.snapshot
    if snapshot is None:
        return ""
    facts = "".join(
        f"<span><b>{escape(name)}</b> {escape(value)}</span>" for name, value in place(snapshot)
    )
    return (
        table_html(visits(snapshot), "fr-wide fr-tall")
        + table_html(actors(snapshot), "fr-wide")
        + table_html(partitions(snapshot), "fr-wide fr-tall")
        + f"<div class='fr-place'>{facts}</div>"
    )


def banner_html(shown: Banner, now: datetime, *, known: bool) -> str:
    """The first line of a page; `data-tick` is another at each tick."""
    details = "".join(f"<span>{escape(detail)}</span>" for detail in shown.details)
    mark = f"({shown.alarms}) " if shown.alarms else ("! " if shown.level == "bad" else "")
    marks = (" fr-old" if shown.old else "") + ("" if known else " fr-nothing")
    return (
        f"<div class='fr-banner fr-{shown.level}{marks}' role='status'"
        f" data-tick='{now.timestamp():.3f}' data-title='{escape(mark)}finkray'>"
        f"<span class='fr-name'>finkray</span>"
        f"<strong>{escape(shown.headline)}</strong>{details}</div>"
    )


def alarm_html(card: AlarmCard) -> str:
    """One alarm."""
    since = f"<div class='fr-since'>since {escape(card.since)}</div>" if card.since else ""
    return (
        f"<div class='fr-alarm' role='alert'><div><strong>{escape(card.message)}</strong>"
        f"<span class='fr-code'>{escape(card.code)}</span></div>"
        f"{since}"
        f"<div class='fr-todo'>{escape(card.what_to_do)}</div></div>"
    )


def _figure(shown: Figure) -> str:
    bar = ""
    if shown.share is not None:
        width = min(100.0, max(0.0, shown.share * 100))
        bar = f"<div class='fr-bar'><i style='width:{width:.1f}%'></i></div>"
    return (
        f"<div class='fr-figure fr-{shown.level}'><div class='fr-label'>{escape(shown.label)}</div>"
        f"<div class='fr-value'>{escape(shown.value)}</div>{bar}"
        f"<div class='fr-note'>{escape(shown.note)}</div></div>"
    )


def table_html(shown: Table, classes: str = "") -> str:
    """A table with its title, or what is said in its place."""
    title = f"<h3>{escape(shown.title)}</h3>"
    if not shown.rows:
        return f"<section class='fr-table {classes}'>{title}<p>{escape(shown.empty)}</p></section>"
    head = ""
    if any(shown.columns):
        numeric = [cell.number for cell in shown.rows[0]]
        cells = (
            f"<th{_class(number=number)}>{escape(column)}</th>"
            for column, number in zip(shown.columns, numeric, strict=True)
        )
        head = f"<thead><tr>{''.join(cells)}</tr></thead>"
    body = "".join(f"<tr>{_cells(row)}</tr>" for row in shown.rows)
    note = f"<p>{escape(shown.note)}</p>" if shown.note else ""
    return (
        f"<section class='fr-table {classes}'>{title}<div class='fr-scroll'>"
        f"<table>{head}<tbody>{body}</tbody></table></div>{note}</section>"
    )


def _cells(row: Iterable[Cell]) -> str:
    return "".join(
        f"<td{_class(cell.level, number=cell.number)}>{escape(cell.text)}</td>" for cell in row
    )


def _class(level: str = "quiet", *, number: bool) -> str:
    names = [*(["fr-number"] if number else []), *([f"fr-{level}"] if level != "quiet" else [])]
    return f" class='{' '.join(names)}'" if names else ""
