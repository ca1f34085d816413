"""Digests for a webhook: each alert is in one post that succeeded, whatever the webhook does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from finkray.avro.container import encode_bytes, encode_long
from finkray.errors import SettingsError
from finkray.streamout import notifying
from finkray.streamout.consuming import Received
from finkray.streamout.notifying import Notifier, read_positions, refuse_address

SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "alert",
        "fields": [
            {"name": "objectId", "type": "string"},
            {
                "name": "finkray",
                "type": {
                    "type": "record",
                    "name": "about",
                    "fields": [
                        {"name": "topic", "type": "string"},
                        {"name": "offset", "type": "long"},
                        {"name": "kind", "type": "string"},
                    ],
                },
            },
        ],
    }
)


class Hook(HTTPServer):
    """A webhook: `answers` are the codes of its next answers, 200 when there is none.

    0 is an answer that is none of HTTP.
    """

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.texts: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:  # noqa: N805
                body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
                code = self.answers.pop(0) if self.answers else 200
                if code == 200:
                    self.texts.append(body["text"])
                if not code:
                    handler.wfile.write(b"SSH-2.0-x\r\n")
                    return
                handler.send_response(code)
                if code == 301:
                    handler.send_header("Location", "/elsewhere")
                handler.end_headers()

            def do_GET(handler) -> None:  # noqa: N805
                handler.send_response(200)
                handler.end_headers()

            def log_message(self, *_: object) -> None:
                return

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def received(first: int, count: int, partition: int = 0, kind: str = "alert") -> Received:
    records = tuple(
        encode_bytes(f"ZTF{n}".encode())
        + encode_bytes(b"ztf")
        + encode_long(n)
        + encode_bytes(kind.encode())
        for n in range(first, first + count)
    )
    return Received("bright", partition, first, first + count - 1, SCHEMA, records)


def notifier(hook: Hook, folder: Path) -> Notifier:
    address = f"http://127.0.0.1:{hook.server_port}/secret"
    return Notifier(address, "bright", folder / "posted", 0.0, threading.Event())


def test_alerts_are_posted_as_digests_and_not_again(hook: Hook, tmp_path: Path) -> None:
    first = notifier(hook, tmp_path)
    first.add(received(0, 3))
    first.add(received(5, 20, partition=1))
    first.add(received(25, 2, partition=1, kind="amendment"))
    first.post_if_due()
    assert hook.texts[0].splitlines()[0] == "23 alerts in bright"
    assert "ZTF0" in hook.texts[0]
    assert hook.texts[0].endswith("and 13 more")
    first.post_if_due()
    assert len(hook.texts) == 1
    assert notifier(hook, tmp_path).positions == {0: 3, 1: 27}


def test_a_post_that_fails_is_made_again_with_what_came_meanwhile(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifying, "_FIRST_RETRY_S", 0.0)
    hook.answers = [500, 301, 0, 429]
    one = notifier(hook, tmp_path)
    one.add(received(0, 1))
    for _ in range(3):
        one.post_if_due()
    one.add(received(1, 1))
    one.post_if_due()
    assert one.waits
    assert read_positions(tmp_path / "posted") == {}
    one.post_if_due()
    assert [text.splitlines() for text in hook.texts] == [["2 alerts in bright", "ZTF0", "ZTF1"]]
    assert read_positions(tmp_path / "posted") == {0: 2}
    assert "it answered 500" in caplog.text
    assert "it answered 301 Moved Permanently: give the address that it has now" in caplog.text
    assert "it does not answer as a web server: BadStatusLine" in caplog.text
    assert "secret" not in caplog.text


def test_an_address_or_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must begin with https://"):
        Notifier("file:///etc/passwd", "bright", tmp_path / "posted", 0.0, threading.Event())
    (tmp_path / "posted").write_text("[1]")
    with pytest.raises(SettingsError, match="delete it to post all"):
        read_positions(tmp_path / "posted")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("ftp://chat.example.org/secret", "must begin with https:// or http://"),
        ("chat.example.org/secret", "must begin with https:// or http://"),
        ("https:///secret", "has no valid host or port"),
        ("https://[chat/secret", "has no valid host or port"),
        ("https://chat..example.org/secret", "has no valid host or port"),
        (f"https://{'chat' * 20}.org/secret", "has no valid host or port"),
        ("https://chat.example.org:x/secret", "has no valid host or port"),
    ],
)
def test_an_address_that_is_none_is_refused_at_once_and_not_shown(
    address: str, problem: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        refuse_address(address)
    assert problem in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:80/x", "https://[::1]/x", "https://münchen.example/x"]
)
def test_an_address_of_any_form_is_taken(address: str) -> None:
    refuse_address(address)
