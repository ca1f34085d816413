"""The web application: every page of the list, with a header, on one server."""

import logging
import threading
import time
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse

from finkray.errors import SettingsError
from finkray.settings.ui import UiSettings
from ui.api import PREFIX, api_router, lookup_refused
from ui.guard import Guard
from ui.kit.live import LiveContents
from ui.kit.markup import heading_html
from ui.kit.offline_gradio import gr
from ui.kit.page import Page, PageInputs
from ui.kit.reader import Reader
from ui.lookups.process import LookupRefused
from ui.pages import PAGES
from ui.passwords import read_passwords
from ui.sign_in import SignIn, check_sign_in
from ui.sources import LOOKUPS, SQL, STATUS, THUMBS, Polled, Sources
from ui.thumbs import thumbs_router
from ui.views.header import header_html

OPENAPI_PATH = f"{PREFIX}/openapi.json"

logger = logging.getLogger(__name__)

_KIT = Path(__file__).parent / "kit"

SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Ubuntu", "sans-serif")
"""No font is fetched, not even from this server, so the first paint does not wait for one."""

_POLL_S = 0.05

HEADER_EVERY_S = 5.0
"""Seconds between two updates of state and alarms in the header; the browser ticks its clock."""

_HEADER: Final = "header"

_OLD_ADDRESSES: Final = {"/live.html": "./", "/classification.html": "classification"}
"""New addresses of the pages of Fink's first website, relative to the old ones."""


def make_readers(
    pages: Sequence[Page], sources: Sources, interval_s: float
) -> dict[Polled[Any], Reader[Any]]:
    """Return a reader for each polled source that a page needs.

    Raises
    ------
    ValueError
        A page needs a source that was not provided.
    """
    for page in pages:
        if missing := sources.missing(page.sources):
            raise ValueError(f"page {page.path} needs sources that were not provided: {missing}")
    needed = (key for page in pages for key in page.sources if isinstance(key, Polled))
    return {
        key: Reader(sources.read_of(key), interval_s, key.name) for key in dict.fromkeys(needed)
    }


def build(
    pages: Sequence[Page],
    sources: Sources,
    readers: Mapping[Polled[Any], Reader[Any]],
    refresh_s: float,
    live: LiveContents,
    *,
    root_path: str = "",
) -> gr.Blocks:
    """Build the pages, the first of them at "/".

    Parameters
    ----------
    pages
        The pages, in the order of the navigation.
    sources
        Functions that pages call on demand.
    readers
        The last answers of the polled sources.
    refresh_s
        Seconds between two updates of an open tab.
    live
        Gets the contents of the pages that follow their sources.
    root_path
        Path below which a reverse proxy serves the pages.
    """
    first, *others = pages

    def inputs_of(page: Page) -> PageInputs:
        return PageInputs(page, sources, readers, refresh_s, live, root_path)

    _follow_header(readers, sources, live)
    with gr.Blocks(title="finkray", analytics_enabled=False, fill_width=True) as blocks:
        _header(first, first.title, live)
        first.build(blocks, inputs_of(first))
    for page in others:
        with blocks.route(page.title, page.path) as route:
            _header(page, first.title, live)
            page.build(route, inputs_of(page))
    return blocks


def _header(shown_page: Page, first_title: str, live: LiveContents) -> None:
    """Add what stands at the top of every page: state, clock, search; Gradio links all pages."""
    gr.Navbar(main_page_name=first_title)
    if not shown_page.has_heading:
        gr.HTML(heading_html(shown_page.title))
    gr.HTML(live.placed_html(_HEADER))


def _follow_header(
    readers: Mapping[Polled[Any], Reader[Any]], sources: Sources, live: LiveContents
) -> None:
    searches = not sources.missing((LOOKUPS,))
    status = readers.get(STATUS)

    def shown(_: Mapping[str, str]) -> tuple[str]:
        reading = status.latest() if status is not None else None
        return (header_html(reading, datetime.now(UTC), searches=searches),)

    live.add(_HEADER, shown, HEADER_EVERY_S)


def _add_old_addresses(app: FastAPI) -> None:
    """Lead from old addresses to today's, with all that was chosen."""

    async def lead(request: Request) -> RedirectResponse:
        path = request.url.path.rpartition("/")[2]
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(_OLD_ADDRESSES[f"/{path}"] + query)

    for path in _OLD_ADDRESSES:
        app.add_api_route(path, lead, include_in_schema=False)


def asgi(settings: UiSettings, sources: Sources, pages: Sequence[Page] = PAGES) -> FastAPI:
    """Return the pages as a web application; its readers live as long as the application."""
    readers = make_readers(pages, sources, settings.refresh_s)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        for reader in readers.values():
            reader.start()
        yield
        for reader in readers.values():
            reader.stop()
        for key in (LOOKUPS, SQL):
            if not sources.missing((key,)):
                sources.function_of(key).close()

    app = FastAPI(
        title="finkray", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=OPENAPI_PATH
    )
    live = LiveContents()
    app.router.routes.append(live.route())  # the first: each open tab asks for it each second
    app.include_router(api_router(readers, sources))
    if not sources.missing((LOOKUPS, THUMBS)):
        app.include_router(thumbs_router(sources.function_of(LOOKUPS), sources.function_of(THUMBS)))
    app.add_exception_handler(LookupRefused, lookup_refused)
    _add_old_addresses(app)

    if settings.password_file or settings.user_header:
        passwords = read_passwords(Path(settings.password_file)) if settings.password_file else {}
        app.add_middleware(SignIn, passwords=passwords, user_header=settings.user_header)
    # What is added last is asked first: a foreign host learns nothing of the sign-in.
    app.add_middleware(
        Guard,
        host=settings.host,
        allowed_hosts=settings.allowed_hosts,
        root_path=settings.root_path,
    )
    with warnings.catch_warnings():
        # Gradio says so even where ssr_mode is False.
        warnings.filterwarnings("ignore", "SSR mode is not supported with multi-page apps")
        return gr.mount_gradio_app(
            app,
            build(pages, sources, readers, settings.refresh_s, live, root_path=settings.root_path),
            path="/",
            root_path=settings.root_path or None,
            theme=gr.themes.Base(font=SYSTEM_FONTS, font_mono=("ui-monospace", "monospace")),
            css_paths=[_KIT / "kit.css", *(page.css for page in pages if page.css)],
            js=(_KIT / "kit.js").read_text(encoding="utf-8"),
            footer_links=["api"],
            run_history=False,
            ssr_mode=False,
        )


def serve(
    settings: UiSettings,
    sources: Sources,
    stopping: threading.Event,
    pages: Sequence[Page] = PAGES,
) -> None:
    """Serve the pages until the event is set, even if it is set before the server is up.

    Parameters
    ----------
    settings
        Where to listen and how often to refresh.
    sources
        What the pages read.
    stopping
        Set it to stop the server. The server sets it when it ends by itself.
    pages
        The pages, in the order of the navigation.

    Raises
    ------
    SettingsError
        The server cannot listen on the host and port of the settings, or other machines could read
        the page without a password.
    """
    check_sign_in(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            asgi(settings, sources, pages),
            host=settings.host,
            port=settings.port,
            http="httptools",
            log_level="warning",
            timeout_graceful_shutdown=3,
        )
    )
    # Outside of the main thread, uvicorn installs no signal handlers of its own.
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
            f"ui.host, ui.port: the page cannot listen on {settings.host}:{settings.port}; "
            "the error stands in the lines above"
        )
