"""An archive as readers see it."""

import json
import re
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import finkray
from finkray.errors import StorageError
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, publish, recover
from finkray.storage.hours import Span, span_of, utc
from tests.support.ledgers import ZTF
from tests.support.small_archives import SmallArchive


def offsets(table: pa.Table) -> list[int]:
    return sorted(table["kafka_offset"].to_pylist())


# Times.


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24T01", datetime(2026, 11, 24, 1, tzinfo=UTC)),
        ("2026-11-24 01:30", datetime(2026, 11, 24, 1, 30, tzinfo=UTC)),
        ("2026-11-24T01:30:00Z", datetime(2026, 11, 24, 1, 30, tzinfo=UTC)),
        ("2026-11-24T01:30-03:00", datetime(2026, 11, 24, 4, 30, tzinfo=UTC)),
        (datetime(2026, 11, 24, 1, 30), datetime(2026, 11, 24, 1, 30, tzinfo=UTC)),  # noqa: DTZ001
        (
            datetime(2026, 11, 24, 1, 30, tzinfo=timezone(timedelta(hours=-3))),
            datetime(2026, 11, 24, 4, 30, tzinfo=UTC),
        ),
    ],
)
def test_a_moment_is_utc(given: str | datetime, moment: datetime) -> None:
    assert utc(given) == moment
    assert utc(given).tzinfo is UTC


def test_a_span_ends_with_the_day_or_hour_that_it_names() -> None:
    day = datetime(2026, 11, 24, tzinfo=UTC)
    hour = timedelta(hours=1)
    assert span_of("2026-11-24") == Span(day, day + 24 * hour)
    assert span_of("2026-11-24T01") == Span(day + hour, day + 2 * hour)
    assert span_of("2026-11-23..2026-11-24") == Span(day - 24 * hour, day + 24 * hour)
    assert span_of("2026-11-24T01:30..2026-11-24T02") == Span(day + 1.5 * hour, day + 3 * hour)
    for text in ("", "yesterday", "2026-13-01", "2026-11-24T01:30", "2026-11-24..2026-11-23"):
        with pytest.raises(ValueError, match=re.escape(repr(text))):
            span_of(text)


# The dataset.


