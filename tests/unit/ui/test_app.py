"""The web application: its list of pages, and how its server starts and stops."""

import json
import logging
import socket
import threading
import time
import urllib.request
from typing import Any

import pytest
from fastapi.testclient import TestClient

from finkray.errors import SettingsError
from finkray.host.ports import LOOPBACK, free_ports
from finkray.settings.ui import UiSettings
from tests.support.pages import empty_sources
from tests.support.web import listening
from ui.app import asgi, serve
from ui.kit.offline_gradio import gr
from ui.kit.page import QUIET, Page, PageInputs
from ui.pages import PAGES
from ui.sources import (
    Polled,
    Sources,
)


@pytest.fixture
def sources() -> Sources:
    return empty_sources()


def test_the_server_answers_at_the_address_that_it_logs(
    sources: Sources, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (port,) = free_ports(1)
    stopping = threading.Event()
    thread = threading.Thread(target=serve, args=(UiSettings(port=port), sources, stopping))
    thread.start()
    url = f"http://{LOOPBACK}:{port}"
    while f"The page is at {url}" not in caplog.text:
        time.sleep(0.02)
    with urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.status == 200
    stopping.set()
    thread.join()


def test_a_page_for_other_machines_without_sign_in_is_refused(sources: Sources) -> None:
    with pytest.raises(SettingsError, match=r"ui\.host = 0\.0\.0\.0 .* set ui\.password_file"):
        serve(UiSettings(host="0.0.0.0"), sources, threading.Event())


def test_a_stop_before_the_server_is_up_ends_it(sources: Sources) -> None:
    stopping = threading.Event()
    stopping.set()
    (port,) = free_ports(1)
    serve(UiSettings(port=port), sources, stopping)
    socket.create_server((LOOPBACK, port)).close()  # the port is free again


def test_a_port_in_use_is_reported_with_its_settings(sources: Sources) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on {LOOPBACK}:{port}"):
            serve(UiSettings(port=port), sources, threading.Event())


def answer_of(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.status, answer.read().decode()


def test_a_page_is_one_entry_in_the_list_of_pages() -> None:
    key: Polled[str] = Polled("sky")

    def build_sky(blocks: Any, inputs: PageInputs) -> None:
        latest = inputs.latest(key)
        shown = gr.HTML()
        blocks.load(lambda: latest().value, None, [shown], **QUIET)

    def build_first(_: Any, inputs: PageInputs) -> None:
        with pytest.raises(LookupError, match="page / does not list the source 'sky'"):
            inputs.latest(key)

    pages = (Page("/", "First", (), build_first), Page("/sky", "Sky", (key,), build_sky))
    app = asgi(UiSettings(), Sources().poll(key, lambda: "clear"), pages)
    with listening(app) as (host, port, _):
        url = f"http://{host}:{port}"
        assert answer_of(f"{url}/sky")[0] == 200
        config = json.loads(answer_of(f"{url}/config")[1])
    assert [(path, title) for path, title, _ in config["pages"]] == [("", "Home"), ("sky", "Sky")]
    # Gradio links all pages on each; the first has its title from the header.
    headers = [part for part in config["components"] if part["type"] == "navbar"]
    assert [header["props"]["main_page_name"] for header in headers] == ["First"] * len(pages)


def test_a_page_without_its_source_is_refused_with_its_name() -> None:
    with pytest.raises(ValueError, match=r"page / needs sources that were not provided.*'status'"):
        asgi(UiSettings(), Sources())


def test_the_addresses_of_the_pages_stay() -> None:
    assert [(page.path, page.title) for page in PAGES] == [
        ("/", "Live"),
        ("/tonight", "Tonight"),
        ("/object", "Object"),
        ("/classification", "Classification"),
        ("/sky", "Sky"),
        ("/services", "Services"),
        ("/streamout", "Out-streams"),
        ("/archive", "Archive"),
        ("/api", "API"),
    ]


def test_old_addresses_lead_to_the_pages_of_today_also_below_a_proxy(sources: Sources) -> None:
    app = asgi(UiSettings(root_path="/finkray"), sources)
    browser = TestClient(app, base_url="http://localhost", follow_redirects=False)
    for old, new in (
        ("live.html?period=1%20h", "./?period=1%20h"),
        ("classification.html", "classification"),
    ):
        answer = browser.get(f"/finkray/{old}")
        assert (answer.status_code, answer.headers["Location"]) == (307, new)
