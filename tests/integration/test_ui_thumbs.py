"""Thumbs on the page Tonight: a signed-in user gives them, and nobody else."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from starlette.testclient import TestClient

from finkray.outliers.thumb_log import ThumbLog
from finkray.settings.ui import UiSettings
from finkray.storage.local import LocalStorage
from tests.support.parity import run_service
from tests.support.scored_archive import MadeScores
from tests.support.small_archives import archive_sample_alerts
from tests.support.web import listening
from ui.app import asgi
from ui.lookups.process import Lookups
from ui.pages import tonight
from ui.sources import CLASS_COUNTS, LOOKUPS, THUMBS, Sources
from ui.thumbs import PATH

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

HEADER = "X-Remote-User"


class Scored(NamedTuple):
    """An archive with scores, and the log of what users think of them."""

    sources: Sources
    log: ThumbLog


@pytest.fixture
def scored(tmp_path: Path) -> Iterator[Scored]:
    storage = LocalStorage(tmp_path / "archive")
    archive_sample_alerts(storage)
    run_service(storage, MadeScores())
    log, lookups = ThumbLog(storage.below("outliers")), Lookups(storage)
    sources = (
        Sources().poll(CLASS_COUNTS, lambda: ()).provide(LOOKUPS, lookups).provide(THUMBS, log)
    )
    yield Scored(sources, log)
    lookups.close()


def test_a_thumb_of_a_signed_in_user_is_in_the_log(browser: Browser, scored: Scored) -> None:
    app = asgi(UiSettings(user_header=HEADER), scored.sources, (tonight.PAGE,))
    context = browser.new_context(extra_http_headers={HEADER: "alice"})
    with listening(app) as (host, port, _):
        page = context.new_page()
        page.emulate_media(reduced_motion="reduce")  # no colour is half-way to another
        page.goto(f"http://{host}:{port}/?order=outliers&survey=ztf&context=transient-like")
        button = page.get_by_role("button", name="no more like alert").first
        description = button.get_attribute("aria-label", timeout=60_000)
        for name, chosen in (("survey", "ztf"), ("context", "transient-like"), ("night", "")):
            expect(page.locator(f"select[name={name}]")).to_have_value(chosen, timeout=60_000)
        for head in ("context", "p in it", "band", "mag", "arrived in Kafka"):
            expect(page.get_by_role("columnheader", name=head, exact=True)).to_be_visible()
        for width, scheme in ((1280, "light"), (390, "dark")):
            page.set_viewport_size({"width": width, "height": 844})
            page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
            found = Axe().run(page)
            assert found.violations_count == 0, f"{width} {scheme}: {found.generate_report()}"
            reasons = page.locator(".fr-below-text").first.bounding_box()
            card = page.locator(".fr-table").first.bounding_box()
            assert reasons
            assert card
            assert reasons["x"] + reasons["width"] < card["x"] + card["width"], width
        button.click()
        expect(page.get_by_role("status").filter(has_text="down, saved")).to_be_visible(
            timeout=60_000
        )
    context.close()
    (entry,) = scored.log.entries()
    assert (entry.user, entry.action, entry.survey) == ("alice", "down", "ztf")
    assert description == f"no more like alert {entry.alert_id}"
    assert entry.shown["reasons"]
    assert entry.features


def test_nobody_else_gives_one(scored: Scored) -> None:
    alert = {"alert": "1", "action": "up"}
    for settings, headers, status in (
        (UiSettings(), {HEADER: "mallory"}, 403),  # no sign-in is set
        (UiSettings(user_header=HEADER), {}, 401),
        (UiSettings(user_header=HEADER), {HEADER: "a", "Origin": "http://evil.example"}, 403),
        (UiSettings(user_header=HEADER), {HEADER: "alice"}, 422),  # no alert of that id
    ):
        app = asgi(settings, scored.sources, (tonight.PAGE,))
        browser = TestClient(app, base_url="http://127.0.0.1:5000", client=("127.0.0.1", 1))
        answer = browser.post(PATH, params=alert, headers=headers)
        assert answer.status_code == status, answer.text
    assert scored.log.entries() == []
