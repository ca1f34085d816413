import html
import io
import json
import re
import subprocess
import sys
from datetime import timedelta

import pytest
from rich.console import Console

from finkray.results.counts import ClassCounts, NightCounts
from finkray.status.archive import Alarm, BalanceSheet, PartitionStatus, Snapshot
from finkray.status.service import ServiceSnapshot
from finkray.text import count_text
from jobs.cluster.connect import Cluster
from jobs.cluster.job import Job
from jobs.cluster.started_jobs import StartedJob, UnexpectedEnd
from jobs.cluster.unexpected_ends import EndedJob
from jobs.commands.render_status import status_json, status_text
from jobs.daemons.archive import ARCHIVE
from tests.support.classified import service
from tests.support.snapshots import NIGHT, STREAMOUT, busy_night
from ui.kit.reading import Reading
from ui.pages.live import head_html, small_tables_html, wide_tables_html
from ui.views.archive import figures

ARCHIVE = Job("archive", ARCHIVE, "finkray-archive-1", "RUNNING", NIGHT, 60)
CLUSTER = Cluster("127.0.0.1:6379")


def shown(snapshot: Snapshot | None, jobs: tuple[Job, ...] = (ARCHIVE,)) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(status_text(CLUSTER, jobs, snapshot, NIGHT + timedelta(seconds=2), long=True))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return " ".join(text.replace("\u2009", "").split())


def test_everything_of_a_busy_night_is_there() -> None:
    night = busy_night()
    sheet = night.balance
    text = shown(night)
    for line in (
        "archive finkray-archive-1 RUNNING",
        "archive: running; since 2026-11-23 23:00:45 UTC (4 h 12 min); as of 2026-11-24 03:12:45",
        "2026-11-24 03:12:45 UTC (2.0 s ago)",
        "incoming 620 alerts/s",
        "held 310 MiB of 512 MiB allowed",
        "lag ≥ 2000 offsets in Kafka, not yet durable · backlog 4200",
        "archive /data/ztf/archive Kafka kafka-1.example.org:9092,kafka-2.example.org:9092",
        "epoch 7 version 0.1.0",
        "done 4210 last: claims 8 last: alerts 3904 last: took 1.3 s p50 1.2 s p95 2.4 s",
        "durable 2.4 s 4.9 s 12 s 88400",
        "2026112400512 lsst 9800 189 2026-11-24 03:12:41 UTC 2.2 s 412 wait",
        "2026112400511 lsst 9813 189 2026-11-24 03:12:04 UTC 2.2 s 3.1 s",
        "union index out of range 14",
        "ingest-1 251 MiB 256 MiB 98 % 9 paused 2 9f3c2b7a",
        f"received {sheet.received} archived {sheet.archived} dead-lettered 17 gaps: expired",
        "upstream 40 gaps: not delivered 4 gaps: unreadable 0 difference 0 waiting in Kafka 2000",
        "ztf_20261124_programid1 3 897 4200 150003 150900 ingest-1",
        "ztf_20261124_programid1 2 unknown 0 150002 unknown ingest-0",
    ):
        assert line in text


def test_alarms_say_what_to_do() -> None:
    alarm = Alarm(code="disk_full", since=NIGHT, message="no room", what_to_do="make room")
    text = shown(busy_night(alarms=(alarm,)))
    assert "ALARM disk_full since 2026-11-24 03:12:45 UTC (2.0 s): no room make room" in text


def test_an_old_snapshot_is_not_shown_as_the_present_state() -> None:
    text = shown(busy_night(NIGHT - timedelta(minutes=5)))
    assert "archive: no report from the archive for 5 min 2 s" in text
    assert "last report: running, 2026-11-24 03:07:45 UTC, 5 min 2 s ago" in text


def test_a_difference_is_shown() -> None:
    assert "difference 3" in shown(busy_night(balance=BalanceSheet(received=10, archived=7)))


def test_many_partitions_are_cut_to_those_that_lag() -> None:
    places = tuple(
        PartitionStatus(topic="t", partition=n, actor=None, frontier=0, high_watermark=n)
        for n in range(100)
    )
    text = shown(busy_night(partitions=places))
    assert "the 24 of 100 partitions that lag most" in text
    assert "t 99 99 0 0 99 unassigned" in text
    assert "t 75 75" not in text


def test_when_nothing_runs() -> None:
    nothing = "archive: no report Ray at 127.0.0.1:6379: no job of finkray runs"
    assert shown(None, ()) == nothing
    assert "balance" not in shown(None)


