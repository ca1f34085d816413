"""Refuse requests of users who are not signed in: for pages, the API and whatever Gradio serves."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from finkray.errors import SettingsError
from finkray.settings.ui import UiSettings
from ui.guard import is_loopback
from ui.passwords import is_password

_MOST_REMEMBERED: Final = 1000
"""Most remembered headers with a right password: each request has one; a check takes 50 ms."""


def check_sign_in(settings: UiSettings) -> None:
    """Refuse settings with which other machines could read the page without a password.

    Raises
    ------
    SettingsError
        `ui.host` is not loopback, and `ui.password_file` is empty.
    """
    if not is_loopback(settings.host) and not settings.password_file:
        raise SettingsError(
            f"ui.host = {settings.host} lets other machines read the page, and no sign-in is set: "
            "set ui.password_file (finkray password USER prints its lines), or listen on 127.0.0.1 "
            "behind a reverse proxy"
        )


class SignIn:
    """ASGI middleware that asks for a user and a password, or for a proxy's header.

    Parameters
    ----------
    app
        The application behind it.
    passwords
        Salt and hash by user; empty: nobody signs in by password.
    user_header
        Header in which a proxy on this machine passes the user; empty: none.
    """

    def __init__(
        self, app: ASGIApp, *, passwords: Mapping[str, tuple[bytes, bytes]], user_header: str
    ) -> None:
        self._app = app
        self._passwords = passwords
        self._user_header = user_header
        self._known: dict[bytes, str] = {}
        self._one_check = asyncio.Semaphore(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on with the user as `scope["user_name"]`."""
        if scope["type"] == "http":
            user = await self._user_of(scope)
            if user is None:
                headers = {"WWW-Authenticate": 'Basic realm="finkray", charset="UTF-8"'}
                answer = PlainTextResponse("sign in first\n", 401, headers)
                await answer(scope, receive, send)
                return
            scope = {**scope, "user_name": user}
        await self._app(scope, receive, send)

    async def _user_of(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        client = scope.get("client")
        if self._user_header and client is not None and is_loopback(client[0]):
            named = headers.getlist(self._user_header)
            if len(named) == 1 and named[0].strip():
                return named[0].strip()[:200]
        kind, _, encoded = headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic" or not self._passwords:
            return None
        digest = hashlib.sha256(encoded.encode()).digest()
        if digest in self._known:
            return self._known[digest]
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        # An unknown user costs a check too: the time of an answer must not reveal names.
        salt, expected = self._passwords.get(user, (bytes(16), bytes(32)))
        async with self._one_check:
            right = await asyncio.to_thread(is_password, password, salt, expected)
        if not right or user not in self._passwords:
            return None
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = user
        return user
