"""Hostile alerts come through Kafka: nothing in them runs or steers a page, a file or a terminal.

Their ids become classes and reasons too, by a service that copies them.
"""

import csv
import io
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

import finkray
from actors.classes import CHECKED
from finkray.ledger.read import read_state
from finkray.results.class_source import ClassSource
from finkray.settings.ui import UiSettings
from finkray.text import visible_text
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest
from tests.support.avro_cases import container
from tests.support.commands import Finkray
from tests.support.packets import send
from tests.support.pages import empty_sources
from tests.support.parity import run_service
from tests.support.web import listening
from ui.app import asgi
from ui.lookups.objects import light_curve
from ui.lookups.process import Lookups
from ui.pages import PAGES
from ui.sources import CLASS_COUNTS, CLASS_LISTS, LOOKUPS, SQL, STATUS

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.ray,
    pytest.mark.spark,
    pytest.mark.browser,
    pytest.mark.timeout(900),
]

MARKUP: Final = "<img src=x onerror=alert(1)><script>alert(2)</script>${alert(7)}{{7*7}}'\""
CONTROLS: Final = "\x1b[2J\x1b]0;owned\x07\0\r\nZTF\u202etxt\u2066"
FORMULA: Final = '=HYPERLINK("http://example.org";"open")'
LONG: Final = "ZTF" + "x" * 20_000
IDS: Final = (MARKUP, CONTROLS, FORMULA, LONG, "")

TOPIC: Final = "chain_.-hostile-" + "_-.x" * 50
"""Kafka allows nothing worse in a name."""

RA, DEC = 123.4567, 45.6789

STEERS: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What no terminal may get."""


class Echo(finkray.Service):
    """Give each alert its id as class, and as the reason for it, in place of `classify`."""

    name = "classify"
    version = "1"
    columns = ("objectId",)
    output = pa.schema([("class", pa.string()), ("rule", pa.string()), ("checked", CHECKED)])

    def process(self, alerts: pa.Table) -> pa.Table:
        ids = alerts["objectId"]
        nothing = pa.nulls(len(alerts), CHECKED)
        return pa.table({"class": ids, "rule": ids, "checked": nothing}, schema=self.output)


@dataclass
class HostileArchive:
    """The shared archive with the hostile alerts, and a server of its pages."""

    archive: ArchiveUnderTest
    url: str

    def get(self, path: str) -> bytes:
        """Return what the API answers."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=60) as answer:
            body: bytes = answer.read()
        return body


def hostile_packets(packet: bytes) -> Iterator[bytes]:
    """Yield a real packet once with each id, and what becomes dead letters."""
    reader = fastavro.reader(io.BytesIO(packet))
    (alert,) = reader
    for number, object_id in enumerate(IDS, start=1):
        alert["objectId"], alert["publisher"] = object_id, MARKUP
        alert["candid"] = alert["candidate"]["candid"] = number
        alert["candidate"]["ra"], alert["candidate"]["dec"] = RA, DEC
        sink = io.BytesIO()
        fastavro.writer(sink, reader.writer_schema, [alert])
        yield sink.getvalue()
    yield MARKUP.encode()
    for nasty in (MARKUP, CONTROLS):
        fields = [{"name": "candid", "type": nasty}]
        yield container({"type": "record", "name": "alert", "fields": fields}, b"")


@pytest.fixture(scope="module")
def hostile(
    shared: ArchiveUnderTest, kafka: Kafka, packets: list[bytes]
) -> Iterator[HostileArchive]:
    archive = shared.running()
    before = read_state(archive.storage).state.last_seq
    kafka.create_topic(TOPIC)
    sent = list(hostile_packets(packets[0]))
    archive.wait_for_topic(TOPIC, send(kafka.bootstrap_servers, TOPIC, sent))
    run_service(archive.storage, Echo(), before)
    lookups = Lookups(archive.storage)
    assert len(lookups.ask(light_curve, MARKUP))  # its process has started
    classes, snapshot = ClassSource(archive.storage), archive.snapshot()
    assert snapshot is not None
    sources = (
        empty_sources()
        .poll(STATUS, lambda: snapshot.model_copy(update={"at": datetime.now(UTC)}))
        .poll(CLASS_COUNTS, classes.counts)
        .provide(CLASS_LISTS, classes.newest)
        .provide(LOOKUPS, lookups)
        .provide(SQL, lookups)
    )
    with listening(asgi(UiSettings(), sources)) as (host, port, _):
        yield HostileArchive(archive, f"http://{host}:{port}")
    archive.storage.delete_folder("science/classify")


