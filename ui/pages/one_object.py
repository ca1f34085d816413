"""The page on one object, and what a search finds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from finkray.text import count_text
from ui.kit.elements import Cell, Column, Table
from ui.kit.markup import heading_html, problem_html, table_html
from ui.kit.offline_gradio import gr
from ui.kit.page import QUIET, Page, PageInputs
from ui.lookups.objects import alert_record, cone, object_of_alert, object_record
from ui.lookups.process import LookupRefused, Lookups
from ui.sources import LOOKUPS
from ui.views.object_html import (
    PATH,
    ObjectChoice,
    chosen_alert,
    object_html,
    packet_href,
    packet_html,
    row_name,
)
from ui.views.query import Circle, parse_query

HINT: Final = (
    "Type the id of an object (ZTF20abfcszi), a candid or diaSourceId, or a position: RA and Dec "
    "in degrees or sexagesimal, and a radius in arcsec if it is not to be 10."
)


def page_html(lookups: Lookups, query: Mapping[str, str], base_url: str, now: datetime) -> str:
    """Return what the page shows for the parameters of its address."""
    choice = ObjectChoice.of(query)
    heading = heading_html("Object")
    text = query.get("q", "").strip()
    try:
        if not text:
            return (
                _object(lookups, choice, base_url, now)
                if choice.object_id
                else heading + problem_html(HINT)
            )
        found = parse_query(text)
        if isinstance(found, Circle):
            table = lookups.ask(cone, found.ra_deg, found.dec_deg, found.radius_arcsec)
            return heading + table_html(cone_table(table, found), wide=True)
        return _object(lookups, ObjectChoice(found), base_url, now)
    except (LookupRefused, ValueError) as error:
        return heading + problem_html(f"{error}. {HINT}")


def _object(lookups: Lookups, choice: ObjectChoice, base_url: str, now: datetime) -> str:
    try:
        record = lookups.ask(object_record, choice.object_id)
    except LookupRefused as error:
        if not (choice.object_id.isascii() and choice.object_id.isdecimal()) or error.status >= 500:
            raise
        object_id = lookups.ask(object_of_alert, int(choice.object_id))
        record = lookups.ask(object_record, object_id)
        choice = ObjectChoice(object_id)
    shown = object_html(record, choice, now, base_url)
    alert = chosen_alert(record, choice.row)
    if alert is not None:
        kafka_position = (alert["kafka_topic"], alert["kafka_partition"], alert["kafka_offset"])
        packet = lookups.ask(alert_record, *kafka_position, alert["kafka_timestamp"]).packet
        row = f"alert {alert['alert_id']}, {row_name(alert)}"
        shown += packet_html(packet, row, packet_href(alert))
    return shown


def cone_table(objects: pa.Table, circle: Circle) -> Table:
    """Return the objects in a circle, each a link to its page."""
    rows = tuple(
        (
            Cell(
                each["object_id"] or "(no object)",
                href=ObjectChoice(each["object_id"]).href() if each["object_id"] else "",
            ),
            Cell(each["survey"]),
            Cell(f"{each['separation_arcsec']:.2f}"),
            Cell(f"{each['ra_deg']:.6f}"),
            Cell(f"{each['dec_deg']:+.6f}"),
            Cell(count_text(each["alerts"])),
        )
        for each in objects.slice(0, 200).to_pylist()
    )
    return Table(
        f"objects within {circle.radius_arcsec:g} arcsec of {circle.ra_deg:.6f} "
        f"{circle.dec_deg:+.6f}: {count_text(objects.num_rows)}",
        (
            Column("object"),
            Column("survey"),
            Column("arcsec", number=True),
            Column("RA deg", number=True),
            Column("Dec deg", number=True),
            Column("alerts", number=True),
        ),
        rows,
        "no object has an alert there: try a larger radius",
    )


def _build(blocks: gr.Blocks, inputs: PageInputs) -> None:
    lookups = inputs.function(LOOKUPS)
    content = gr.HTML(problem_html("looking …"))

    def load(opening: gr.Request) -> str:
        base_url = inputs.base_url(opening.headers)
        return page_html(lookups, opening.query_params, base_url, datetime.now(UTC))

    blocks.load(load, None, [content], **QUIET)


PAGE: Final = Page(
    f"/{PATH}",
    "Object",
    (LOOKUPS,),
    _build,
    css=Path(__file__).with_name("object.css"),
    has_heading=True,
)
