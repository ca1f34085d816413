"""The page: Gradio over snapshots and the results beside the archive."""

import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
import uvicorn
from fastapi import FastAPI, Request, Response

from finkray.errors import SettingsError
from finkray.results.counts import ClassCounts
from finkray.settings.ui import UiSettings
from finkray.status.archive import Snapshot
from finkray.status.service import ServiceSnapshot
from ui import pages
from ui.html import head_html, small_tables_html, wide_tables_html
from ui.reader import Reader
from ui.sources import Classes, Sources
from ui.view import curves

logger = logging.getLogger(__name__)

_HERE = Path(__file__).parent

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio's page starts with inline scripts, and the plot compiles its expressions.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-ancestors 'self'",
    )
)
"""The browser itself refuses whatever a release of Gradio may want to fetch from elsewhere."""

SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Ubuntu", "sans-serif")
"""No font is fetched, not even from here: the page shows at once."""

_POLL_S = 0.05

CURVE_COLOURS = {"incoming": "#4c8fd6", "archiving": "#e08a3c"}
"""Told apart by the colour-blind, on white and on black."""


@dataclass(frozen=True, slots=True)
class Readers:
    """What is asked for in the background."""

    status: Reader[Snapshot]
    services: Reader[tuple[ServiceSnapshot, ...]]
    classes: Reader[tuple[ClassCounts, ...]]

    def start(self) -> None:
        """Begin to read."""
        for one in (self.status, self.services, self.classes):
            one.start()

    def stop(self) -> None:
        """Stop reading."""
        for one in (self.status, self.services, self.classes):
            one.stop()


def build(readers: Readers, classes: Classes, refresh_s: float) -> gr.Blocks:
    """Build the pages.

    Parameters
    ----------
    readers
        The last things heard; asked once for each tick of each open tab, so they must not wait.
    classes
        Gives the lists of alerts, when a page wants one.
    refresh_s
        Seconds between two ticks.
    """
    latest = readers.status.latest
    with gr.Blocks(title="finkray", analytics_enabled=False, fill_width=True) as page:
        gr.Navbar(main_page_name=pages.MAIN)
        head = gr.HTML()
        plot = gr.LinePlot(
            curves(None),
            x="minutes",
            y="alerts_per_s",
            color="curve",
            color_map=CURVE_COLOURS,
            x_title="minutes",
            y_title="alerts/s",
            color_title=" ",
            y_lim=[0, None],
            height=260,
            elem_id="rates",
        )
        small = gr.HTML()
        wide = gr.HTML()

        def tick() -> tuple[str, pd.DataFrame, str, str]:
            reading = latest()
            return (
                head_html(reading, datetime.now(UTC)),
                curves(reading.snapshot),
                small_tables_html(reading),
                wide_tables_html(reading),
            )

        def snapshot() -> dict[str, Any] | None:
            """The newest snapshot as `finkray status --json` prints it; null when there is none."""
            newest = latest().snapshot
            return None if newest is None else newest.model_dump(mode="json")

        def counts() -> list[dict[str, Any]]:
            """The counts by class and night of all results that have classes."""
            found = readers.classes.latest().snapshot or ()
            return [one.model_dump(mode="json", exclude={"cursor"}) for one in found]

        def services() -> list[dict[str, Any]]:
            """The snapshots of the services that run."""
            found = readers.services.latest().snapshot or ()
            return [one.model_dump(mode="json") for one in found]

        gr.on(
            [page.load, gr.Timer(refresh_s).tick],
            tick,
            outputs=[head, plot, small, wide],
            **pages.QUIET,
        )
        gr.api(snapshot, api_name="snapshot", queue=False)
        gr.api(counts, api_name="classes", queue=False)
        gr.api(services, api_name="services", queue=False)
    with page.route("Classification", pages.CLASSIFICATION) as route:
        pages.classification(route, readers.classes.latest, classes, refresh_s)
    with page.route("Services", pages.SERVICES) as route:
        pages.services(route, readers.services.latest, refresh_s)
    return page


def asgi(sources: Sources, refresh_s: float) -> FastAPI:
    """The pages as a web application; its readers live as long as the application."""
    readers = Readers(
        Reader(sources.status, refresh_s, "status"),
        Reader(sources.services, refresh_s, "services"),
        Reader(sources.classes.counts, refresh_s, "classes"),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        readers.start()
        yield
        readers.stop()

    app = FastAPI(title="finkray", lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.middleware("http")
    async def nothing_from_elsewhere(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    return gr.mount_gradio_app(
        app,
        build(readers, sources.classes, refresh_s),
        path="/",
        theme=gr.themes.Base(font=SYSTEM_FONTS, font_mono=("ui-monospace", "monospace")),
        css_paths=_HERE / "page.css",
        js=(_HERE / "page.js").read_text(encoding="utf-8"),
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
    )


def serve(settings: UiSettings, sources: Sources, stopping: threading.Event) -> None:
    """Serve the page until the event is set, be it before the page is up.

    Parameters
    ----------
    settings
        Where to listen and how often to refresh.
    sources
        What is shown; each is asked from one background thread, but for the lists of alerts.
    stopping
        Ends it.

    Raises
    ------
    SettingsError
        It cannot listen there.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            asgi(sources, settings.refresh_s),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            timeout_graceful_shutdown=3,
        )
    )
    # In a thread of its own the server leaves the signals to those who handle them.
    with ThreadPoolExecutor(1, "page") as thread:
        served = thread.submit(server.run)
        served.add_done_callback(lambda _: stopping.set())
        while not server.started and not served.done():
            time.sleep(_POLL_S)
        if server.started:
            logger.info("The page is at http://%s:%s", settings.host, settings.port)
        stopping.wait()
        server.should_exit = True
    if served.exception() is not None:
        raise SettingsError(
            f"ui.host, ui.port: the page cannot listen on {settings.host}:{settings.port}, "
            "for the reason above"
        )
