"""The page on streaming out, over HTTP: what it shows, and who may change filters."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from finkray.settings.model import Settings
from finkray.settings.ui import UiSettings
from finkray.status.streamout import FilterTrouble, GroupLag
from finkray.streamout.filter_file import filter_of_text
from finkray.streamout.projection import Projection
from finkray.streamout.published import FilterStore, PublishedFilter
from finkray.streamout.wire import Wire
from jobs.daemons.page_operations import PageOperations
from tests.support.pages import empty_sources
from tests.support.small_archives import SmallArchive
from tests.support.snapshots import FILTER, NIGHT, streamout
from ui.app import asgi
from ui.kit.reading import Reading
from ui.pages.out_streams import PAGE, published_html, streamout_html
from ui.sources import FILTER_OPERATIONS, STREAMOUT

NASTY = "<script>alert('x')</script>\u202e"
USER_HEADER = "X-User"
UI = UiSettings(user_header=USER_HEADER, operators=("alice",))


def published(name: str, about: str = "") -> PublishedFilter:
    source = f'"""{about}"""\ndef {name}(magpsf):\n    return magpsf < 18\n'
    return PublishedFilter(
        definition=filter_of_text(f"{name}.py", source),
        file_name=f"{name}.py",
        source=source,
        topic=f"t_{name}",
        projection=Projection("lite"),
        wire=Wire.CONFLUENT,
        cursor="1:0:0",
        state="active",
        published_at=NIGHT,
    )


@pytest.fixture
def store(small: SmallArchive) -> FilterStore:
    made = FilterStore(small.storage)
    made.publish(published("bright", NASTY))
    return made


@pytest.fixture
def operations(small: SmallArchive, store: FilterStore) -> PageOperations:  # noqa: ARG001 - it has a filter
    return PageOperations(Settings(ui=UI), small.storage)


@pytest.fixture
def page(operations: PageOperations) -> Iterator[TestClient]:
    sources = (
        empty_sources()
        .poll(STREAMOUT, lambda: streamout((FILTER,)))
        .provide(FILTER_OPERATIONS, operations)
    )
    app = asgi(UI, sources, (PAGE,))
    with TestClient(app, base_url="http://127.0.0.1:5000", client=("127.0.0.1", 1)) as client:
        yield client


def press(page: TestClient, button: str, data: list[Any], user: str) -> str:
    """Press a button as a browser does; return what the page answers."""
    headers = {USER_HEADER: user}
    config = page.get("/config", headers=headers).json()
    (pressed,) = (
        each["id"]
        for each in config["components"]
        if each["type"] == "button" and each["props"]["value"] == button
    )
    (event,) = (
        each["id"] for each in config["dependencies"] if [pressed, "click"] in each["targets"]
    )
    body = {"fn_index": event, "data": data, "session_hash": "test"}
    answer = page.post("/gradio_api/run/predict", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"])


def test_an_operator_pauses_resumes_and_retires_a_filter(
    page: TestClient, store: FilterStore
) -> None:
    assert "bright is paused" in press(page, "pause", ["bright", False], "alice")
    assert store.find("bright").state == "paused"
    assert "bright is active" in press(page, "resume", ["bright", False], "alice")
    assert "tick the box first" in press(page, "retire", ["bright", False], "alice")
    assert store.find("bright").state == "active"
    assert "bright is retired" in press(page, "retire", ["bright", True], "alice")
    assert store.find("bright").state == "retired"
    assert "refused: filter bright is retired" in press(page, "resume", ["bright", False], "alice")
    assert "no filter &#x27;../x&#x27; is" in press(page, "pause", ["../x", False], "alice")


def test_who_is_no_operator_changes_nothing_whatever_is_sent(
    page: TestClient, store: FilterStore
) -> None:
    before = store.all()
    draft = ["mine.csv", "t", "lite", "fink", "objectId\nZTF20abfcszi\n"]
    for button in ("pause", "resume", "retire"):
        assert "bob may not change filters" in press(page, button, ["bright", True], "bob")
    for button in ("check", "publish"):
        assert "bob may not change filters" in press(page, button, draft, "bob")
    assert store.all() == before


def test_a_draft_that_is_no_filter_is_refused_with_its_reason(page: TestClient) -> None:
    answer = press(page, "check", ["../mine.csv", "t", "lite", "fink", "ra,dec"], "alice")
    assert "refused: ../mine.csv: a filter is called as its file" in answer


def test_programs_read_the_snapshot(page: TestClient) -> None:
    body = {"data": []}
    url, headers = "/gradio_api/run/streamout", {USER_HEADER: "bob"}
    for _ in range(100):  # until the first reading is there
        (snapshot,) = page.post(url, json=body, headers=headers).json()["data"]
        if snapshot is not None:
            break
    assert snapshot["filters"][0]["name"] == "bright"


def test_every_text_from_outside_is_escaped(operations: PageOperations) -> None:
    trouble = FilterTrouble(reason=NASTY, alerts=1, named=(NASTY,))
    hostile = FILTER.model_copy(
        update={"name": NASTY, "topic": NASTY, "fault": NASTY, "troubles": (trouble,)}
    )
    snapshot = streamout((hostile,)).model_copy(
        update={"groups": (GroupLag(group=NASTY, topic=NASTY, lag=1),), "problem": NASTY}
    )
    shown = streamout_html(Reading(snapshot, datetime.now(UTC)), NIGHT) + published_html(operations)
    assert "<script" not in shown
    assert "\u202e" not in shown
    assert shown.count("&lt;script&gt;") > 10


def test_filters_that_cannot_be_read_are_reported(
    small: SmallArchive, operations: PageOperations
) -> None:
    small.storage.replace("streamout/broken.json", b"{")
    assert "cannot read the published filters: streamout/broken.json" in published_html(operations)
