"""docs/filters.md and docs/subscribe.md are true: followed on real alerts and a real Kafka."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.streamout.engine import Streamout
from jobs.commands.consume import consume_now
from sim.broker.kafka import Kafka
from tests.support import docs_pages
from tests.support.commands import Finkray
from tests.support.packets import real_ztf_packets
from tests.support.real_archives import RealArchive

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

DOCS = docs_pages.CHECKOUT / "docs"


def write_files(folder: Path) -> None:
    for page in ("filters.md", "subscribe.md"):
        for name, text in docs_pages.files(DOCS / page).items():
            (folder / name).write_text(text)
        for block in docs_pages.blocks("toml", DOCS / page):
            name = block.splitlines()[0].removeprefix("# ")
            (folder / name).write_text(block)


def test_who_follows_the_pages_has_filters_and_reads_their_topics(
    finkray: Finkray, kafka: Kafka, tmp_path: Path, test_data: Path
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
    tested = follow(test)
    (passed,) = re.findall(r"bright: (\d+) of 205 alerts pass", tested)
    assert "for example ZTF" in tested
    assert "bright" in follow(publish)
    assert "(full, fink)" in follow(publish_faint)
    archive.put("ztf", packets)
    send()
    rows = {row["name"]: row for row in json.loads(follow(f"{listed} --json"))}
    assert rows["bright"]["sent"] == int(passed) > 0
    assert rows["faint"]["sent"] > 0
    assert f"{passed} sent" in follow(listed)
    follow(pause)
    archive.put("ztf", packets)
    send()
    follow(resume)
    send()

    printed, as_parquet, as_avro = docs_pages.commands(DOCS / "subscribe.md", live=False)
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
    own = subprocess.run(
        [sys.executable, "read_topic.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert len(own.stdout.splitlines()) == 3 * int(passed)
    assert "retired" in follow(retire)
