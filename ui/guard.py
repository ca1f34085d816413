"""Refuse requests that the pages never make: foreign hosts and origins, uploads, large bodies.

A web page that someone visits elsewhere can send requests to any address that the visitor's
browser reaches, loopback included; by DNS rebinding it can even read the answers. `Host` and
`Origin` tell such requests from those of our own pages. Gradio itself would store uploads of
any size from any client.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 64 * 1024
"""Largest body that is accepted; an event of our pages sends less than 1 KiB."""

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        # Gradio's page starts with inline scripts, and gr.HTML compiles its template.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-ancestors 'self'",
    )
)
"""Policy with which the browser refuses requests of Gradio to any other server."""

_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

_READING: Final = ("GET", "HEAD", "OPTIONS")

_POST_PATHS: Final = re.compile(
    r"/gradio_api/((run|api|call|call/v2)/[^/]+|queue/join|cancel|reset)/?|/api/v1/thumbs"
)
"""The paths to which pages and `gradio_client` post: calls of a function, and thumbs. All else is
refused, so that a new path of a later Gradio is not open by default."""


_GRADIOS: Final = (b"page", b"deep_link")
"""Parameters that only Gradio uses: one chooses a page of an app with several pages, the other a
stored state. Our apps have neither, and Gradio fails for a page that it does not know."""


class Refusal(NamedTuple):
    """The answer to a request that is refused."""

    status: int
    reason: str


class Guard:
    """ASGI middleware that refuses requests and adds headers to the answers.

    Parameters
    ----------
    app
        The application behind it.
    host
        The address that the page listens on.
    allowed_hosts
        More names under which viewers reach the page.
    root_path
        Path below which a reverse proxy serves the page; requests may arrive with or without it.
    """

    def __init__(
        self, app: ASGIApp, *, host: str, allowed_hosts: Iterable[str] = (), root_path: str = ""
    ) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in ("localhost", host, *allowed_hosts))
        self._proxied = frozenset(name.lower() for name in allowed_hosts)
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no page has a web socket
            await send({"type": "websocket.close", "code": 1008})
            return
        path = scope["path"]
        if self._root_path and (path + "/").startswith(self._root_path + "/"):
            path = path.removeprefix(self._root_path) or "/"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        scope = {**scope, "query_string": _own_parameters(scope["query_string"])}
        refused = self.refusal(scope["method"], path, Headers(scope=scope))
        body = b""
        if refused is None and scope["method"] not in _READING:
            received = await _body(receive)
            if received is None:
                refused = _TOO_LARGE
            else:
                body = received
        if refused is not None:
            answer = PlainTextResponse(f"{refused.reason}\n", refused.status, _HEADERS)
            await answer(scope, receive, send)
            return
        if scope["method"] not in _READING:
            receive = _replay(body, receive)
        await self._app(scope, receive, _with_headers(send))

    def refusal(self, method: str, path: str, headers: Headers) -> Refusal | None:
        """Return why a request is refused, from its head alone; None if it is not."""
        # Each proxy on the way may add a name.
        forwarded = ",".join(headers.getlist("x-forwarded-host"))
        hosts = [headers.get("host", ""), *(host.strip() for host in forwarded.split(",") if host)]
        for host in hosts:
            if not self._is_own(host):
                return Refusal(
                    421,
                    f"host {host[:200]!r} is not allowed: add it to ui.allowed_hosts, or open the "
                    "page under the address that finkray start ui prints",
                )
        for origin in headers.getlist("origin"):
            host = origin.partition("://")[2]
            if host not in hosts and _name(host) not in self._proxied:
                return Refusal(
                    403,
                    f"requests from the origin {origin[:200]!r} are not allowed: if the page is "
                    "served there, add its host to ui.allowed_hosts",
                )
        if method not in _READING and not (method == "POST" and _POST_PATHS.fullmatch(path)):
            return Refusal(404, "not found")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 15 or int(length) > MAX_BODY_BYTES:
            return _TOO_LARGE
        return None

    def _is_own(self, host: str) -> bool:
        name = _name(host)
        # An address instead of a name cannot be rebound to another machine.
        return name in self._names or _is_address(name)


def _own_parameters(query: bytes) -> bytes:
    """Return the parameters of an address without those that Gradio takes for its own features."""
    parts = query.split(b"&")
    return b"&".join(
        part for part in parts if unquote_to_bytes(part.partition(b"=")[0]) not in _GRADIOS
    )


_TOO_LARGE: Final = Refusal(413, f"the body is above {MAX_BODY_BYTES} bytes")


def is_loopback(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine alone."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _name(host: str) -> str:
    """Return the name or address in `name:port`, in lower case; empty if there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request; None if it is too large."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields the body first and then goes on with the connection."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return sending
