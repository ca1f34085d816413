"""Objects, searches, Tonight and the API, on one archive of real alerts, without Spark."""

import io
import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import fastavro
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from finkray.reader import Archive
from finkray.settings.ui import UiSettings
from finkray.status.archive import Snapshot
from finkray.status.last_audit import LastAudit
from finkray.text import time_text
from jobs.commands.render_status import status_json
from tests.support.classified import alert, counts, service
from tests.support.curve_alerts import CurveArchive, ztf_alert, ztf_detection, ztf_table
from tests.support.pages import empty_sources
from tests.support.parity import Parity, run_service
from tests.support.real_archives import ZTF_ALERTS, real_archive
from tests.support.snapshots import busy_night
from tests.support.web import listening
from ui.app import asgi
from ui.lookups.process import Lookups
from ui.pages import PAGES
from ui.sources import (
    AT_REST,
    CLASS_COUNTS,
    CLASS_LISTS,
    ENDED_JOBS,
    LAST_AUDIT,
    LOOKUPS,
    SERVICES,
    SQL,
    STATUS,
)
from ui.views.sql_html import EXAMPLES

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

OBJECT, CANDID, RA, DEC = "ZTF18aaxavun", 541294366115010020, 277.87629, 7.52704

NASTY = "<img src=x onerror=alert(1)>${alert(7)}{{7*7}}\u202e'\""

AUDIT = LastAudit(
    at=datetime.now(UTC) - timedelta(hours=3),
    balanced=True,
    archived=211,
    dead_lettered=0,
    difference=0,
    findings=0,
)


class Site:
    """A server of the pages that look into an archive."""

    def __init__(self, url: str, archive: Archive, sql: Lookups) -> None:
        self.url, self.archive, self.sql = url, archive, sql

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=60) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            body: bytes = answer.read()
        return body


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Iterator[Site]:
    storage = real_archive(tmp_path_factory.mktemp("objects"), test_data).storage
    run_service(storage, Parity())
    hostile = [ztf_alert(ztf_detection(n), object_id=NASTY) for n in range(1, 4)]
    CurveArchive(storage).put(ztf_table(*hostile), "hostile")
    sql = Lookups(storage)
    sources = (
        empty_sources()
        .poll(STATUS, lambda: busy_night(datetime.now(UTC)))
        .poll(AT_REST, lambda: None)
        .poll(ENDED_JOBS, lambda: ())
        .poll(SERVICES, lambda: (service(datetime.now(UTC)),))
        .poll(CLASS_COUNTS, lambda: (counts(datetime.now(UTC)),))
        .provide(CLASS_LISTS, lambda *_: (alert(1, NASTY),))
        .provide(LOOKUPS, Lookups(storage))
        .provide(SQL, sql)
        .provide(LAST_AUDIT, lambda: AUDIT)
    )
    with listening(asgi(UiSettings(), sources)) as (host, port, _):
        yield Site(f"http://{host}:{port}", Archive(storage), sql)


def test_an_object_is_found_by_id_candid_and_position(page: Page, site: Site) -> None:
    for text in (OBJECT, str(CANDID)):
        page.goto(site.url)
        page.get_by_label("Find an object").fill(text)
        page.get_by_role("button", name="find").click()
        expect(page.locator("h1")).to_have_text(OBJECT, timeout=30_000)
    page.goto(f"{site.url}/object?q={RA}+{DEC}+5")
    page.get_by_role("link", name=OBJECT).click()
    expect(page.locator("h1")).to_have_text(OBJECT)


