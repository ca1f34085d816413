"""Contents of pages: made once for all tabs, and sent to those that do not have them."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI
from starlette.testclient import TestClient

from ui.kit.live import MOST_KEPT, SEEN_HEADER, LiveContents

AN_HOUR_S = 3600.0


class Night:
    """Makes two parts, and counts how often."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, str]] = []
        self.figures = "7 alerts"

    def parts(self, query: Mapping[str, str]) -> tuple[str, str]:
        self.asked.append(query)
        return self.figures, f"<b>{query.get('class', 'any')}</b>"


def client(night: Night, every_s: float) -> TestClient:
    contents = LiveContents()
    contents.add("night", night.parts, every_s)
    app = FastAPI()
    app.router.routes.append(contents.route())
    return TestClient(app, raise_server_exceptions=False)


def test_all_tabs_of_an_address_share_what_was_made() -> None:
    night = Night()
    with client(night, AN_HOUR_S) as tabs:
        answers = [tabs.get("/live/night?class=SN").json() for _ in range(3)]
        assert answers == [["7 alerts", "<b>SN</b>"]] * 3
        assert night.asked == [{"class": "SN"}]
        assert tabs.get("/live/night").json()[1] == "<b>any</b>"
        assert tabs.get("/live/night?class=").json()[1] == "<b></b>"  # a name that is empty


def test_tabs_that_ask_at_the_same_time_share_it_too() -> None:
    night, began, go_on = Night(), threading.Event(), threading.Event()

    def slow(query: Mapping[str, str]) -> tuple[str, str]:
        began.set()
        assert go_on.wait(60)
        return night.parts(query)

    contents = LiveContents()
    contents.add("night", slow, AN_HOUR_S)
    app = FastAPI()
    app.router.routes.append(contents.route())
    with TestClient(app) as tabs, ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(tabs.get, "/live/night") for _ in range(4)]
        assert began.wait(60)
        go_on.set()
        assert {answer.result(60).status_code for answer in answers} == {200}
    assert len(night.asked) == 1


def test_a_tab_gets_the_parts_that_it_does_not_have() -> None:
    night = Night()
    with client(night, 0.0) as tab:
        first = tab.get("/live/night")
        seen = {SEEN_HEADER: first.headers["ETag"].strip('"')}
        same = tab.get("/live/night", headers=seen)
        assert (same.status_code, same.content) == (204, b"")
        night.figures = "8 alerts"
        assert tab.get("/live/night", headers=seen).json() == ["8 alerts", None]
        # What a server before this one sent, or somebody made up, is as good as nothing.
        assert tab.get("/live/night", headers={SEEN_HEADER: "a.b.c"}).json()[1] == "<b>any</b>"


def test_what_fails_is_tried_again_by_the_next() -> None:
    night = Night()
    contents = LiveContents()
    fails = [True, False]

    def parts(query: Mapping[str, str]) -> tuple[str, str]:
        if fails.pop(0):
            raise OSError("the disk is away")
        return night.parts(query)

    contents.add("night", parts, AN_HOUR_S)
    app = FastAPI()
    app.router.routes.append(contents.route())
    with TestClient(app, raise_server_exceptions=False) as tab:
        assert tab.get("/live/night").status_code == 500
        assert tab.get("/live/night").status_code == 200


def test_addresses_without_end_do_not_fill_the_memory() -> None:
    night = Night()
    with client(night, AN_HOUR_S) as tab:
        for number in range(MOST_KEPT + 1):
            tab.get(f"/live/night?class={number}")
        asked = len(night.asked)
        tab.get(f"/live/night?class={MOST_KEPT}")
        assert len(night.asked) == asked
        tab.get("/live/night?class=0")
        assert len(night.asked) == asked + 1


def test_a_page_with_a_long_address_has_what_one_without_a_choice_has() -> None:
    night = Night()
    with client(night, AN_HOUR_S) as tab:
        long = tab.get(f"/live/night?sql={'x' * 3000}")
        assert (long.status_code, long.content) == (200, tab.get("/live/night").content)
    assert len(night.asked) == 1


def test_what_no_page_has_is_refused() -> None:
    night = Night()
    with client(night, AN_HOUR_S) as tab:
        assert tab.get("/live/else").status_code == 404
    assert night.asked == []