def test_all_alerts_with_their_folders_as_columns(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    small.put(0, 99, every=timedelta(minutes=2), dead=[7])
    small.put(0, 9, source=ZTF._replace(topic="other", topic_id="another-id"))
    table = archive.dataset().to_table()
    assert table.num_rows == 109
    assert set(table["topic"].to_pylist()) == {ZTF.topic, "other"}
    assert table.schema.field("hour").type == pa.int32()
    assert table.schema.field("topic").type == pa.string()
    assert archive.dataset(topic="other").count_rows() == 10
    assert archive.dataset(topic=["other", ZTF.topic]).count_rows() == 109
    assert archive.dataset(topic="none such").count_rows() == 0
    assert archive.dataset(topic=ZTF.topic).to_table(columns=["candidate"]).num_rows == 99


def test_a_span_opens_only_the_files_of_its_hours(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    small.put(0, 299)  # one a minute from 01:00
    half_past = archive.dataset("2026-11-24T01:30", "2026-11-24T03:10")
    assert offsets(half_past.to_table()) == list(range(30, 130))
    assert sorted(re.findall(r"hour=(\d\d)", " ".join(half_past.files))) == ["01", "02", "03"]
    assert offsets(archive.dataset(end="2026-11-24T02").to_table()) == list(range(60))
    assert offsets(archive.dataset("2026-11-24T05:00").to_table()) == list(range(240, 300))
    assert offsets(archive.dataset("2026-11-24T01:10", "2026-11-24T01:20").to_table()) == list(
        range(10, 20)
    )
    assert archive.dataset("2026-11-25").count_rows() == 0
    assert archive.dataset(end="2026-11-24").count_rows() == 0
    only = archive.dataset("2026-11-24T01:30").filter(pc.field("kafka_offset") < 40)
    assert only.count_rows() == 10


def test_the_machines_zone_does_not_matter(
    small: SmallArchive, archive: finkray.Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.put(0, 59)
    monkeypatch.setenv("TZ", "America/Santiago")
    time.tzset()
    try:
        assert archive.dataset("2026-11-24T01", "2026-11-24T02").count_rows() == 60
        assert archive.dataset("2026-11-24T01:30", "2026-11-24T02").count_rows() == 30
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_row_without_a_time_is_in_the_hour_where_it_is_filed(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    small.put(0, 9, begins=None, candidate={"jd": 2461368.5})
    (path,) = archive.dataset().files
    year, month, day, hour = map(int, re.findall(r"=(\d+)", path.partition("/year")[1] + path)[-4:])
    filed = datetime(year, month, day, hour, tzinfo=UTC)
    assert archive.dataset(filed, filed + timedelta(hours=1)).count_rows() == 10
    assert archive.dataset(filed + timedelta(minutes=1)).count_rows() == 0


def test_every_field_of_every_schema_version_is_there(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    small.put(0, 9, candidate={"jd": 1.0, "fid": 2})
    small.put(10, 19, candidate={"jd": 1.0, "drb": {"score": 0.5}, "fid": 2})
    small.put(20, 29, candidate={"jd": 1.0})
    table = archive.dataset().to_table()
    rows = {row["kafka_offset"]: row for row in table.to_pylist()}
    assert rows[1]["candidate"] == {"jd": 1.0, "fid": 2, "drb": None}
    assert rows[11]["candidate"] == {"jd": 1.0, "fid": 2, "drb": {"score": 0.5}}
    assert rows[11]["prv_candidates"] == [{"jd": 1.0, "fid": 2, "drb": {"score": 0.5}}]
    assert rows[21]["prv_candidates"] == [{"jd": 1.0, "fid": None, "drb": None}]
    column = archive.dataset().to_table(columns={"drb": pc.field("candidate", "drb", "score")})
    assert sorted(column["drb"].drop_null().to_pylist()) == [0.5] * 10


def test_types_of_one_topic_that_cannot_be_one_are_named_with_what_helps(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    small.put(0, 9, candidate={"jd": 1.0, "rb": 0.5})
    small.put(10, 19, candidate={"jd": 1.0, "fid": 1})
    small.put(20, 29, candidate={"jd": 1.0, "rb": 0.5, "fid": "g"})

    with pytest.raises(ValueError, match=rf"topic {ZTF.topic} has two schemas") as caught:
        archive.dataset()

    advice = str(caught.value).split("): ")[-1]
    assert "topic=" not in advice
    named = re.findall(r"-([0-9a-f]{8})\.parquet", advice)
    schemas = [sha256(json.dumps(names).encode()) for names in (["fid", "jd"], ["fid", "jd", "rb"])]
    assert sorted(named) == sorted(schema.hexdigest()[:8] for schema in schemas)


def test_types_that_cannot_be_one_are_named_with_their_files(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    small.put(0, 9, candidate={"jd": 1.0})
    small.put(0, 9, source=ZTF._replace(topic="other", topic_id="x" * 8), candidate={"jd": "one"})
    with pytest.raises(ValueError, match="open them apart, with topic="):
        archive.dataset()
    assert archive.dataset(topic="other").count_rows() == 10


def test_an_archive_that_is_empty_or_not_there(tmp_path: Path) -> None:
    archive = finkray.open_archive(tmp_path)
    assert archive.dataset().count_rows() == 0
    assert len(archive.ledger()) == 0
    assert list(archive.follow(wait_s=0)) == []
    assert archive.audit().balanced
    with pytest.raises(StorageError, match="no such folder"):
        finkray.open_archive(tmp_path / "none")
    with pytest.raises(ValueError, match="ftp:// is not supported"):
        finkray.open_archive("ftp://bucket/archive")
    assert finkray.open_archive(tmp_path.as_uri()).uri == str(tmp_path)


def test_the_ledger_as_a_table(small: SmallArchive, archive: finkray.Archive) -> None:
    small.put(0, 99, dead=[1, 2])
    table = archive.ledger()
    (row,) = table.to_pylist(maps_as_pydicts="strict")
    assert (row["topic"], row["first_offset"], row["last_offset"]) == (ZTF.topic, 0, 99)
    assert (row["archived"], row["dead_lettered"]) == (98, 2)
    assert sum(file["rows"] for file in row["files"]) == 98
    assert row["dead_letters_by_reason"] == {"truncated": 2}


def test_importing_finkray_is_light() -> None:
    code = (
        "import sys, finkray; heavy = {'ray', 'pyspark', 'astropy', 'pandas', 'pyarrow'};"
        "assert not heavy & set(sys.modules); finkray.open_archive;"
        "assert not {'ray', 'pyspark', 'astropy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert {name for name in finkray.__all__ if getattr(finkray, name)} == {
        "Archive",
        "Durable",
        "Service",
        "__version__",
        "lightcurve",
        "open_archive",
        "service",
    }


# Following.


def test_following_gives_each_file_once_in_order_of_commit(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    small.put(0, 119, dead=[3])
    small.put(120, 129)
    seen = list(archive.follow(wait_s=0))
    assert [(one.claim.first_offset, one.rows) for one in seen] == [(0, 59), (0, 60), (120, 10)]
    assert [one.uri for one in seen] == [f"{archive.uri}/{one.path}" for one in seen]
    assert all(small.storage.size_bytes(one.path) for one in seen)
    assert not any(one.repaired for one in seen)
    for number, one in enumerate(seen):
        rest = list(archive.follow(one.cursor, wait_s=0))
        assert [other.path for other in rest] == [other.path for other in seen[number + 1 :]]
    small.put(130, 139)
    (new,) = archive.follow(seen[-1].cursor, wait_s=0)
    assert new.claim.first_offset == 130


@pytest.mark.parametrize("cursor", ["", "1", "1:2", "2:1:0", "1:x:0", "1:-1:0", "nonsense"])
def test_what_is_no_cursor_is_refused(archive: finkray.Archive, cursor: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        archive.follow(cursor)


def test_a_follower_waits_for_what_is_committed_but_not_published(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    small.put(0, 9)
    first, second = small.stage(10, 19), small.stage(20, 29)
    small.ledger.append([first])
    small.ledger.append([second])
    # The later one is published before the earlier one, as a crash may leave it.
    small.storage.publish(second.staged)
    seen = list(archive.follow(wait_s=0))
    assert [one.claim.first_offset for one in seen] == [0]
    recover(Ledger.take_over(small.storage), small.storage)
    rest = list(archive.follow(seen[-1].cursor, wait_s=0))
    assert [one.claim.first_offset for one in rest] == [10, 20]


def test_a_follower_wakes_up_for_what_comes(small: SmallArchive, archive: finkray.Archive) -> None:
    small.put(0, 9)
    threading.Timer(0.5, lambda: small.put(10, 19)).start()
    following = archive.follow(wait_s=30)
    assert [next(following).claim.first_offset for _ in range(2)] == [0, 10]


def test_a_file_that_is_gone_does_not_stop_a_follower(
    small: SmallArchive, archive: finkray.Archive, caplog: pytest.LogCaptureFixture
) -> None:
    lost = small.put(0, 9)
    small.put(10, 19)
    small.put(20, 29)
    (path,) = lost.staged
    small.storage.delete([path])
    following = list(archive.follow(wait_s=0.5))
    assert [one.claim.first_offset for one in following] == [10, 20]
    assert caplog.text.count(path) == 1

    again = small.stage(0, 9)
    commit(small.ledger, small.storage, [again], kind="repaired")
    (repaired,) = archive.follow(following[-1].cursor, wait_s=0)
    assert (repaired.path, repaired.repaired) == (path, True)


def test_a_follower_gets_the_alerts_of_resolved_letters_once_and_marked(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    before = small.put(0, 9, dead=[3, 4])
    small.put(10, 19)
    done = list(archive.follow(wait_s=0))
    assert not any(one.resolved for one in done)
    first = small.resolve(before.result, 3)
    small.resolve(first.result, 4)
    late = list(archive.follow(done[-1].cursor, wait_s=0))
    assert [(one.file.first_offset, one.rows) for one in late] == [(3, 1), (4, 1)]
    assert all(one.resolved and not one.repaired for one in late)
    assert archive.dataset().count_rows() == 20
    for n in range(20, 150):
        small.put(n, n)
    folding = small.ledger.compact()
    assert folding is not None
    folding.result()
    again = list(archive.follow(done[-1].cursor, wait_s=0))
    assert [one.path for one in again[:2]] == [one.path for one in late]
    assert [one.resolved for one in again[:3]] == [True, True, False]


def test_following_goes_on_over_folded_entries(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    cursor = None
    seen = []
    for n in range(150):
        small.put(n, n)
        if n % 40 == 5:
            folding = small.ledger.compact()
            if folding is not None:
                folding.result()
        if n % 30 == 0:
            for one in archive.follow(cursor, wait_s=0):
                cursor = one.cursor
                seen.append(one.claim.first_offset)
    seen += [one.claim.first_offset for one in archive.follow(cursor, wait_s=0)]
    assert seen == list(range(150))
    assert small.storage.files("ledger/folded")


def test_readers_need_no_right_to_write(small: SmallArchive, archive: finkray.Archive) -> None:
    small.put(0, 9)
    before = dict(small.storage.walk(""))
    archive.dataset().to_table()
    archive.ledger()
    archive.audit(deep="all")
    list(archive.follow(wait_s=0))
    assert dict(small.storage.walk("")) == before


def test_publish_is_what_makes_a_file_visible(
    small: SmallArchive, archive: finkray.Archive
) -> None:
    staged = small.stage(0, 9)
    small.ledger.append([staged])
    assert archive.dataset().count_rows() == 0
    publish(small.ledger, small.storage)
    assert archive.dataset().count_rows() == 10