def test_json_has_the_whole_snapshot() -> None:
    snapshot = busy_night()
    raw = json.loads(json.dumps(status_json(CLUSTER, [ARCHIVE], snapshot)))
    assert Snapshot.model_validate(raw["snapshot"]) == snapshot
    assert raw["services"][0]["since"] == "2026-11-24T03:12:45+00:00"
    assert raw["cluster"]["local"] is False
    lists = ("services", "ended_unexpectedly", "own_services", "classes")
    keys = ("cluster", "snapshot", "archive_at_rest", "hats", "index", "streamout")
    nulls = dict.fromkeys(keys)
    nothing = {**nulls, **{name: [] for name in lists}}
    assert status_json(None, [], None) == nothing


def test_page_terminal_and_json_have_the_same_numbers() -> None:
    snapshot, now = busy_night(), NIGHT + timedelta(seconds=2)
    drawn = (
        head_html(Reading(snapshot, now), now)
        + small_tables_html(snapshot)
        + wide_tables_html(snapshot)
    )
    page = " ".join(html.unescape(re.sub("<[^>]*>", " ", drawn)).split())
    lines = lines_of(160, CLUSTER, [ARCHIVE], snapshot, now, long=True)
    terminal = " ".join(" ".join(lines).split())
    raw = status_json(CLUSTER, [ARCHIVE], snapshot)["snapshot"]
    sheet = [raw["balance"][name] for name in ("received", "archived", "dead_lettered", "waiting")]
    counts = [*sheet, *raw["dead_letters_by_reason"].values(), raw["visits"][0]["alerts"]]
    shown = [*map(count_text, counts), *(each.value for each in figures(snapshot))]
    for text in (" ".join(each.split()) for each in shown):
        assert text in page, text
        assert text in terminal, text


def test_a_service_shows_its_cost_and_that_it_is_paused() -> None:
    bright = ServiceSnapshot(
        name="bright",
        service="bright",
        version="1",
        spec="mymodule:Bright",
        state="running",
        started_at=NIGHT,
        at=NIGHT,
        actors=2,
        actors_wanted=3,
        waiting=4200,
        behind_s=12.0,
        alerts_per_s=620.0,
        alerts_per_s_a_core=15000.0,
        latency_p99_s=4.9,
        by_status={"ok": 88400, "error": 17},
        results=88417,
        breaker="open",
        last_fault="raised: ConnectionError: no catalogue",
    )
    console = Console(file=io.StringIO(), width=160)
    console.print(status_text(CLUSTER, [ARCHIVE], None, NIGHT, [bright], long=True))
    raw = console.file.getvalue()  # type: ignore[attr-defined]
    text = " ".join(raw.replace("\u2009", "").split())
    assert "ALARM service-paused: bright is paused: raised: ConnectionError: no catalogue" in text
    assert "finkray service check mymodule:Bright --archive" in text
    assert "bright 1 running 2 of 3 4200 0 12 s 620 15000 4.9 s 17 88417" in text
    printed = status_json(CLUSTER, [ARCHIVE], None, [bright])["own_services"]
    assert printed[0]["breaker"] == "open"


def test_what_to_type_about_a_paused_service_is_shown_whole_among_other_alarms() -> None:
    paused = service(
        spec="observatory.services.brightening:Brightening", breaker="open", last_fault="x" * 9000
    )
    for others in range(3):
        alarms = tuple(
            Alarm(code=f"C{n}", since=NIGHT, message="m" * 500, what_to_do="w" * 500)
            for n in range(others)
        )
        text = " ".join(
            lines_of(100, CLUSTER, [ARCHIVE], busy_night(alarms=alarms), NIGHT, [paused])
        )
        advice = "finkray service check observatory.services.brightening:Brightening --archive"
        assert advice in " ".join(text.split()), others


def test_the_classes_of_the_newest_night_are_shown_and_all_nights_are_in_the_json() -> None:
    nights = (
        NightCounts(
            night="2026-11-24",
            classes={"Unknown": 60, "RR*": 30, "not checked": 10},
            hours=("2026-11-24T01",),
        ),
        NightCounts(night="2031-01-01", classes={"QSO": 7}, hours=("2026-11-23T01",)),
    )
    counts = ClassCounts(
        name="classify", version="1", at=NIGHT, cursor="1:9:0", alerts=107, nights=nights
    )
    console = Console(file=io.StringIO(), width=160)
    now = NIGHT + timedelta(seconds=2)
    console.print(status_text(CLUSTER, (), None, now, classes=(counts,), long=True))
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "classify 1, classes of the night of 2026-11-24, as of 2.0 s ago" in text
    assert "Unknown 60 60 %" in text
    assert "not checked 10 10 %" in text
    assert "QSO" not in text
    (printed,) = status_json(None, (), None, classes=(counts,))["classes"]
    assert printed["nights"][1]["classes"] == {"QSO": 7}
    assert printed["name"] == "classify"


