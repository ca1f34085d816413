"""An operator publishes a watch list on the page; its alerts are sent, and the page shows it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from finkray.settings.model import load
from finkray.status.streamout import StreamoutSnapshot
from finkray.streamout.engine import Streamout
from jobs.daemons.page_operations import PageOperations
from sim.broker.kafka import Kafka
from tests.support.packets import real_ztf_packets
from tests.support.pages import empty_sources
from tests.support.real_archives import RealArchive
from tests.support.web import listening
from ui.app import asgi
from ui.passwords import password_line
from ui.sources import FILTER_OPERATIONS, STREAMOUT

pytestmark = [pytest.mark.browser, pytest.mark.kafka, pytest.mark.timeout(300)]

OBJECTS = ("ZTF18aabkuor", "ZTF17aabudoc")
"""Each has an alert among the packets."""

SLOW_MS = 120_000
"""A filter is published by a process that loads its libraries first."""


def opened(browser: Browser, url: str, user: str) -> Page:
    credentials: dict[str, str] = {"username": user, "password": f"{user} has words"}
    page = browser.new_context(http_credentials=credentials).new_page()  # type: ignore[arg-type]
    page.goto(url)
    expect(page.locator(".fr-banner")).to_contain_text("filter", timeout=SLOW_MS)
    return page


def test_an_operator_publishes_a_watch_list_and_sees_what_it_sends(
    browser: Browser, kafka: Kafka, topic: str, tmp_path: Path, test_data: Path
) -> None:
    archive = RealArchive(tmp_path / "archive", test_data)
    packets = list(real_ztf_packets(test_data, "20180626_skyportal_205"))
    archive.put("ztf", packets[:20])
    users = tmp_path / "users"
    users.write_text(
        "".join(password_line(each, f"{each} has words") + "\n" for each in ("al", "bo"))
    )
    instance = re.sub(r"[^a-z0-9_-]", "", topic.lower())[-40:]
    settings = load(
        None,
        {
            "FINKRAY__KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "FINKRAY__ARCHIVE__URI": archive.storage.uri,
            "FINKRAY__STREAMOUT__INSTANCE": f"t{instance}",
            "FINKRAY__UI__PASSWORD_FILE": str(users),
            "FINKRAY__UI__OPERATORS": '["al"]',
        },
    )
    engine = Streamout(archive.storage, settings.streamout_client_config(), settings.streamout)
    started_at = datetime.now(UTC)

    def snapshot() -> StreamoutSnapshot:
        return StreamoutSnapshot(
            instance=settings.streamout.instance,
            started_at=started_at,
            at=datetime.now(UTC),
            filters=engine.statuses(),
        )

    sources = (
        empty_sources()
        .poll(STREAMOUT, snapshot)
        .provide(FILTER_OPERATIONS, PageOperations(settings, archive.storage))
    )
    with listening(asgi(settings.ui, sources)) as (host, port, _):
        url = f"http://{host}:{port}/streamout"
        page = opened(browser, url, "al")
        page.get_by_label("file name").fill("mine.csv")
        page.get_by_label("topic").fill(topic)
        page.get_by_label("text of the file").fill("ra,dec,radius_arcsec\n10,-91,2\n")
        page.get_by_role("button", name="check").click()
        expect(page.locator("body")).to_contain_text("refused:", timeout=SLOW_MS)
        page.get_by_label("text of the file").fill("objectId\n" + "\n".join(OBJECTS))
        page.get_by_role("button", name="publish").click()
        expect(page.locator("body")).to_contain_text(f"is published to {topic}", timeout=SLOW_MS)

        archive.put("ztf", packets)
        while engine.step():
            pass
        sent = engine.progress["mine"].sent
        assert sent == len(OBJECTS)
        filters = page.locator("section", has_text="behind: age of the oldest durable file")
        expect(filters).to_contain_text(topic, timeout=SLOW_MS)
        expect(filters.locator("tbody tr")).to_contain_text("active")

        page.get_by_label("filter to change").click()
        page.get_by_role("option", name="mine").click()
        page.get_by_role("button", name="pause").click()
        expect(page.locator("body")).to_contain_text("mine is paused", timeout=SLOW_MS)
        expect(filters.locator("tbody tr")).to_contain_text("paused", timeout=SLOW_MS)

        other = opened(browser, url, "bo")
        expect(other.locator("body")).to_contain_text("bo may not change filters", timeout=SLOW_MS)
        expect(other.get_by_role("button", name="publish")).to_have_count(0)
    engine.close()
