"""The page API: what programs can fetch, with lines that run as they stand."""

from typing import Final

from ui.kit.markup import problem_html
from ui.kit.offline_gradio import gr
from ui.kit.page import QUIET, Page, PageInputs
from ui.lookups.process import LookupRefused, Lookups
from ui.lookups.tonight import TonightChoice, tonight
from ui.sources import LOOKUPS
from ui.views.api_examples import examples_html


def page_html(lookups: Lookups, base_url: str) -> str:
    """Return the page; its examples name the brightest object of tonight, if there is one."""
    try:
        rows = lookups.ask(tonight, TonightChoice("bright"), 1)
    except LookupRefused:
        rows = []
    return examples_html(base_url, rows[0] if rows else None)


def _build(blocks: gr.Blocks, inputs: PageInputs) -> None:
    lookups = inputs.function(LOOKUPS)
    content = gr.HTML(problem_html("looking …"))

    def load(opening: gr.Request) -> str:
        return page_html(lookups, inputs.base_url(opening.headers))

    blocks.load(load, None, [content], **QUIET)


PAGE: Final = Page("/api", "API", (LOOKUPS,), _build)
