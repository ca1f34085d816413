"""The pages in a browser: the real server, the real Gradio, a real Chromium."""

import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from finkray.results.class_list import ClassifiedAlert
from finkray.results.counts import ClassCounts, NightCounts
from finkray.settings.ui import UiSettings
from finkray.status.archive import Alarm, Snapshot
from finkray.status.service import ServiceSnapshot
from tests.support.archiving import wait_until
from tests.support.classified import BEFORE, LAST, alert, counts, service
from tests.support.pages import empty_sources
from tests.support.snapshots import busy_night
from tests.support.web import listening
from ui.app import asgi
from ui.kit.offline_gradio import gr
from ui.kit.page import QUIET
from ui.kit.page import Page as SitePage
from ui.sources import (
    CLASS_COUNTS,
    CLASS_LISTS,
    SERVICES,
    STATUS,
    Sources,
)

pytestmark = pytest.mark.browser

REFRESH_S = 0.5

REPLAY = """
const [ask, wait] = [window.fetch, window.setTimeout];
let answers = [], left = 0, done = null;
window.fetch = async (url, options) => {
  if (!left || !/^live.live(\\?|$)/.test(url)) return ask(url, options);
  left -= 1;
  if (!left) wait(done);
  return new Response(answers[left % 2], { headers: { ETag: `"${left}"` } });
};
window.setTimeout = (call, ms, ...rest) =>
  wait(call, left && call.name === "follow" ? 0 : ms, ...rest);
window.replay = (given, times) => new Promise((resolve) => {
  [answers, left, done] = [given, times, resolve];
});
"""
"""Replays answers of the server to the tab, without waiting in between."""


@contextmanager
def served(
    night: "Night", *, root_path: str = "", strip: bool = False
) -> Iterator[tuple[str, Callable[[], None]]]:
    """Serve the pages; yield their address, and a function that stops the server.

    With `strip` the application gets its paths without `root_path`, as from a proxy.
    """
    sources = (
        empty_sources()
        .poll(STATUS, night.status)
        .poll(SERVICES, night.services)
        .poll(CLASS_COUNTS, night.counts)
        .provide(CLASS_LISTS, night.newest)
    )
    app: ASGIApp = asgi(UiSettings(refresh_s=REFRESH_S, root_path=root_path), sources)
    with listening(without_prefix(app, root_path) if strip else app) as (host, port, stop):
        yield f"http://{host}:{port}{root_path}", stop