def addresses() -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the addresses of each page, and the hostile texts that each shows."""
    every = (MARKUP, CONTROLS, FORMULA)
    letter = {"letter": f"0:{len(IDS) + 1}:{TOPIC}"}
    query = {"sql": f"SELECT objectId FROM ztf WHERE topic = '{TOPIC}'"}
    asked: dict[str, list[tuple[dict[str, object], Sequence[str]]]] = {
        "/tonight": [({"order": "bright"}, every), ({"order": "bright", "class": MARKUP}, IDS[:1])],
        "/object": [
            ({"id": MARKUP}, IDS[:1]),
            ({"id": CONTROLS}, IDS[1:2]),
            ({"id": LONG}, ()),
            ({"id": f"{MARKUP}x"}, ()),  # there is none
            ({"q": f"{RA} {DEC}"}, every),
        ],
        "/classification": [({"results": "classify/1", "class": MARKUP}, IDS[:1])],
        "/sky": [({"alerts": "archive", "class": MARKUP}, ())],
        "/archive": [({**letter, **query}, every)],
    }
    assert asked.keys() <= {page.path for page in PAGES}
    for page in PAGES:
        for words, texts in asked.get(page.path, [({}, ())]):
            yield f"{page.path.lstrip('/')}?{urlencode(words)}", texts


def test_nothing_that_the_stream_carries_runs_on_any_page(
    page: Page, hostile: HostileArchive
) -> None:
    ran: list[str] = []
    page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    for path, texts in addresses():
        page.goto(f"{hostile.url}/{path}")
        expect(page.locator(".fr-header"), path[:200]).to_be_visible()
        content = page.locator(".fr-table").first
        expect(content, path[:200]).not_to_have_text("looking …", timeout=180_000)
        for text in texts:
            shown = page.get_by_text(visible_text(text)[:200]).locator("visible=true").first
            expect(shown, f"{text!r} on {path}").to_be_visible()
        found = page.evaluate(
            "[...document.querySelectorAll('[onerror], [onload], img[src=x], script')]"
            ".filter(each => each.matches('img[src=x], [onerror]')"
            " || each.textContent.includes('alert(2)')).length"
        )
        assert found == 0, path
        width = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert width == 0, path
    assert ran == []


def test_the_api_gives_what_the_stream_carries_and_files_that_nothing_runs(
    hostile: HostileArchive,
) -> None:
    for object_id in IDS[:4]:
        path = f"objects/{quote(object_id, safe='')}"
        found = json.loads(hostile.get(path))
        assert found["object_id"] == object_id
        (given,) = found["classes"]
        assert given["name"] == object_id
        assert len(json.loads(hostile.get(f"{path}/lightcurve"))) > 0
        drawn = ET.fromstring(hostile.get(f"{path}/lightcurve.svg"))
        assert not list(drawn.iter("{http://www.w3.org/2000/svg}script"))
    cone = f"cone?ra={RA}&dec={DEC}"
    ids = {row["object_id"] for row in json.loads(hostile.get(cone))}
    assert set(IDS[:4]) <= ids
    assert (
        set(
            pq.read_table(io.BytesIO(hostile.get(f"{cone}&format=parquet")))[
                "object_id"
            ].to_pylist()
        )
        == ids
    )
    assert_no_formula(hostile.get(f"{cone}&format=csv").decode())
    ET.fromstring(hostile.get(f"{cone}&format=votable"))
    query = urlencode({"sql": f"SELECT objectId, publisher FROM ztf WHERE topic = '{TOPIC}'"})
    assert {row["objectId"] for row in json.loads(hostile.get(f"query?{query}"))} == set(IDS)
    assert_no_formula(hostile.get(f"query?{query}&format=csv").decode())
    tonight = json.loads(hostile.get("tonight?order=bright&top=200"))
    assert {MARKUP, CONTROLS, FORMULA} <= {row["object_id"] for row in tonight}
    assert {each["name"] for each in json.loads(hostile.get("classes"))} == {"classify"}
    place = urlencode({"topic": TOPIC, "partition": 0, "offset": 1})
    assert json.loads(hostile.get(f"alert?{place}"))["objectId"] == CONTROLS
    (packet,) = fastavro.reader(io.BytesIO(hostile.get(f"alert.avro?{place}")))
    assert packet["objectId"] == CONTROLS
    snapshot = json.loads(hostile.get("snapshot"))
    assert TOPIC in [partition["topic"] for partition in snapshot["partitions"]]
    for path in (
        f"objects/{quote(MARKUP + 'x', safe='')}",
        f"alert?topic={quote(MARKUP)}&partition=0&offset=0",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            hostile.get(path)
        assert refused.value.headers["Content-Type"] == "application/json"


def test_no_command_lets_the_stream_steer_the_terminal(
    hostile: HostileArchive, finkray: Finkray
) -> None:
    config = ("-c", str(hostile.archive.config))
    place = ("--topic", TOPIC, "--partition", "0")
    circle = ("cone", str(RA), str(DEC), "1")
    told = {
        words: finkray(*words, *config)
        for words in (
            circle,
            ("lightcurve", MARKUP),
            ("lightcurve", CONTROLS + "x"),
            ("periodogram", CONTROLS),
            ("object", CONTROLS),
            ("object", MARKUP),
            ("deadletters", "list", "--all", "--topic", TOPIC),
            ("deadletters", "show", *place, "--offsets", f"{len(IDS)}-{len(IDS) + 2}"),
            ("service", "list"),
            ("audit", "--deep", "all"),
        )
    }
    status = hostile.archive.finkray("status", "--long")
    assert status.returncode == 0, status.stderr
    text = "".join([status.stdout, status.stderr, *(a.stdout + a.stderr for a in told.values())])
    assert TOPIC[:40] in status.stdout
    assert STEERS.search(text) is None
    assert visible_text(CONTROLS) in "".join(told[circle].stdout.split("\n"))
    assert visible_text(CONTROLS)[:20] in told["object", CONTROLS].stdout
    as_csv = finkray(*circle, "--csv", *config)
    assert as_csv.returncode == 0, as_csv.stderr
    assert_no_formula(as_csv.stdout)
    as_json = finkray(*circle, "--json", *config).stdout
    assert set(IDS[:4]) <= {each["object_id"] for each in json.loads(as_json)}
    assert STEERS.search(as_json) is None


def assert_no_formula(text: str) -> None:
    """Assert that a spreadsheet runs no cell of a CSV file, and that the formula is in it."""
    cells = [cell for row in csv.reader(io.StringIO(text.replace("\0", "?"))) for cell in row]
    assert f"'{FORMULA}" in cells
    assert [cell for cell in cells if re.match(r"[=@\t\r]|[+-](?![\d.])", cell)] == []
