"""docs/filters.md and docs/subscribe.md are true: followed on real alerts and a real Kafka."""

import json
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.host.exit_codes import CommandExit
from finkray.kafka.topics import partition_count
from finkray.streamout.engine import Streamout
from finkray.streamout.transfer import TransferResult, transfer
from jobs.commands import consume
from jobs.commands.consume import consume_now
from sim.broker.kafka import Kafka
from tests.support import docs_pages
from tests.support.commands import Finkray
from tests.support.packets import real_lsst_packets, real_ztf_packets
from tests.support.published import install
from tests.support.real_archives import RealArchive

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

LSST_ALERTS = 5

FINK_CLIENT = ("fink-client==12.3.0", "rich-click==1.9.9", "slack_sdk==3.48.0")
"""With what its command imports that our environment has not."""

RUN_FINKCTL = """
import shlex, sys
from fink_client.scripts.finkctl import cli
for line in sys.argv[1:]:
    cli(shlex.split(line), standalone_mode=False)
"""

DOCS = docs_pages.CHECKOUT / "docs"


def write_files(folder: Path) -> None:
    for page in ("filters.md", "subscribe.md"):
        for name, text in docs_pages.files(DOCS / page).items():
            (folder / name).write_text(text)
        for block in docs_pages.blocks("toml", DOCS / page):
            name = block.splitlines()[0].removeprefix("# ")
            (folder / name).write_text(block)