def without_prefix(app: ASGIApp, prefix: str) -> ASGIApp:
    """Answer below a path, and nowhere else, like a reverse proxy that strips it."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if not scope["path"].startswith(f"{prefix}/"):
                await PlainTextResponse("not below the path", 404)(scope, receive, send)
                return
            path = scope["path"].removeprefix(prefix)
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await app(scope, receive, send)

    return proxy


def figure(page: Page, label: str) -> str:
    box = page.locator(".fr-figure", has=page.get_by_text(label, exact=True))
    return box.locator(".fr-value").inner_text()


class Night:
    """Sources that a test changes while a page is open."""

    def __init__(self, **changes: Any) -> None:
        self.changes = changes
        self.age = timedelta(0)
        self.runs = True
        self.classified = True
        self.breaker = "closed"

    def status(self) -> Snapshot | None:
        return busy_night(datetime.now(UTC) - self.age, **self.changes) if self.runs else None

    def services(self) -> tuple[ServiceSnapshot, ...]:
        fault = "raised: no <b>sky</b>"
        classify = service(datetime.now(UTC), breaker=self.breaker, last_fault=fault)
        return (classify,) if self.runs else ()

    def counts(self) -> tuple[ClassCounts, ...]:
        return (counts(datetime.now(UTC)),) if self.classified else ()

    def newest(
        self, counts: ClassCounts, night: NightCounts, name: str
    ) -> tuple[ClassifiedAlert, ...]:
        assert counts.name == "classify"
        return tuple(alert(n, f"{name} of {night.night}, by rule {n}") for n in range(3))


def test_figures_follow_the_snapshot(page: Page) -> None:
    night = Night(lag=1000)
    with served(night) as (url, _):
        page.goto(url)
        expect(page.locator(".fr-banner")).to_contain_text("running")
        assert figure(page, "lag") == "≥ 1\u2009000"
        # Two curves, and the legend that names them.
        expect(page.locator("#rates .mark-line path")).to_have_count(2)
        expect(page.locator("#rates")).to_contain_text("archiving")
        before = page.locator("#rates .mark-line path").first.get_attribute("d")
        assert before is not None
        assert before.count("C") + before.count("L") > 100

        night.changes = {"lag": 77, "history": busy_night().history[:100]}
        expect(page.locator(".fr-figures")).to_contain_text("77")
        assert figure(page, "lag") == "≥ 77"
        expect(page.locator("#rates .mark-line path").first).not_to_have_attribute("d", before)

        page.get_by_role("link", name="1 h").click()
        expect(page).to_have_url(f"{url}/?period=1%20h")
        expect(page.get_by_role("link", name="1 h")).to_have_attribute("aria-current", "true")
        expect(page.locator("#rates .mark-line path")).to_have_count(2)


def test_the_page_says_that_the_archive_does_not_run_has_alarms_or_died(
    page: Page,
) -> None:
    night = Night()
    night.runs = False
    with served(night) as (url, _):
        page.goto(url)
        banner = page.locator(".fr-banner")
        expect(banner).to_contain_text("no archive runs; start it with: finkray start archive")
        expect(page.locator("#rates")).to_have_count(0)
        night.runs = True
        expect(banner).to_contain_text("running")
        expect(page.locator("#rates .mark-line path")).to_have_count(2)
        night.changes = {
            "alarms": (
                Alarm(
                    code="storage-full",
                    since=datetime.now(UTC) - timedelta(minutes=3),
                    message="The disk is full ${1 + 1} {{value}} <img src=x>",
                    what_to_do="Make room",
                ),
            )
        }
        expect(page.locator(".fr-alarm")).to_contain_text(
            "The disk is full ${1 + 1} {{value}} <img src=x>"
        )
        expect(page).to_have_title("(1) finkray")
        night.age = timedelta(minutes=5)
        expect(banner).to_contain_text("no report from the archive for 5 min")


def test_an_update_changes_what_differs_and_leaves_the_rest(page: Page) -> None:
    """A banner that is put in anew would be read out each second, and a table scrolled back."""
    night = Night(lag=1000)
    with served(night) as (url, _):
        page.goto(url)
        headline, clock = page.locator(".fr-banner strong"), page.locator(".fr-clock")
        expect(clock).to_contain_text("UTC")
        mark = "element => { element.isMarked = true }"
        headline.evaluate(mark)
        clock.evaluate(mark)
        nodes = "document.querySelectorAll('*').length"
        before = page.evaluate(nodes)
        for lag in (77, 78, 79, 80):
            night.changes = {"lag": lag}
            expect(page.locator(".fr-figures")).to_contain_text(str(lag))
        assert headline.evaluate("element => element.isMarked")
        assert page.evaluate(nodes) <= before + 5  # a tab stays open for a night: nothing grows
        night.runs = False
        expect(headline).to_contain_text("no archive runs")
        expect(page.locator(".fr-figures")).to_have_count(0)
        expect(page.locator(".fr-state")).to_contain_text("no archive reports", timeout=30_000)
        assert clock.evaluate("element => element.isMarked")


def test_a_thousand_updates_leave_nothing_in_the_memory_of_the_tab(page: Page) -> None:
    def answer(url: str) -> str:
        with urllib.request.urlopen(f"{url}/live/live", timeout=30) as found:
            return str(found.read().decode())

    def replayed() -> tuple[int, float]:
        page.evaluate("answers => window.replay(answers, 400)", [first, second])
        session.send("HeapProfiler.collectGarbage")
        metrics = session.send("Performance.getMetrics")["metrics"]
        found = {each["name"]: each["value"] for each in metrics}
        return found["Nodes"], found["JSHeapUsedSize"] / 2**20

    night = Night(lag=1000)
    with served(night) as (url, _):
        first = answer(url)
        night.changes = {"lag": 77, "history": busy_night().history[:100]}
        second = wait_until("the figures change", lambda: "77" in answer(url) and answer(url))
        page.add_init_script(REPLAY)
        page.goto(url)
        expect(page.locator(".fr-figures")).to_contain_text("77")
        expect(page.locator("#rates .mark-line path")).to_have_count(2)  # the last that comes
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        times = [replayed() for _ in range(4)]
    # What is made once, as the first new curves, comes at any time; a leak grows each time.
    # gr.Plot with plotly kept 27 nodes of each update, with altair 2 MB.
    assert min(after[0] - before[0] for before, after in pairwise(times)) < 100
    assert min(after[1] - before[1] for before, after in pairwise(times)) < 0.2


def test_a_page_whose_server_is_gone_says_so_also_by_a_clock_that_was_set_back(page: Page) -> None:
    with served(Night()) as (url, stop):
        page.goto(url)
        expect(page.locator(".fr-banner")).to_contain_text("running")
        expect(page.locator(".fr-lost-note")).not_to_be_visible()
        page.evaluate("() => { const now = Date.now; Date.now = () => now() - 3600e3; }")
        stop()
        expect(page.locator(".fr-lost-note")).to_contain_text(
            "This page's server has not answered since", timeout=30_000
        )


def test_a_page_without_a_banner_does_not_claim_that_its_server_is_silent(page: Page) -> None:
    def build(blocks: Any, _: Any) -> None:
        content = gr.HTML()
        blocks.load(lambda: "<p class='mine'>a fixed text</p>", None, [content], **QUIET)

    pages = (SitePage("/", "Mine", (), build),)
    with listening(asgi(UiSettings(), Sources(), pages)) as (host, port, _):
        page.goto(f"http://{host}:{port}/")
        expect(page.locator(".mine")).to_be_visible()
        page.wait_for_timeout(12_000)  # kit.js waits for 10 s
        expect(page.locator(".fr-lost-note")).not_to_be_visible()


def test_the_page_makes_no_request_to_another_host(page: Page) -> None:
    requested: list[str] = []
    blocked: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on(
        "console",
        lambda message: (
            blocked.append(message.text) if "Content Security Policy" in message.text else None
        ),
    )
    with served(Night()) as (url, _):
        answer = page.goto(url)
        assert answer is not None
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        expect(page.locator("#rates .mark-line path")).to_have_count(2)
        page.get_by_role("button", name="Use via API").click()
        expect(page.locator("body")).to_contain_text("/snapshot")
        sources = page.eval_on_selector_all(
            "script[src], link[href]:not([rel=canonical]), img[src], iframe[src]",
            "elements => elements.map(element => element.src || element.href)",
        )
    urls = (url for url in requested + sources if url.startswith(("http", "ws")))
    hosts = {urlsplit(url).hostname for url in urls}
    assert hosts == {"127.0.0.1"}
    assert blocked == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_the_page_fits_any_screen_in_light_and_dark(
    browser: Browser, width: int, scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    word = Alarm(code="STORAGE", since=datetime.now(UTC), message="x" * 5000, what_to_do="y" * 500)
    with served(Night(alarms=(word,))) as (url, _):
        page.goto(url)
        expect(page.locator("#rates .mark-line path")).to_have_count(2)
        out_of_card = page.locator(".fr-alarm").evaluate(
            "card => card.scrollWidth - card.clientWidth"
        )
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        # Each update replaces the figures: for a moment there may be none.
        colour = page.wait_for_function(
            "() => { const figure = document.querySelector('.fr-figure');"
            " return figure && getComputedStyle(figure).backgroundColor.match(/[0-9]+/)?.[0] }"
        )
        light = int(colour.json_value())
    context.close()
    assert overflow == out_of_card == 0
    assert (light > 128) == (scheme == "light")


def test_scripts_read_what_each_page_shows_from_its_endpoint() -> None:
    from gradio_client import Client

    night = Night(epoch=12)
    with served(night) as (url, _):
        client = Client(url, verbose=False)
        raw = client.predict(api_name="/snapshot")
        assert Snapshot.model_validate(raw).epoch == 12
        assert client.predict(api_name="/services")[0]["name"] == "classify"
        assert client.predict(api_name="/classes")[0]["nights"][0]["night"] == LAST
        listed = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
        assert {"/snapshot", "/services", "/classes"} <= listed.keys()


def test_each_bar_opens_its_list_and_each_choice_has_an_address(page: Page) -> None:
    night = Night()
    night.classified = False
    with served(night) as (url, _):
        page.goto(f"{url}/classification")
        expect(page.locator(".fr-banner")).to_contain_text("no alert has a class yet")
        night.classified = True
        expect(page.locator(".fr-banner")).to_contain_text("6.0 % not checked")
        expect(page.locator(".fr-barrow")).to_have_count(5)
        expect(page.locator(".fr-barrow").first).to_contain_text("7\u2009000")
        expect(page.locator(".fr-columns")).to_contain_text("2022-06")
        expect(page.locator(".fr-tall")).to_contain_text("Unknown of 2026-11-24, by rule 0")

        page.locator(".fr-barrow", has_text="RR*").click()
        expect(page.locator(".fr-tall")).to_contain_text("RR* of 2026-11-24, by rule 2")
        expect(page.locator(".fr-barrow[aria-current]")).to_contain_text("RR*")
        assert "class=RR%2A" in page.url
        widths = [bar.bounding_box() for bar in page.locator(".fr-track i").all()]
        assert widths[0] is not None
        assert widths[2] is not None
        assert widths[2]["width"] / widths[0]["width"] == pytest.approx(900 / 7000, abs=0.01)

        page.get_by_label("night").select_option(BEFORE)
        page.get_by_role("button", name="show").click()
        expect(page.locator(".fr-banner")).to_contain_text(f"the night of {BEFORE}")
        expect(page.locator(".fr-barrow")).to_have_count(1)
        expect(page.locator(".fr-tall")).to_contain_text(f"QSO of {BEFORE}")
        assert f"night={BEFORE}" in page.url


def test_the_services_page_follows_their_snapshots(page: Page) -> None:
    night = Night()
    with served(night) as (url, _):
        page.goto(url)
        page.get_by_role("link", name="Services").click()
        expect(page.locator(".fr-banner")).to_contain_text("1 service")
        expect(page.locator(".fr-wide")).to_contain_text("31\u2009000")
        expect(page.locator(".fr-wide")).to_contain_text("closed")
        night.breaker = "open"
        expect(page.locator(".fr-alarm")).to_contain_text(
            "classify is paused: raised: no <b>sky</b>"
        )
        expect(page).to_have_title("(1) finkray")
        night.runs = False
        expect(page.locator(".fr-banner")).to_contain_text("no service runs")


@pytest.mark.parametrize("strip", [True, False])
def test_all_pages_and_links_stay_below_the_path_of_a_proxy(page: Page, *, strip: bool) -> None:
    failed: list[str] = []
    page.on(
        "response",
        lambda response: failed.append(response.url) if response.status >= 400 else None,
    )
    with served(Night(), root_path="/finkray", strip=strip) as (url, _):
        page.goto(f"{url}/")
        expect(page.locator(".fr-banner")).to_contain_text("running")
        expect(page.locator("#rates .mark-line path")).to_have_count(2)
        for title, path in (("Services", "services"), ("Classification", "classification")):
            page.get_by_role("link", name=title).click()
            expect(page).to_have_url(re.compile(f"^{re.escape(url)}/{path}/?$"))
            expect(page.locator(".fr-banner")).to_contain_text("finkray")
        page.locator(".fr-barrow", has_text="RR*").click()
        expect(page.locator(".fr-tall")).to_contain_text("RR* of 2026-11-24, by rule 2")
        page.get_by_label("night").select_option(BEFORE)
        page.get_by_role("button", name="show").click()
        expect(page.locator(".fr-tall")).to_contain_text(f"QSO of {BEFORE}")
        assert page.url.startswith(f"{url}/classification?night={BEFORE}")
    assert failed == []
