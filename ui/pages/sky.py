"""The page Sky: where on the sky the alerts are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from finkray.text import count_text
from ui.kit.elements import Cell, Column, Option, Select, Table
from ui.kit.markup import choice_form_html, escaped, problem_html, table_html
from ui.kit.offline_gradio import gr
from ui.kit.page import QUIET, Page, PageInputs
from ui.lookups.process import LookupRefused, Lookups
from ui.lookups.records import DEFAULT_SKY_SCOPE, SKY_SCOPES, SkyRecord, SkyScope
from ui.lookups.sky import sky_record
from ui.sources import CLASS_COUNTS, LOOKUPS
from ui.views.classes import latest_class_names
from ui.views.sky_svg import cone_href, sky_svg

PATH: Final = "sky"

CELLS_LISTED: Final = 20

_MOST_CLASSES: Final = 200

_ABOUT: Final[Mapping[SkyScope, str]] = {
    "tonight": "the newest hours, up to 100 000 alerts",
    "archive": "all alerts of the archive",
}


@dataclass(frozen=True, slots=True)
class SkyChoice:
    """What the address of the page chooses; a class "" is all of them."""

    scope: SkyScope = DEFAULT_SKY_SCOPE
    class_name: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "SkyChoice":
        """Return the choice in the parameters of an address."""
        named = [each for each in SKY_SCOPES if each == query.get("alerts")]
        return cls(named[0] if named else "tonight", query.get("class", "")[:200])


def cells_table(record: SkyRecord) -> Table:
    """Return the fullest cells, each a link to the search around it."""
    return Table(
        f"the fullest of {len(record.cells)} cells",
        (
            Column("RA deg", number=True),
            Column("Dec deg", number=True),
            Column("alerts", number=True),
        ),
        tuple(
            (
                Cell(f"{cell.ra_deg:.2f}", href=cone_href(cell)),
                Cell(f"{cell.dec_deg:+.2f}"),
                Cell(count_text(cell.alerts)),
            )
            for cell in record.cells[:CELLS_LISTED]
        ),
        "no alert has a position",
    )


def page_html(lookups: Lookups, choice: SkyChoice, classes: Sequence[str]) -> str:
    """Return the form, the map and the fullest cells."""
    scopes = tuple(Option(each, each, each == choice.scope) for each in SKY_SCOPES)
    names = list(dict.fromkeys(["", choice.class_name, *classes[:_MOST_CLASSES]]))
    options = tuple(
        Option(name, name or "all classes", name == choice.class_name) for name in names
    )
    form = choice_form_html((Select("alerts", scopes), Select("class", options)))
    try:
        record = lookups.ask(sky_record, choice.scope, choice.class_name)
    except LookupRefused as error:
        return form + problem_html(str(error))
    note = ""
    if choice.class_name and choice.scope == "archive":
        note = "; the class is chosen among those of tonight alone"
    about = f"{count_text(record.alerts)} alerts: {_ABOUT[choice.scope]}{note}"
    return (
        form
        + f"<section class='fr-table fr-wide'><h2>{escaped(about)}</h2>{sky_svg(record)}"
        + "<p>a cell leads to the objects around it</p></section>"
        + table_html(cells_table(record), wide=True, tall=True)
    )


def _build(blocks: gr.Blocks, inputs: PageInputs) -> None:
    lookups, counts = inputs.function(LOOKUPS), inputs.latest(CLASS_COUNTS)
    content = gr.HTML(problem_html("looking …"))

    def load(opening: gr.Request) -> str:
        names = latest_class_names(counts().value or ())
        return page_html(lookups, SkyChoice.of(opening.query_params), names)

    blocks.load(load, None, [content], **QUIET)


PAGE: Final = Page(
    f"/{PATH}", "Sky", (LOOKUPS, CLASS_COUNTS), _build, css=Path(__file__).with_name("sky.css")
)
