"""The status page: Gradio over the snapshot alone."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
import uvicorn
from fastapi import FastAPI, Request, Response

from finkray.settings.model import UiSettings
from ui.html import head_html, small_tables_html, wide_tables_html
from ui.reader import Source, StatusReader
from ui.view import Reading, curves

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

CURVE_COLOURS = {"incoming": "#4c8fd6", "archiving": "#e08a3c"}
"""Told apart by the colour-blind, on white and on black."""


def build(latest: Callable[[], Reading], refresh_s: float) -> gr.Blocks:
    """Build the page.

    Parameters
    ----------
    latest
        The last thing heard; called once for each tick of each open tab, so it must not wait.
    refresh_s
        Seconds between two ticks.
    """
    with gr.Blocks(title="finkray", analytics_enabled=False, fill_width=True) as page:
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

        gr.on(
            [page.load, gr.Timer(refresh_s).tick],
            tick,
            outputs=[head, plot, small, wide],
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        )
        gr.api(snapshot, api_name="snapshot", queue=False)
    return page


def asgi(source: Source, refresh_s: float) -> FastAPI:
    """The page as a web application; its status reader lives as long as the application."""
    reader = StatusReader(source, refresh_s)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reader.start()
        yield
        reader.stop()

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
        build(reader.latest, refresh_s),
        path="/",
        theme=gr.themes.Base(font=SYSTEM_FONTS, font_mono=("ui-monospace", "monospace")),
        css_paths=_HERE / "page.css",
        js=(_HERE / "page.js").read_text(encoding="utf-8"),
        footer_links=["api"],
        run_history=False,
        ssr_mode=False,
    )


def serve(settings: UiSettings, source: Source) -> None:
    """Serve the page until the process gets SIGINT or SIGTERM.

    Parameters
    ----------
    settings
        Where to listen and how often to refresh.
    source
        Gives the newest snapshot or None; called from one background thread.
    """
    logger.info("The page is at http://%s:%s", settings.host, settings.port)
    uvicorn.run(
        asgi(source, settings.refresh_s),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        timeout_graceful_shutdown=3,
    )
