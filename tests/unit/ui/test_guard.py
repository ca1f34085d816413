"""What the page's server refuses, asked of the real server with the real pages."""

import http.client
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from finkray.settings.ui import UiSettings
from tests.support.pages import empty_sources
from tests.support.snapshots import busy_night
from tests.support.web import listening
from ui.app import asgi
from ui.guard import MAX_BODY_BYTES, Guard, is_loopback
from ui.pages import live
from ui.sources import STATUS

CALL = "/gradio_api/run/snapshot"
EMPTY_CALL = json.dumps({"data": []}).encode()


class Answer(NamedTuple):
    status: int
    text: str
    headers: http.client.HTTPMessage


class Server(NamedTuple):
    host: str
    port: int

    def answer(
        self, method: str, path: str, headers: dict[str, str], body: object = None
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)  # type: ignore[arg-type]
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), response.headers)
        finally:
            connection.close()

    def get(self, path: str = "/", **headers: str) -> Answer:
        return self.answer("GET", path, headers)

    def call(self, body: object = EMPTY_CALL, **headers: str) -> Answer:
        return self.answer("POST", CALL, {"Content-Type": "application/json", **headers}, body)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    settings = UiSettings(allowed_hosts=("obs.example.org",), root_path="/finkray")
    sources = empty_sources().poll(STATUS, busy_night)
    with listening(asgi(settings, sources, (live.PAGE,))) as (host, port, _):
        yield Server(host, port)


def test_a_page_and_a_call_are_answered(server: Server) -> None:
    assert server.get().status == 200
    called = server.call()
    assert called.status == 200
    assert json.loads(called.text)["data"][0]["epoch"] == 7


def test_each_answer_has_the_headers_that_protect_it(server: Server) -> None:
    for answer in (server.get(), server.get(Host="evil.example.com")):
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:5000", "localhost", "LOCALHOST:1", "[::1]:5000", "10.1.2.3", "Obs.Example.org"],
)
def test_addresses_and_listed_names_are_allowed_as_host(server: Server, host: str) -> None:
    assert server.get(Host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "obs.example.org.evil.com", "127.0.0.1.evil.com:5000", "[", ""]
)
def test_any_other_host_is_refused_and_the_setting_is_named(server: Server, host: str) -> None:
    forwarded = f"obs.example.org, {host or '?'}"
    for headers in ({"Host": host}, {"Host": "localhost", "X-Forwarded-Host": forwarded}):
        answer = server.answer("GET", "/config", headers)
        assert answer.status == 421
        assert "ui.allowed_hosts" in answer.text


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", "null", "http://127.0.0.1:1", "http://10.1.2.3", "http://[", ""],
)
def test_a_foreign_origin_may_neither_read_nor_call(server: Server, origin: str) -> None:
    for answer in (
        server.get("/config", Origin=origin),
        server.call(Origin=origin),
        server.answer("OPTIONS", CALL, {"Origin": origin, "Access-Control-Request-Method": "POST"}),
    ):
        assert answer.status == 403
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_the_own_origin_may_call_directly_and_through_a_proxy(server: Server) -> None:
    assert server.call(Origin=f"http://{server.host}:{server.port}").status == 200
    # A proxy may pass its own name for the server as Host.
    assert server.call(Origin="https://obs.example.org").status == 200
    proxied = {"X-Forwarded-Host": "obs.example.org, localhost:5000"}
    assert server.call(Origin="https://obs.example.org", **proxied).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/upload/"),
        ("POST", "/gradio_api/uploa%64"),
        ("POST", "//gradio_api/upload"),
        ("POST", "/finkray/gradio_api/upload"),
        ("POST", "/api/v1/thumbs/"),
        ("POST", "/api/v1/snapshot"),
        ("POST", "/upload"),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/stream/1"),
        ("POST", "/gradio_api/run/a/../../upload"),
        ("POST", "/login"),
        ("PUT", CALL),
        ("DELETE", "/"),
        ("PATCH", "/config"),
    ],
)
def test_uploads_and_all_other_writes_are_refused(server: Server, method: str, path: str) -> None:
    boundary = "finkray"
    body = (
        f"--{boundary}\r\nContent-Disposition: form-data; name=files; filename=finkray-upload\r\n"
        f"\r\ncontent\r\n--{boundary}--\r\n"
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    assert server.answer(method, path, headers, body.encode()).status == 404
    assert not list(Path(tempfile.gettempdir(), "gradio").rglob("finkray-upload"))


def test_a_large_body_is_refused_before_it_is_read(server: Server) -> None:
    assert server.call(None, **{"Content-Length": str(2**40)}).status == 413


def test_a_large_body_without_a_length_is_refused(server: Server) -> None:
    pieces = iter([b"x" * MAX_BODY_BYTES, b"x"])
    assert server.call(pieces).status == 413


def test_the_largest_body_is_read_whole(server: Server) -> None:
    padding = " " * (MAX_BODY_BYTES - len(EMPTY_CALL))
    assert server.call(EMPTY_CALL + padding.encode()).status == 200


def test_the_pages_are_found_with_and_without_the_path_of_the_proxy(server: Server) -> None:
    for path in ("/config", "/finkray/config"):
        root = json.loads(server.get(path, Host="obs.example.org").text)["root"]
        assert root == "http://obs.example.org/finkray"
    assert server.get("/finkray").status == 200
    assert server.get("/finkrayed").status == 404


@pytest.mark.parametrize(
    "parameter", ["page=other", "page", "p%61ge=other", "deep_link=..%2F..%2Fetc"]
)
def test_parameters_of_gradio_change_no_page(server: Server, parameter: str) -> None:
    assert server.get(f"/?{parameter}&window=1h").status == 200


def test_loopback_addresses_are_told_from_others() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.0.0.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.1.2.3", "node1", "")))


TEXT = st.text(st.characters(codec="latin-1"), max_size=40)


@given(host=TEXT, origin=TEXT)
def test_no_other_text_as_host_or_origin_is_taken_for_an_own_one(host: str, origin: str) -> None:
    async def app(*_: object) -> None: ...

    guard = Guard(app, host="127.0.0.1")
    if not any(own in host.lower() for own in ("localhost", ".", ":")):
        refused = guard.refusal("GET", "/", Headers({"host": host}))
        assert refused is not None
        assert refused.status == 421
    if "://localhost" not in origin:
        refused = guard.refusal("GET", "/", Headers({"host": "localhost", "origin": origin}))
        assert refused is not None
        assert refused.status == 403