@pytest.fixture(scope="module")
def fink_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fink-client as it is published; what it stands on is of our environment."""
    return install(tmp_path_factory.mktemp("fink_client"), *FINK_CLIENT)


def run_file(name: str, folder: Path, environment: dict[str, str], *packages: Path) -> list[str]:
    """Run a file of the pages; return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, name],
        cwd=folder,
        env={**environment, "HOME": str(folder), "PYTHONPATH": ":".join(map(str, packages))},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_who_follows_the_pages_has_filters_and_reads_their_topics(
    finkray: Finkray, kafka: Kafka, tmp_path: Path, test_data: Path, fink_client: Path
) -> None:
    from finkray.settings.model import load

    packets = list(real_ztf_packets(test_data, "20180626_skyportal_205"))
    archive = RealArchive(tmp_path / "archive", test_data)
    archive.put("ztf", packets)
    write_files(tmp_path)
    environment = {
        "FINKRAY__KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "FINKRAY__ARCHIVE__URI": archive.storage.uri,
    }

    def follow(command: str) -> str:
        answer = finkray(*shlex.split(command)[1:], **environment)
        assert answer.returncode == 0, f"{command}: {answer.stderr}"
        return answer.stdout

    def send() -> None:  # `finkray start streamout`, without a Ray
        settings = load(None, environment)
        config = settings.streamout_client_config()
        engine = Streamout(archive.storage, config, settings.streamout)
        while engine.step():
            pass
        engine.close()

    check, test, publish, publish_faint, listed, pause, resume, retire = docs_pages.commands(
        DOCS / "filters.md", live=False
    )
    assert "alerts of ztf: reads candidate.magpsf, candidate.ndethist" in follow(check)
    assert "bright: Bright" not in follow(check)
    assert json.loads(follow(f"{check} --json"))["recent"]["alerts"] == 205
    (tmp_path / "everything.toml").write_text('sql = "magpsf < 99"')
    warned = follow("finkray filter check everything.toml")
    assert "205 of the last 205 alerts pass (100.00%)" in warned
    assert "more than 10% pass (streamout.max_share)" in warned
    (tmp_path / "number.py").write_text("def number(magpsf):\n    return magpsf + 1\n")
    refused = finkray("filter", "check", "number.py", **environment)
    assert refused.returncode == 1
    assert "number judged none of these alerts: contract: it returned float32" in refused.stderr
    tested = follow(test)
    (passed,) = re.findall(r"bright: (\d+) of 205 alerts pass", tested)
    assert "for example ZTF" in tested
    assert "bright" in follow(publish)
    assert "(full, fink)" in follow(publish_faint)
    archive.put("ztf", packets)
    send()
    (tmp_path / "brighter.toml").write_text('sql = "magpsf < 17.5"')
    brighter = follow(test.replace("bright.py", "brighter.toml"))
    assert re.search(
        rf"  {2 * int(passed)} of the \d+ pass the published filter bright too", brighter
    )
    assert "published filter faint" not in brighter
    rows = {row["name"]: row for row in json.loads(follow(f"{listed} --json"))}
    assert rows["bright"]["sent"] == int(passed) > 0
    assert rows["faint"]["sent"] > 0
    assert f"{passed} sent" in follow(listed)
    follow(pause)
    archive.put("ztf", packets)
    send()
    follow(resume)
    send()

    printed, as_parquet, as_avro, to_transfer, to_files = docs_pages.commands(
        DOCS / "subscribe.md", live=False
    )
    lines = [json.loads(line) for line in follow(printed).splitlines()]
    assert [line["finkray"]["filter"] for line in lines] == ["bright"] * 3
    assert f"{2 * int(passed)} alerts of bright were saved" in follow(as_parquet)
    assert "0 alerts of bright were saved" in follow(as_parquet), "it goes on behind its files"
    archive.put("ztf", packets)
    send()
    assert f"{passed} alerts of bright were saved" in follow(as_avro)
    saved = pa.concat_tables(map(pq.read_table, sorted((tmp_path / "alerts").glob("*.parquet"))))
    offsets = [about["offset"] for about in saved["finkray"].to_pylist()]
    for path in (tmp_path / "alerts").glob("*.avro"):
        with path.open("rb") as file:
            offsets += [alert["finkray"]["offset"] for alert in fastavro.reader(file)]
    assert len(offsets) == len(set(offsets)) == 3 * int(passed)
    faint: list[str] = []
    count = consume_now(
        load(None, environment),
        "fink_faint_ztf",
        None,
        "avro",
        print_line=faint.append,
        go_on=lambda at_end: not at_end,
        limit=None,
    )
    assert count == len(faint) == 3 * rows["faint"]["sent"]
    assert len(run_file("read_topic.py", tmp_path, environment)) == 3 * int(passed)
    with_fink = run_file("read_fink.py", tmp_path, environment, fink_client)
    expected = Counter(
        (row["objectId"], row["candidate"]["magpsf"]) for row in map(json.loads, faint)
    )
    read = Counter((line.split()[0], float(line.split()[1])) for line in with_fink)
    assert read == expected
    assert re.search(
        r"[1-9]\d* of 820 alerts were written to ftransfer_ztf_mine; 0 ref", follow(to_transfer)
    )
    moved: list[str] = []
    consume_now(
        load(None, environment),
        "ftransfer_ztf_mine",
        None,
        "avro",
        print_line=moved.append,
        go_on=lambda at_end: not at_end,
        limit=None,
    )
    assert len(moved) * 3 == 4 * len(faint), "also what came before the filter was published"
    again = finkray(*shlex.split(to_transfer)[1:], **environment)
    assert "it already exists" in again.stderr
    _assert_an_interrupted_transfer_is_told(to_transfer, finkray, environment, kafka)
    assert f"{len(moved)} of 820 alerts were written to faint; 0 refused" in follow(to_files)
    alerts = pa.concat_tables(map(pq.read_table, (tmp_path / "faint").glob("*.parquet")))
    sources = [each["finkray"]["offset"] for each in map(json.loads, moved)]
    assert sorted(each["offset"] for each in alerts["finkray"].to_pylist()) == sorted(sources)
    assert "has files already" in finkray(*shlex.split(to_files)[1:], **environment).stderr
    follow(to_files.replace("faint ", "all ", 1).partition(" --filter")[0] + " --format avro")
    (first, *_) = sorted((tmp_path / "all").glob("*.avro"))
    with first.open("rb") as file:
        assert all(alert["candidate"]["magpsf"] for alert in fastavro.reader(file))
    lsst = _send_lsst(archive, follow, send, tmp_path)
    transfer_lsst = to_transfer.replace("_ztf_mine", "_lsst_mine").replace("faint", "real")
    both = 2 * len(lsst)
    assert f"{both} of {both} alerts were written to ftransfer_lsst" in follow(transfer_lsst)
    _assert_finkctl_reads(len(moved), both, kafka, tmp_path, fink_client)
    _assert_fink_client_reads_lsst(lsst, tmp_path, environment, fink_client)
    assert "retired" in follow(retire)


