"""Who is let in, to every path."""

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from finkray.errors import SettingsError
from finkray.settings.ui import UiSettings
from tests.support.pages import empty_sources
from tests.support.snapshots import busy_night
from ui.app import asgi
from ui.pages import live
from ui.passwords import password_line, read_passwords
from ui.sources import STATUS

PATHS = (
    "/",
    "/config",
    "/api/v1/snapshot",
    "/api/v1/openapi.json",
    "/gradio_api/info",
    "/theme.css",
)


def client(settings: UiSettings, address: str = "127.0.0.1") -> TestClient:
    app = asgi(settings, empty_sources().poll(STATUS, busy_night), (live.PAGE,))
    return TestClient(app, base_url="http://127.0.0.1:5000", client=(address, 1))


def basic(user: str, password: str) -> Mapping[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    file = tmp_path_factory.mktemp("users") / "users"
    file.write_text(password_line("alice", "correct horse") + "\n")
    return client(UiSettings(host="0.0.0.0", password_file=str(file)))


@pytest.mark.parametrize("path", PATHS)
def test_each_path_needs_the_password(signed: TestClient, path: str) -> None:
    refused = signed.get(path)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic")
    assert refused.headers["X-Content-Type-Options"] == "nosniff"
    assert signed.get(path, headers=basic("alice", "correct horse")).status_code == 200
    assert signed.post("/gradio_api/run/snapshot", json={"data": []}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        basic("alice", "wrong horse"),
        basic("bob", "correct horse"),
        basic("", ""),
        {"Authorization": "Basic %%%"},
        {"Authorization": "Bearer alice"},
        {"X-Remote-User": "alice"},
    ],
)
def test_nothing_else_lets_in(signed: TestClient, headers: Mapping[str, str]) -> None:
    assert signed.get("/api/v1/snapshot", headers=headers).status_code == 401


def test_a_header_of_a_proxy_counts_from_this_machine_alone() -> None:
    settings = UiSettings(user_header="X-Remote-User")
    alice = {"X-Remote-User": "alice"}
    here, elsewhere = client(settings), client(settings, "203.0.113.7")
    assert here.get("/api/v1/openapi.json", headers=alice).status_code == 200
    assert here.get("/api/v1/openapi.json").status_code == 401
    assert here.get("/api/v1/openapi.json", headers={"X-Remote-User": " "}).status_code == 401
    assert elsewhere.get("/api/v1/openapi.json", headers=alice).status_code == 401


def test_a_password_file_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "users"
    with pytest.raises(SettingsError, match="cannot be read"):
        read_passwords(file)
    for content, message in (("\n", "has no user"), ("alice:secret\n", "line 1")):
        file.write_text(content)
        with pytest.raises(SettingsError, match=message) as refused:
            read_passwords(file)
        assert "secret" not in str(refused.value)
    for user, password in (("a:b", "long enough"), ("alice", "short")):
        with pytest.raises(SettingsError):
            password_line(user, password)