def test_the_page_shows_the_light_curve_of_the_archive_and_its_images(
    page: Page, site: Site
) -> None:
    points = site.archive.lightcurve(OBJECT)
    detections = sum(mag is not None for mag in points["mag"].to_pylist())
    limits = points["kind"].to_pylist().count("limit")
    page.goto(f"{site.url}/object?id={OBJECT}")
    first = page.locator(".fr-curve").first
    expect(first.locator("title")).to_have_count(detections + limits)
    expect(page.locator(".fr-curve")).to_have_count(3)
    expect(page.locator(".fr-curve").nth(2)).to_have_attribute(
        "aria-label", re.compile("^periodogram: power up to 0")
    )
    loaded = "image => image.complete && image.naturalWidth"
    for image in page.locator(".fr-images img").all():
        image.scroll_into_view_if_needed()
        expect(image).to_have_js_property("complete", value=True)
        assert image.evaluate(loaded) == 63
    page.get_by_role("link", name="flux", exact=True).click()
    expect(page.locator(".fr-curve").first).to_have_attribute(
        "aria-label", "light curve: 37 points, flux, nJy over MJD (TAI)"
    )
    assert "quantity=flux" in page.url
    page.get_by_label("period, days").fill("3.5")
    page.get_by_role("button", name="fold").click()
    expect(page.locator(".fr-curve").nth(1)).to_contain_text("period 3.5 d")
    avro = page.get_by_role("link", name="Avro").get_attribute("href")
    assert avro is not None
    (packet,) = fastavro.reader(io.BytesIO(site.get(avro.removeprefix("api/v1/"))))
    assert (packet["objectId"], packet["candid"]) == (OBJECT, CANDID)
    assert packet["cutoutScience"]["stampData"].startswith(b"\x1f\x8b")
    found = json.loads(site.get(f"objects/{OBJECT}"))
    ((durable_at, results),) = (
        (alert["durable_at"], alert["results_durable_at"]) for alert in found["alerts"]
    )
    way = page.locator(".fr-table", has_text=f"the way of alert {CANDID}").locator("tbody tr")
    expect(way.nth(1)).to_contain_text(re.compile(r"ztf\[0\] at \d+"))
    expect(way.nth(2)).to_contain_text(time_text(datetime.fromisoformat(durable_at)))
    expect(way.nth(3)).to_contain_text(time_text(datetime.fromisoformat(results[0]["durable_at"])))
    (given,) = found["classes"]
    assert given["results"] == "parity/1"
    history = page.locator(".fr-table", has_text="classes over time").locator("tbody td")
    expect(history.first).to_have_text("parity/1")
    expect(history.nth(1)).to_have_text(given["name"])
    page.locator("summary", has_text=f"alert {CANDID}").click()
    expect(page.locator(".fr-tree").first).to_contain_text("objectId")