@pytest.mark.parametrize("terminal", [True, False])
def test_the_output_has_colours_on_a_terminal_alone(*, terminal: bool) -> None:
    console = Console(file=io.StringIO(), width=160, force_terminal=terminal or None)
    console.print(status_text(CLUSTER, (ARCHIVE,), busy_night(), NIGHT))
    assert ("\x1b[" in console.file.getvalue()) == terminal  # type: ignore[attr-defined]


def test_status_loads_neither_gradio_nor_pandas() -> None:
    code = (
        "import sys, jobs.cli.main, jobs.commands.render_status\n"
        "print({'gradio', 'pandas'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_jobs_that_ended_without_being_stopped_are_an_alarm_even_when_nothing_runs() -> None:
    job = StartedJob(name="archive", job_id="archive-1", started_at=NIGHT)
    ended = [EndedJob(job, UnexpectedEnd(at=NIGHT, reason="the local Ray ended: raylet"))]
    console = Console(file=io.StringIO(), width=160)
    console.print(status_text(None, (), None, NIGHT, ended=ended, notes=["ui was started again"]))
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert text.startswith("nothing runs: the local Ray ended, and no command stopped it")
    assert "ALARM job-ended since 2026-11-24 03:12:45 UTC: archive, started" in text
    assert "finkray start archive starts it again" in text
    assert "ui was started again" in text
    (printed,) = status_json(None, (), None, ended=ended)["ended_unexpectedly"]
    assert printed["reason"] == "the local Ray ended: raylet"


def lines_of(width: int, *args: object, **facts: object) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(status_text(*args, **facts))  # type: ignore[arg-type]
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(("width", "count"), [(100, 1), (100, 2), (100, 12), (160, 12)])
def test_the_worst_night_fits_into_35_lines_state_first_then_alarms(width: int, count: int) -> None:
    alarms = tuple(
        Alarm(code=f"CODE_{n}", since=NIGHT, message="m" * 5000, what_to_do="w " * 400)
        for n in range(count)
    )
    jobs = tuple(
        Job(f"service-{n}-" + "x" * 80, ARCHIVE.daemon, f"finkray-{n}", "RUNNING", NIGHT, 60)
        for n in range(30)
    )
    night = NightCounts(night="2026-11-24", classes={"c" * 300: 60, "RR*": 30}, hours=())
    counts = ClassCounts(
        name="classify", version="1", at=NIGHT, cursor="1:9:0", alerts=90, nights=(night,)
    )
    snapshot = busy_night(alarms=alarms)
    lines = lines_of(
        width, CLUSTER, jobs, snapshot, NIGHT, classes=(counts, counts, counts), notes=["n"] * 9
    )
    assert len(lines) <= 35
    assert lines[0].startswith(f"archive: running, {count} alarm")
    text = "\n".join(lines)
    assert text.index("ALARM CODE_0") < text.index("last visit") < text.index("service-0")
    assert ("and 9 more alarms: CODE_3, CODE_4" in text) == (count == 12)
    assert "finkray status --long" in lines[-1]


def test_a_quiet_night_is_a_dozen_lines_with_one_for_each_job() -> None:
    text = lines_of(160, CLUSTER, [ARCHIVE], busy_night(), NIGHT + timedelta(seconds=2))
    assert len(text) <= 12
    assert "last visit: lsst 2026112400512" in text[1]
    assert "lag ≥ 2\u2009000" in text[2]
    assert "difference 0" in text[2] + text[3]
    (job,) = (line for line in text if line.startswith("archive  "))
    assert job.split()[:2] == ["archive", "RUNNING"]


def test_streaming_out_has_a_line_and_with_long_its_filters_and_consumer_groups() -> None:
    now = NIGHT + timedelta(seconds=2)
    snapshot = STREAMOUT["FILTER_RESTS"]
    texts = []
    for long in (False, True):
        console = Console(file=io.StringIO(), width=160)
        console.print(
            status_text(CLUSTER, (ARCHIVE,), busy_night(), now, streamout=snapshot, long=long)
        )
        text = console.file.getvalue()  # type: ignore[attr-defined]
        texts.append(" ".join(text.replace("\u2009", "").split()))
    short, long_text = texts
    assert "streamout: 2 filters" in short
    assert "1 rest; 1 consumer groups, alice lags 7" in short
    for text in texts:
        assert "ALARM FILTER_RESTS: 1 filter rests: broken: died: its process ended" in text
    assert "bright bright_alerts active 1000 2.00%" in long_text
    assert "alice bright_alerts 7" in long_text
    raw = status_json(CLUSTER, (ARCHIVE,), busy_night(), streamout=snapshot)
    assert raw["streamout"]["filters"][0]["sent"] == 20
