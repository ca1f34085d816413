"""The pages beside that of the archive: classes and services."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import gradio as gr
import pyarrow as pa

from finkray.errors import FinkrayError
from finkray.results.class_list import ClassifiedAlert
from finkray.results.counts import ClassCounts
from finkray.status.service import ServiceSnapshot
from ui.class_html import bars_html, choice_html, class_head_html, list_html, services_html
from ui.class_view import PATH as CLASSIFICATION
from ui.class_view import Asked, choose
from ui.sources import Classes
from ui.view import Reading

__all__ = ["CLASSIFICATION", "MAIN", "SERVICES", "classification", "services"]

SERVICES: Final = "/services"
MAIN: Final = "Archive"
"""What the bar above all pages calls the first."""

QUIET: Final[dict[str, Any]] = {
    "show_progress": "hidden",
    "queue": False,
    "api_visibility": "private",
}
"""How a page is brought up to date: at once, and with nothing that moves."""


def classification(
    page: gr.Blocks,
    latest: Callable[[], Reading[tuple[ClassCounts, ...]]],
    classes: Classes,
    refresh_s: float,
) -> None:
    """Build the page on classes.

    Parameters
    ----------
    page
        its route
    latest
        the last counts heard; must not wait
    classes
        gives the lists, which may take a moment
    refresh_s
        seconds between two ticks
    """
    gr.Navbar(main_page_name=MAIN)
    head, choice, drawn, listed = gr.HTML(), gr.HTML(), gr.HTML(), gr.HTML()
    asked = gr.State(Asked())

    def opened(request: gr.Request) -> tuple[Asked, str, str, str, str]:
        words = request.query_params
        said = Asked(words.get("results", ""), words.get("night", ""), words.get("class", ""))
        return said, *tick(said)

    def tick(said: Asked) -> tuple[str, str, str, str]:
        reading = latest()
        shown = choose(reading.snapshot or (), said)
        alerts: tuple[ClassifiedAlert, ...] = ()
        problem = ""
        if shown is not None:
            try:
                alerts = classes.newest(shown.counts, shown.night, shown.name)
            except (FinkrayError, OSError, pa.ArrowException) as error:
                problem = f"{type(error).__name__}: {error}"
        return (
            class_head_html(reading, shown, datetime.now(UTC)),
            choice_html(reading.snapshot or (), shown),
            bars_html(shown),
            list_html(shown, alerts, problem),
        )

    outputs = [head, choice, drawn, listed]
    page.load(opened, None, [asked, *outputs], **QUIET)
    gr.Timer(refresh_s).tick(tick, asked, outputs, **QUIET)


def services(
    page: gr.Blocks,
    latest: Callable[[], Reading[tuple[ServiceSnapshot, ...]]],
    refresh_s: float,
) -> None:
    """Build the page on services: what each does, and what it costs."""
    gr.Navbar(main_page_name=MAIN)
    shown = gr.HTML()
    gr.on(
        [page.load, gr.Timer(refresh_s).tick],
        lambda: services_html(latest(), datetime.now(UTC)),
        outputs=[shown],
        **QUIET,
    )