def test_tonight_lists_the_brightest_first_and_leads_to_the_object(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/tonight?order=bright")
    choice = page.locator(".fr-choice label").first
    arrow = choice.evaluate("label => getComputedStyle(label, '::after').width")
    assert arrow == "7px"  # without one the box does not look like a choice
    stamp = page.get_by_role("img", name="difference image").first
    expect(stamp).to_have_js_property("naturalWidth", 63, timeout=30_000)
    curve = page.get_by_role("img", name="light curve").first
    expect(curve).to_have_js_property("naturalWidth", 120, timeout=30_000)
    page.locator("td a").first.click()
    expect(page.locator("h1")).to_have_text(OBJECT)
    rows = json.loads(site.get("tonight?order=bright&top=200"))
    assert [row["mag"] for row in rows] == sorted(row["mag"] for row in rows)
    assert not any(row["solar_system"] for row in rows)
    table = pacsv.read_csv(io.BytesIO(site.get("tonight?order=bright&top=200&format=csv")))
    assert table["object_id"].to_pylist() == [row["object_id"] for row in rows]
    new = json.loads(site.get("tonight?order=new"))
    assert new
    assert all(row["detections"] <= 2 for row in new)
    hostless = json.loads(site.get("tonight?order=hostless"))
    assert all((row["host_arcsec"] or 99) >= 5 for row in hostless)
    for survey in ("ztf", "lsst"):
        of_survey = json.loads(site.get(f"tonight?order=bright&top=200&context=&survey={survey}"))
        assert {row["survey"] for row in of_survey} == {survey}
        expected = [row for row in rows if row["survey"] == survey]
        assert of_survey[: len(expected)] == expected
    page.goto(f"{site.url}/tonight")
    expect(page.locator(".fr-table")).to_contain_text("finkray start outliers")


def test_the_api_gives_the_same_in_four_formats(site: Site) -> None:
    points = site.archive.lightcurve(OBJECT)
    path = f"objects/{OBJECT}/lightcurve"
    assert pq.read_table(io.BytesIO(site.get(f"{path}?format=parquet"))).equals(points)
    assert pacsv.read_csv(io.BytesIO(site.get(f"{path}?format=csv"))).num_rows == points.num_rows
    assert len(json.loads(site.get(path))) == points.num_rows
    assert site.get(f"{path}?format=votable").count(b"<TR>") == points.num_rows
    (found,) = json.loads(site.get(f"cone?ra={RA}&dec={DEC}"))
    assert (found["object_id"], found["alerts"]) == (OBJECT, 1)
    raw = json.loads(site.get("snapshot"))
    assert raw["lag"] == busy_night().lag
    # The API, the page's endpoint and `finkray status --json` say the same.
    assert raw == status_json(None, (), Snapshot.model_validate(raw))["snapshot"]
    paths = json.loads(site.get("openapi.json"))["paths"]
    assert {"/api/v1/cone", "/api/v1/tonight", "/api/v1/objects/{object_id}"} <= paths.keys()
    assert len(site.archive.dataset(topic="ztf").to_table(["candid"])) == ZTF_ALERTS


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("objects/nothing", 422),
        ("objects/slash%2Fand%0Aline%00/lightcurve", 422),
        ("cone?ra=400&dec=0", 422),
        ("cone?ra=nan&dec=0", 422),
        ("alert?topic=../../etc&partition=0&offset=0", 404),
        ("alert.avro?topic=ztf&partition=0&offset=9999", 404),
        ("objects/nothing/lightcurve.svg", 422),
        ("cutout.png?topic=ztf&partition=0&offset=9999&name=science", 404),
        ("tonight?order=outliers", 422),
        ("tonight?order=bright&survey=ptf", 422),
        ("tonight?order=bright&context=near", 422),
    ],
)
def test_what_is_not_there_or_malformed_is_refused(site: Site, path: str, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        site.get(path)
    assert refused.value.code == status
    assert json.loads(refused.value.read())["detail"]


def test_an_id_that_is_not_there_says_so(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/object?id=ZTF99zzzzzzz")
    expect(page.locator(".fr-table")).to_contain_text("no alert in")
    page.goto(f"{site.url}/object?q=12345")
    expect(page.locator(".fr-table")).to_contain_text("has the id 12345")


def test_the_archive_page_shows_its_nights_audit_and_disk(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/archive")
    figures = page.locator(".fr-figures")
    expect(figures).to_contain_text("balanced", timeout=30_000)
    expect(figures).to_contain_text("nights")
    nights = page.locator(".fr-table", has_text="the newest nights")
    expect(nights.locator("tbody tr").first).to_contain_text("2026-11-23")
    page.locator("a.fr-day").first.click()
    expect(page).to_have_url(f"{site.url}/archive?night=2026-11-23")
    hours = page.locator(".fr-table", has_text="hours of the night")
    expect(hours).to_contain_text(f"2026-11-24 01 hztf{ZTF_ALERTS}")


def test_a_query_gives_a_table_files_and_the_same_in_python(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/archive")
    page.get_by_role("link", name="ZTF: the brightest").click()
    answer = page.locator(".fr-tall", has_text="answer: ")
    expect(answer.locator("tbody tr")).to_have_count(20, timeout=30_000)
    mags = [float(each) for each in answer.locator("tbody td:nth-child(3)").all_inner_texts()]
    assert mags == sorted(mags)
    expect(page.locator(".fr-curve circle")).to_have_count(20)
    page.get_by_label("a SELECT over ztf").fill("SELECT count(*) AS n FROM ztf")
    page.get_by_role("button", name="run").click()
    expect(answer.locator("tbody")).to_have_text("208")
    code = page.locator("pre", has_text="open_archive").inner_text()
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["answer"].to_pylist() == [{"n": 208}]
    page.get_by_label("a SELECT over ztf").fill("COPY ztf TO 'x'")
    page.get_by_role("button", name="run").click()
    expect(page.locator(".fr-table p", has_text="expected one SELECT, found COPY")).to_be_visible()


def test_examples_and_files_of_queries_are_those_of_the_api(site: Site) -> None:
    for _, text in EXAMPLES[:-1]:
        assert json.loads(site.get(f"query?{urlencode({'sql': text})}"))
    query = "SELECT topic, count(*) AS n FROM ztf GROUP BY ALL ORDER BY ALL"
    path = f"query?{urlencode({'sql': query})}"
    expected = [{"topic": "hostile", "n": 3}, {"topic": "ztf", "n": ZTF_ALERTS}]
    assert json.loads(site.get(path)) == expected
    assert pq.read_table(io.BytesIO(site.get(f"{path}&format=parquet"))).to_pylist() == expected
    assert pacsv.read_csv(io.BytesIO(site.get(f"{path}&format=csv"))).to_pylist() == expected
    assert site.get(f"{path}&format=votable").count(b"<TR>") == 2
    formula = urlencode({"sql": "SELECT '=1+1' AS x", "format": "csv"})
    assert b"'=1+1" in site.get(f"query?{formula}")


def test_a_cell_of_the_sky_leads_to_the_objects_in_it(page: Page, site: Site) -> None:
    found = json.loads(site.get("sky?alerts=archive"))
    cells = {cell["pixel"]: cell["alerts"] for cell in found["cells"]}
    assert found["alerts"] == sum(cells.values()) == ZTF_ALERTS + 3 + 3
    page.goto(f"{site.url}/sky?alerts=archive")
    expect(page.locator(".fr-sky a")).to_have_count(len(cells), timeout=30_000)
    fullest = found["cells"][0]
    page.locator(".fr-sky a").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".fr-caption")).to_contain_text(f"of {fullest['ra_deg']:.4f}")
    assert page.locator("tbody tr").count() > 0
    assert sum(cell["alerts"] for cell in json.loads(site.get("sky"))["cells"]) == found["alerts"]


def test_every_line_of_the_api_page_runs_as_it_stands(
    page: Page, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page.goto(f"{site.url}/api")
    expect(page.locator("pre")).to_have_count(2 * 13 + 1, timeout=30_000)
    lines = page.locator("pre").all_inner_texts()
    headings = page.locator("h2", has_text="GET /").all_inner_texts()
    documented = json.loads(site.get("openapi.json"))["paths"]
    assert {heading.removeprefix("GET ") for heading in headings} == documented.keys()
    for line in lines:
        if line.startswith("curl"):
            done = subprocess.run(["bash", "-c", line], capture_output=True, check=False)
            assert done.returncode == 0, f"{line}: {done.stderr!r}"
            assert done.stdout or " -o " in line
        else:
            names: dict[str, Any] = {}
            exec(line, names)
            assert len(names["table"] if "table" in names else names["found"])
    assert (tmp_path / "cutout.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "alert.avro").read_bytes().startswith(b"Obj\x01")


def test_a_query_without_end_stops_neither_the_live_page_nor_look_ups(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = f"query?{urlencode({'sql': 'SELECT 1 AS one'})}"
    assert json.loads(site.get(first)) == [{"one": 1}]  # its process has started
    monkeypatch.setattr(site.sql, "_timeout_s", 2.0)
    endless = "WITH RECURSIVE t AS (SELECT 1 n UNION ALL SELECT n FROM t) SELECT count(*) FROM t"
    status: list[int] = []

    def ask() -> None:
        try:
            site.get(f"query?{urlencode({'sql': endless})}")
        except urllib.error.HTTPError as error:
            status.append(error.code)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.5)  # the query has begun; if it has not, the assertions hold as well
    assert json.loads(site.get("snapshot"))["lag"] == busy_night().lag
    assert json.loads(site.get(f"cone?ra={RA}&dec={DEC}"))
    asking.join(timeout=60)
    assert status == [504]
    monkeypatch.undo()
    assert json.loads(site.get(first)) == [{"one": 1}]


SMALL_TARGETS = """[...document.querySelectorAll("nav a, .contain :is(a, button, select, input)")]
  .filter(each => each.checkVisibility() && !each.closest("svg"))
  .filter(each => each.getBoundingClientRect().height < 43.5)
  .map(each => each.outerHTML.slice(0, 200))"""
"""What a finger can hardly hit on a phone."""

SCREENS = ((1400, "light"), (1400, "dark"), (390, "dark"), (390, "light"))


@pytest.mark.parametrize(
    "path",
    [
        *(each.path.lstrip("/") for each in PAGES),
        f"object?id={OBJECT}",
        "archive?sql=SELECT+1",
        "tonight?order=bright",
    ],
)
def test_a_screen_reader_finds_no_fault_and_all_fits_any_screen(
    page: Page, site: Site, path: str
) -> None:
    page.emulate_media(reduced_motion="reduce")  # no colour is half-way to another
    page.goto(f"{site.url}/{path}")
    expect(page.locator(".fr-header")).to_be_visible()
    expect(page.locator(".fr-table").first).not_to_have_text("looking …", timeout=30_000)
    if path.startswith("tonight?"):
        expect(page.get_by_role("img", name="light curve").first).to_be_visible()
    widths: set[int] = set()
    for width, scheme in SCREENS:
        page.set_viewport_size({"width": width, "height": 844})
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
        # Only colours differ in the second scheme of a width.
        rules = {"runOnly": ["color-contrast"]} if width in widths else {}
        widths.add(width)
        found = Axe().run(page, options=rules)
        assert found.violations_count == 0, f"{width} {scheme}: {found.generate_report()}"
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow == 0, f"{width} {scheme}"
        assert page.locator("nav").evaluate("nav => nav.offsetHeight < 100"), "more than one line"
        expect(page.locator("nav [aria-current=page]")).to_be_in_viewport()
        assert width > 700 or page.evaluate(SMALL_TARGETS) == []
