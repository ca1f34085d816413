"""The page's server: it comes up, it ends when asked, and it says when it cannot listen."""

import logging
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from finkray.errors import SettingsError
from finkray.host.ports import LOOPBACK, free_ports
from finkray.settings.ui import UiSettings
from finkray.storage.local import LocalStorage
from ui.app import serve
from ui.classes import ClassSource
from ui.sources import Sources

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(lambda: None, lambda: (), ClassSource(LocalStorage(tmp_path)))


def test_when_it_says_where_it_is_it_answers_there(
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


def test_a_stop_before_it_is_up_is_not_lost(sources: Sources) -> None:
    stopping = threading.Event()
    stopping.set()
    (port,) = free_ports(1)
    serve(UiSettings(port=port), sources, stopping)


def test_it_says_that_it_cannot_listen(sources: Sources) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=f"cannot listen on {LOOPBACK}:{port}"):
            serve(UiSettings(port=port), sources, threading.Event())
