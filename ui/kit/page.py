"""A page: its address, its title, the sources that it needs, and how it is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from ui.kit.live import LiveContents, Render
from ui.kit.offline_gradio import gr
from ui.kit.reader import Reader
from ui.kit.reading import Reading
from ui.sources import Key, OnDemand, Polled, Sources

T = TypeVar("T")

QUIET: Final[dict[str, Any]] = {
    "show_progress": "hidden",
    "queue": False,
    "api_visibility": "private",
}
"""Arguments of a Gradio event that updates a page at once and without an animation."""


@dataclass(frozen=True, slots=True)
class PageInputs:
    """What a page is built with; it yields only the sources that the page declares.

    Attributes
    ----------
    refresh_s
        Seconds between two updates of an open tab.
    live
        The contents of all pages that follow their sources.
    root_path
        Path below which a reverse proxy serves the pages.
    """

    page: "Page"
    sources: Sources
    readers: Mapping[Polled[Any], Reader[Any]]
    refresh_s: float
    live: LiveContents
    root_path: str = ""

    def follow(self, name: str, render: Render, every: int = 1) -> Callable[[int], str]:
        """Add a content that follows its sources.

        Parameters
        ----------
        name
            Its name, which no other content of any page has.
        render
            Makes its parts as HTML from the parameters of the page's address.
        every
            Refreshes from one answer to the next.

        Returns
        -------
        Callable[[int], str]
            The HTML of the place of a part, by its number.
        """
        self.live.add(name, render, every * self.refresh_s)
        return lambda part: self.live.placed_html(name, part)

    def latest(self, key: Polled[T]) -> Callable[[], Reading[T]]:
        """Return the function that returns the last answer of a source, without waiting."""
        self._declared(key)
        latest: Callable[[], Reading[T]] = self.readers[key].latest
        return latest

    def listen(self, key: Polled[T], heard: Callable[[T], None]) -> None:
        """Call a function with each value of a source, in the thread that reads it."""
        self._declared(key)
        self.readers[key].listen(heard)

    def function(self, key: OnDemand[T]) -> T:
        """Return the function behind a key."""
        self._declared(key)
        return self.sources.function_of(key)

    def base_url(self, headers: Mapping[str, str]) -> str:
        """Return the address of the first page, as the viewer of a request reaches it.

        Parameters
        ----------
        headers
            Of the request, names in lower case. Those that begin with `x-forwarded-` are of a
            reverse proxy, and say how the viewer reached it.
        """
        forwarded = headers.get("x-forwarded-proto", "").partition(",")[0].strip()
        scheme = "https" if forwarded == "https" else "http"
        host = headers.get("x-forwarded-host") or headers.get("host", "")
        return f"{scheme}://{host.partition(',')[0].strip()}{self.root_path}/"

    def _declared(self, key: Key) -> None:
        if key not in self.page.sources:
            raise LookupError(f"page {self.page.path} does not list the source {key.name!r}")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the site.

    Attributes
    ----------
    path
        Its address; "/" is the first page.
    title
        Its name in the navigation.
    sources
        Keys of what it reads.
    build
        Adds its components and events to the Blocks, which are on its route.
    css
        Style sheet of what this page alone has; None if the kit's is enough.
    has_heading
        Whether its own content has a first heading; else it gets its title, for screen readers.
    """

    path: str
    title: str
    sources: tuple[Key, ...]
    build: Callable[[gr.Blocks, PageInputs], None]
    css: Path | None = None
    has_heading: bool = False
