"""The page for astronomers: which objects of tonight are worth a look."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from finkray.outliers.context import CONTEXTS
from finkray.surveys import SURVEYS
from finkray.text import time_text
from ui.kit.elements import Button, Cell, Column, Option, Select, Table
from ui.kit.markup import choice_form_html, problem_html, table_html
from ui.kit.offline_gradio import gr
from ui.kit.page import QUIET, Page, PageInputs
from ui.lookups.process import NOT_THERE, LookupRefused, Lookups
from ui.lookups.tonight import NIGHT, ORDERS, Order, TonightChoice, tonight
from ui.sources import CLASS_COUNTS, LOOKUPS
from ui.views.classes import counted_nights, latest_class_names, shown_class
from ui.views.object_html import ObjectChoice, cutout_href, small_curve_href

PATH: Final = "tonight"

TOP: Final = 50

STAMPS: Final = 10
"""Rows with images and light curves: each is a look-up of 0.1 s, and the browser loads those in
sight."""

_MOST_CLASSES: Final = 200

_MOST_NIGHTS: Final = 100

_ABOUT: Final[Mapping[Order, str]] = {
    "outliers": "the strangest alerts of the night, by the service outliers",
    "bright": "the newest hours, by difference magnitude; known Solar System objects are left out",
    "new": "objects with at most two detections, by difference magnitude; no Solar System objects",
    "hostless": "ZTF: no source of Pan-STARRS within 5 arcsec; no Solar System objects",
}


def list_table(
    rows: Sequence[Mapping[str, Any]], choice: TonightChoice, *, thumbs: bool = False
) -> Table:
    """Return the list, each object a link to its page; columns that no row fills are left out.

    Parameters
    ----------
    rows
        What the look-up found.
    choice
        What the address chooses.
    thumbs
        Whether the viewer may judge alerts with a score.
    """
    columns = (
        Column("rank", number=True),
        Column(
            "object, reasons" if any(row.get("reasons") for row in rows) else "object", prose=True
        ),
        Column("science"),
        Column("difference"),
        Column("light curve"),
        Column("score", number=True),
        Column("context"),
        Column("p in it", number=True),
        Column("class"),
        Column("band"),
        Column("mag", number=True),
        Column("arrived in Kafka"),
        Column("thumb"),
    )
    cells = [_row(number, row, thumbs=thumbs) for number, row in enumerate(rows, start=1)]
    filled = [
        place
        for place in range(len(columns))
        if any(row[place].text or row[place].buttons for row in cells)
    ]
    night = next((row["night"] for row in rows if row.get("night")), choice.night)
    of_night = f"{choice.order} of {night}" if night else choice.order
    listed = ", ".join(filter(None, (of_night, choice.survey, choice.context)))
    return Table(
        f"{listed}: {_ABOUT[choice.order]}",
        tuple(columns[place] for place in filled),
        tuple(tuple(row[place] for place in filled) for row in cells),
        "none in this night" if choice.night else "none in the newest hours",
        f"images and light curves: of the first {STAMPS}" if len(rows) > STAMPS else "",
    )


def _row(number: int, row: Mapping[str, Any], *, thumbs: bool) -> tuple[Cell, ...]:
    object_id = row["object_id"] or ""
    score, mag, at = row.get("score"), row.get("mag"), row.get("kafka_timestamp")
    p_context = row.get("p_context")
    return (
        Cell(str(number)),
        Cell(
            object_id or "(no object)",
            href=ObjectChoice(object_id).href() if object_id else "",
            note="; ".join(row.get("reasons") or ()),
        ),
        *_images(number, row),
        Cell("" if score is None else f"{score:.2f}"),
        Cell(row.get("context") or ""),
        Cell("" if p_context is None else f"{p_context:.2g}"),
        Cell("" if row.get("class") is None else shown_class(row["class"])),
        Cell(row.get("band") or ""),
        Cell("" if mag is None else f"{mag:.2f}"),
        Cell("" if at is None else time_text(at)),
        Cell("", buttons=_thumbs(row) if thumbs and score is not None else ()),
    )


def _thumbs(row: Mapping[str, Any]) -> tuple[Button, ...]:
    return tuple(
        Button(
            label,
            f"{meaning} {row['alert_id']}",
            f"api/v1/thumbs?{urlencode({'alert': row['alert_id'], 'action': action})}",
        )
        for label, action, meaning in (
            ("▲", "up", "more like alert"),
            ("▼", "down", "no more like alert"),
        )
    )


def _images(number: int, row: Mapping[str, Any]) -> tuple[Cell, ...]:
    names = ("science", "difference")
    if number > STAMPS or row.get("kafka_offset") is None or not row["object_id"]:
        return (*(Cell("") for _ in names), Cell(""))
    return (
        *(Cell(f"{name} image", image=cutout_href(row, name)) for name in names),
        Cell("light curve", image=small_curve_href(row["object_id"]), is_wide=True),
    )


def page_html(
    lookups: Lookups,
    choice: TonightChoice,
    classes: Sequence[str],
    nights: Sequence[str],
    *,
    thumbs: bool,
) -> str:
    """Return the form and the list.

    Parameters
    ----------
    lookups
        Look into the archive.
    choice
        What the address chooses.
    classes, nights
        To choose from, beside what the address has.
    thumbs
        Whether the viewer may judge alerts with a score.
    """
    selects = [
        Select("order", tuple(Option(each, each, each == choice.order) for each in ORDERS)),
        _select("class", choice.class_name, classes[:_MOST_CLASSES], "all classes"),
        _select("survey", choice.survey, SURVEYS, "all surveys"),
    ]
    if choice.order == "outliers":
        of_night = filter(NIGHT.fullmatch, nights[:_MOST_NIGHTS])
        selects += (
            _select("night", choice.night, of_night, "the newest"),
            _select("context", choice.context, CONTEXTS, "all contexts"),
        )
    form = choice_form_html(selects)
    try:
        rows = lookups.ask(tonight, choice, TOP)
    except LookupRefused as error:
        hint = ""
        if choice.order == "outliers" and error.status == NOT_THERE:
            hint = ". Scores come from the service outliers: finkray start outliers"
        return form + problem_html(f"{error}{hint}")
    return form + table_html(list_table(rows, choice, thumbs=thumbs), wide=True)


def _select(name: str, chosen: str, values: Iterable[str], nothing: str) -> Select:
    """Return a select box with these values, what is chosen, and "" under the name `nothing`."""
    every = dict.fromkeys(["", chosen, *values])
    return Select(name, tuple(Option(each, each or nothing, each == chosen) for each in every))


def _build(blocks: gr.Blocks, inputs: PageInputs) -> None:
    lookups, counts = inputs.function(LOOKUPS), inputs.latest(CLASS_COUNTS)
    content = gr.HTML(problem_html("looking …"))

    def load(opening: gr.Request) -> str:
        known = counts().value or ()
        names, nights = latest_class_names(known), counted_nights(known)
        choice = TonightChoice.of(opening.query_params)
        signed_in = bool(opening.request and opening.request.scope.get("user_name"))
        return page_html(lookups, choice, names, nights, thumbs=signed_in)

    blocks.load(load, None, [content], **QUIET)


PAGE: Final = Page(f"/{PATH}", "Tonight", (LOOKUPS, CLASS_COUNTS), _build)
