"""Parts of pages that follow their sources: made once for all tabs, sent to a tab if they changed.

`kit.js` asks for them and puts them into the page. Events of Gradio would make every part again for
each tab, and cost the server several times as much.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ui.kit.markup import escaped

logger = logging.getLogger(__name__)

PREFIX: Final = "/live"

SEEN_HEADER: Final = "Finkray-Seen"
"""Names what a tab has: the `ETag` of the last answer."""

MOST_KEPT: Final = 64
"""Queries whose parts are kept for each content; viewers choose among few nights and classes."""

MOST_QUERY_CHARACTERS: Final = 2000
"""A longer address, as that of a long SQL query, chooses nothing of what follows the sources."""

Render: TypeAlias = Callable[[Mapping[str, str]], tuple[str, ...]]
"""Makes the parts as HTML from the parameters of the page's address; it may take a while."""


@dataclass(frozen=True, slots=True)
class _Made:
    """Parts that were made, each as JSON, with a short digest by which a tab knows it."""

    at_s: float
    parts: tuple[bytes, ...]
    digests: tuple[str, ...]

    @classmethod
    def of(cls, parts: tuple[str, ...]) -> "_Made":
        encoded = tuple(json.dumps(part).encode() for part in parts)
        digests = tuple(hashlib.blake2b(part, digest_size=6).hexdigest() for part in encoded)
        return cls(time.monotonic(), encoded, digests)

    @property
    def tag(self) -> str:
        return ".".join(self.digests)

    def unseen_by(self, tag: str) -> bytes:
        """Return a JSON list of the parts; null stands for one that the tab has."""
        seen = tag.split(".")
        if len(seen) != len(self.parts):
            seen = [""] * len(self.parts)
        having = zip(self.parts, self.digests, seen, strict=True)
        return b"[" + b",".join(b"null" if d == has else p for p, d, has in having) + b"]"


@dataclass(slots=True)
class _Content:
    """What one function makes, by the query of the page's address."""

    render: Render
    every_s: float
    made: "OrderedDict[str, _Made]" = field(default_factory=OrderedDict)
    making: dict[str, "asyncio.Task[_Made]"] = field(default_factory=dict)

    async def latest(self, query: str) -> _Made:
        """Return the parts; they are made at most once in `every_s`, whoever asks."""
        made = self.made.get(query)
        if made is not None and time.monotonic() - made.at_s < self.every_s:
            return made
        if (task := self.making.get(query)) is None:
            task = self.making[query] = asyncio.create_task(self._make(query))
        return await asyncio.shield(task)  # who goes away does not end it for the others

    async def _make(self, query: str) -> _Made:
        try:
            made = _Made.of(
                await asyncio.to_thread(self.render, dict(parse_qsl(query, keep_blank_values=True)))
            )
            self.made[query] = made
            self.made.move_to_end(query)
            while len(self.made) > MOST_KEPT:
                self.made.popitem(last=False)
            return made
        finally:
            del self.making[query]


class LiveContents:
    """What of the pages follows its sources, by name."""

    def __init__(self) -> None:
        self._contents: dict[str, _Content] = {}

    def add(self, name: str, render: Render, every_s: float) -> None:
        """Add a content.

        Parameters
        ----------
        name
            Its name in addresses.
        render
            Makes its parts, always as many; a thread calls it.
        every_s
            Seconds between two answers to a tab, and the age up to which tabs share one.
        """
        self._contents[name] = _Content(render, every_s)

    def placed_html(self, name: str, part: int = 0) -> str:
        """Return the element into which the browser puts a part."""
        every_ms = round(1000 * self._contents[name].every_s)
        return f"<div data-live='{escaped(name)}' data-part='{part}' data-every='{every_ms}'></div>"

    def route(self) -> Route:
        """Return the route that answers the browser.

        It is one of Starlette: what FastAPI does for each request, to read it as its function
        declares, would take a third of the time of the answer.
        """
        return Route(f"{PREFIX}/{{name}}", self._answer, include_in_schema=False)

    async def _answer(self, request: Request) -> Response:
        content = self._contents.get(request.path_params["name"])
        if content is None:
            raise HTTPException(404, "no page has this")
        is_short = len(request.url.query) <= MOST_QUERY_CHARACTERS
        chosen = sorted(request.query_params.items()) if is_short else []
        made = await content.latest(urlencode(chosen))
        seen = request.headers.get(SEEN_HEADER, "")
        headers = {"ETag": f'"{made.tag}"', "Cache-Control": "no-store"}
        if seen == made.tag:
            return Response(None, 204, headers)
        body = made.unseen_by(seen)
        return Response(body, media_type="application/json", headers=headers)
