"""Markup for what `ui.class_view` and `ui.service_view` worked out; texts are escaped here."""

from collections.abc import Sequence
from datetime import datetime
from html import escape

from finkray.results.class_list import ClassifiedAlert
from finkray.results.counts import ClassCounts
from finkray.status.service import ServiceSnapshot
from ui.class_view import (
    PATH,
    Bar,
    Option,
    Shown,
    alerts_behind,
    bars,
    catalogs,
    class_banner,
    night_options,
    result_options,
)
from ui.html import alarm_html, banner_html, table_html
from ui.service_view import pauses, service_banner, services_table
from ui.view import Reading


def class_head_html(
    reading: Reading[tuple[ClassCounts, ...]], shown: Shown | None, now: datetime
) -> str:
    """The banner."""
    return banner_html(class_banner(reading, shown, now), now, known=True)


def choice_html(counts: Sequence[ClassCounts], shown: Shown | None) -> str:
    """What else can be shown: a plain form, so that each choice has an address of its own."""
    if shown is None:
        return ""
    results = _select("results", "results", result_options(counts, shown))
    nights = _select("night", "night", night_options(shown))
    return (
        f"<form class='fr-choice' action='{PATH}' method='get'>{nights}{results}"
        "<button type='submit'>show</button></form>"
    )


def bars_html(shown: Shown | None) -> str:
    """The bars, each a link to its list, and the catalogues beside them."""
    if shown is None:
        return ""
    drawn = "".join(_bar(one) for one in bars(shown))
    return (
        "<div class='fr-classes'><section class='fr-table'><h3>alerts by class</h3>"
        f"<div class='fr-classbars'>{drawn}</div></section>{table_html(catalogs(shown))}</div>"
    )


def list_html(shown: Shown | None, alerts: Sequence[ClassifiedAlert], problem: str) -> str:
    """The alerts behind the chosen bar; or why they cannot be read."""
    if shown is None:
        return ""
    if problem:
        return (
            f"<section class='fr-table'><p>the list cannot be read: {escape(problem)}</p></section>"
        )
    return table_html(alerts_behind(shown, alerts), "fr-wide fr-tall")


def services_html(reading: Reading[tuple[ServiceSnapshot, ...]], now: datetime) -> str:
    """The page on services."""
    services = reading.snapshot or ()
    return (
        banner_html(service_banner(reading, now), now, known=True)
        + "".join(alarm_html(card) for card in pauses(services))
        + "<div class='fr-below'></div>"
        + table_html(services_table(services, now), "fr-wide")
    )


def _select(name: str, label: str, options: Sequence[Option]) -> str:
    inner = "".join(
        f"<option value='{escape(one.value)}'{' selected' if one.chosen else ''}>"
        f"{escape(one.label)}</option>"
        for one in options
    )
    return f"<label>{escape(label)} <select name='{escape(name)}'>{inner}</select></label>"


def _bar(one: Bar) -> str:
    chosen = " aria-current='true'" if one.chosen else ""
    return (
        f"<a class='fr-classbar fr-{one.level}' href='{escape(one.href)}'{chosen}>"
        f"<span class='fr-classname'>{escape(one.name)}</span>"
        f"<span class='fr-track'><i style='width:{max(0.3, one.width * 100):.1f}%'></i></span>"
        f"<span class='fr-number'>{escape(one.alerts)}</span>"
        f"<span class='fr-number fr-note'>{escape(one.share)}</span></a>"
    )