def _assert_an_interrupted_transfer_is_told(
    command: str, finkray: Finkray, environment: dict[str, str], kafka: Kafka
) -> None:
    """Press Ctrl-C after the first file: what is there is half, and its topic is not announced."""

    def interrupted(*arguments: Any, **options: Any) -> TransferResult:
        tell = {"tell": lambda _: signal.raise_signal(signal.SIGINT)}
        return transfer(*arguments, **{**options, **tell})

    half = command.replace("_ztf_mine", "_ztf_half")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(consume, "transfer", interrupted)
        answer = finkray(*shlex.split(half)[1:], **environment)
    assert answer.returncode == CommandExit.INTERRUPTED
    assert re.match(r"[1-9]\d* of 205 alerts were written to ftransfer_ztf_half", answer.stdout)
    assert answer.stderr.endswith(
        "stopped before the end; begin again with another name than ftransfer_ztf_half\n"
    )
    config = {"bootstrap.servers": kafka.bootstrap_servers}
    assert partition_count(config, "ftransfer_ztf_half") is not None
    assert partition_count(config, "ftransfer_ztf_half_schema") is None
    again = finkray(*shlex.split(half)[1:], **environment)
    assert again.returncode == CommandExit.NO
    assert "it already exists: choose another name" in again.stderr


def _assert_finkctl_reads(
    moved_ztf: int, moved_lsst: int, kafka: Kafka, folder: Path, fink_client: Path
) -> None:
    """Follow the page with the command of fink-client, on topics and on bulk transfers."""
    page = (DOCS / "subscribe.md").read_text()
    lines = re.findall(r"^    finkctl (.+)$", page, flags=re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["auth", "topic", "transfer", "stream"]
    lines = [line.replace("broker:9092", kafka.bootstrap_servers) for line in lines]
    as_lsst = [line.replace("me-too", "me-three").replace("faint", "real") for line in lines]
    as_lsst = [line.replace("ztf", "lsst") for line in as_lsst]
    as_lsst = [re.sub(r"-outdir (\w+)", r"-outdir \1_lsst", line) for line in as_lsst]
    done = subprocess.run(
        [sys.executable, "-c", RUN_FINKCTL, *lines, *as_lsst],
        cwd=folder,
        env={"HOME": str(folder), "PYTHONPATH": str(fink_client)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for survey, moved in (("", moved_ztf), ("_lsst", moved_lsst)):
        saved = list((folder / f"streamed{survey}").glob("*.avro"))
        assert len(saved) == 3
        with saved[0].open("rb") as file:
            (alert,) = fastavro.reader(file)
        assert alert["diaSource"]["psfFlux"] if survey else alert["candidate"]["magpsf"] > 19
        tables = map(pq.read_table, (folder / f"moved{survey}").glob("*.parquet"))
        assert sum(table.num_rows for table in tables) == moved, done.stdout + done.stderr


def _send_lsst(
    archive: RealArchive, follow: Callable[[str], str], send: Callable[[], None], folder: Path
) -> list[Any]:
    """Publish a filter of LSST's alerts, and send some; return them."""
    frames = list(islice(real_lsst_packets(archive.test_data), LSST_ALERTS))
    archive.put("lsst", [frame for frame, _ in frames])
    (folder / "real.toml").write_text('sql = "psfFlux IS NOT NULL"\nsurvey = "lsst"\n')
    follow("finkray filter publish real.toml --topic fink_real_lsst --wire fink")
    archive.put("lsst", [frame for frame, _ in frames])
    send()
    return [alert for _, alert in frames]


def _assert_fink_client_reads_lsst(
    alerts: list[Any], folder: Path, environment: dict[str, str], fink_client: Path
) -> None:
    """Read the topic of LSST's alerts as the page reads that of ZTF's."""
    text = (folder / "read_fink.py").read_text()
    text = text.replace("fink_faint_ztf", "fink_real_lsst").replace('survey="ztf"', 'survey="lsst"')
    printed = 'print(alert["objectId"], alert["candidate"]["magpsf"])'
    assert printed in text
    own = 'print(alert["diaSourceId"], alert["diaSource"]["psfFlux"])'
    (folder / "read_lsst.py").write_text(text.replace(printed, own))
    read = {
        tuple(line.split()) for line in run_file("read_lsst.py", folder, environment, fink_client)
    }
    assert read == {
        (str(alert["diaSourceId"]), str(alert["diaSource"]["psfFlux"])) for alert in alerts
    }
