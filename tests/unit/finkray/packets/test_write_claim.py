"""A claim becomes staged Parquet files that account for all its offsets."""

import json
import pickle
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from finkray.claim import Claim, DataFile, Gap, StagedClaim, TopicPartition
from finkray.errors import StorageError
from finkray.packets.batch import AlertBatch, make_batch
from finkray.packets.columns import ADDED_COLUMNS
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.packets.decode import Decoder
from finkray.packets.message import RawMessage
from finkray.packets.write_claim import write_claim
from finkray.storage.layout import parse_path, schema_path
from finkray.storage.local import LocalStorage
from tests.support.avro_cases import container, differences, fastavro_reads, long, sized
from tests.support.packets import BROKEN_2016, real_ztf_packets

SOURCE = TopicPartition("cluster", "ztf_20181129", "AbC-dEf_ghIJKLMNOPQRST", 2)
STAGING = "staging/00000007"
NOON_MS = round(datetime(2018, 11, 29, 12, tzinfo=UTC).timestamp() * 1000)
HOUR_MS = 3_600_000

ONE = {"type": "record", "name": "one", "fields": [{"name": "candid", "type": "long"}]}
TWO = {**ONE, "fields": [*ONE["fields"], {"name": "more", "type": "string"}]}


def one(candid: int) -> bytes:
    return container(ONE, long(candid))


def two(candid: int) -> bytes:
    return container(TWO, long(candid) + sized(b"more"))


def batch_of(messages: Sequence[RawMessage], gaps: Sequence[Gap] = ()) -> AlertBatch:
    last = max([*(message.offset for message in messages), *(gap.last_offset for gap in gaps)])
    first = min([*(message.offset for message in messages), *(gap.first_offset for gap in gaps)])
    return make_batch(Claim(SOURCE, first, last), messages, gaps, Decoder())


def read(root: Path, staged: StagedClaim, file: DataFile) -> list[dict[str, Any]]:
    path = root / staged.staged[file.path]
    assert path.stat().st_size == file.size_bytes
    rows: list[dict[str, Any]] = pq.ParquetFile(path).read().to_pylist()
    assert len(rows) == file.rows
    assert rows[0]["kafka_offset"] == file.first_offset
    assert rows[-1]["kafka_offset"] == file.last_offset
    return rows


def test_a_claim_of_everything(tmp_path: Path) -> None:
    """Two schemas, two hours, no time at all, dead letters of two days, a gap."""
    messages = [
        RawMessage(10, NOON_MS, one(1)),
        RawMessage(11, NOON_MS + 1, two(2)),
        RawMessage(12, NOON_MS - 1, one(3)),
        RawMessage(13, NOON_MS + HOUR_MS - 1, one(1)),
        RawMessage(14, None, one(5)),
        RawMessage(15, NOON_MS, b"text"),
        RawMessage(18, None, None),
        RawMessage(19, NOON_MS + 5, b"text too"),
    ]
    gap = Gap("not_delivered", 16, 17)
    batch = batch_of(messages, [gap])

    staged = write_claim(batch, LocalStorage(tmp_path), STAGING, "a-1")

    result = staged.result
    assert result.balanced
    assert result.claim == Claim(SOURCE, 10, 19)
    assert result.gaps == (gap,)
    assert dict(result.dead_letters_by_reason) == {"not_avro": 2, "tombstone": 1}
    offsets = {
        (file.hour_utc, file.first_offset, file.last_offset): [
            (row["kafka_offset"], row["candid"]) for row in read(tmp_path, staged, file)
        ]
        for file in result.files
    }
    assert offsets == {
        ("1970-01-01T00:00:00+00:00", 14, 14): [(14, 5)],
        ("2018-11-29T11:00:00+00:00", 12, 12): [(12, 3)],
        ("2018-11-29T12:00:00+00:00", 10, 13): [(10, 1), (13, 1)],
        ("2018-11-29T12:00:00+00:00", 11, 11): [(11, 2)],
    }
    dead = [read(tmp_path, staged, file) for file in result.dead_letter_files]
    assert [[row["kafka_offset"] for row in rows] for rows in dead] == [[18], [15, 19]]
    assert dead[1][0] == {
        "kafka_topic": SOURCE.topic,
        "kafka_partition": 2,
        "kafka_offset": 15,
        "kafka_timestamp": datetime(2018, 11, 29, 12, tzinfo=UTC),
        "cluster_id": "cluster",
        "topic_id": SOURCE.topic_id,
        "reason": "not_avro",
        "detail": "The packet begins with b'text', not with b'Obj\\x01'.",
        "value": b"text",
        "size_bytes": 4,
        "schema_id": None,
    }
    assert dead[0][0]["value"] is None


def test_paths_name_the_content_of_the_files(tmp_path: Path) -> None:
    batch = batch_of([RawMessage(5, NOON_MS, one(1)), RawMessage(6, NOON_MS, b"x")])
    staged = write_claim(batch, LocalStorage(tmp_path), STAGING, "a-1")

    for file in (*staged.result.files, *staged.result.dead_letter_files):
        where = parse_path(file.path)
        assert where is not None
        assert (where.topic, where.partition) == (SOURCE.topic, SOURCE.partition)
        assert (where.first_offset, where.last_offset) == (file.first_offset, file.last_offset)
        if file.schema_fingerprint is None:
            assert file.hour_utc is None
        else:
            assert where.hour_utc.isoformat() == file.hour_utc
            assert where.fingerprint8 == file.schema_fingerprint[:8]


def test_nothing_but_staging_and_schemas_is_touched(tmp_path: Path) -> None:
    batch = batch_of([RawMessage(5, NOON_MS, one(1)), RawMessage(6, NOON_MS, two(2))])

    staged = write_claim(batch, LocalStorage(tmp_path), STAGING, "a-1")
    again = write_claim(batch, LocalStorage(tmp_path), STAGING, "a-2")

    assert again.result == staged.result
    assert again.staged.keys() == staged.staged.keys()
    assert not set(again.staged.values()) & set(staged.staged.values())
    files = {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    }
    schemas = {schema_path(fingerprint) for fingerprint in batch.schemas}
    assert files == {*staged.staged.values(), *again.staged.values(), *schemas}
    assert all(path.startswith(f"{STAGING}/") for path in staged.staged.values())
    for fingerprint, text in batch.schemas.items():
        assert (tmp_path / schema_path(fingerprint)).read_text() == text
        assert json.loads(text) in (ONE, TWO)


@pytest.mark.parametrize("messages", [[], [RawMessage(0, NOON_MS, b"x")]])
def test_a_claim_without_an_alert(tmp_path: Path, messages: list[RawMessage]) -> None:
    batch = batch_of(messages, [Gap("expired", 1, 900)])

    staged = write_claim(batch, LocalStorage(tmp_path), STAGING, "a-1")

    assert staged.result.balanced
    assert staged.result.files == ()
    assert staged.result.in_gaps == 900
    assert len(staged.staged) == len(messages)


def test_batches_and_staged_claims_can_be_sent_between_processes(tmp_path: Path) -> None:
    batch = batch_of([RawMessage(5, NOON_MS, one(1)), RawMessage(6, None, b"x")])

    copied = pickle.loads(pickle.dumps(batch))
    staged = write_claim(copied, LocalStorage(tmp_path), STAGING, "a-1")

    assert copied == batch
    assert batch.nbytes >= len(b"x")
    assert StagedClaim.from_json(json.loads(json.dumps(staged.to_json()))) == staged
    assert pickle.loads(pickle.dumps(staged)) == staged


def test_writing_a_claim_again_gives_the_same_rows_at_the_same_paths(tmp_path: Path) -> None:
    """The rows depend on the messages alone, not on the decoder, the time or earlier claims."""
    messages = [RawMessage(i, [NOON_MS, None, -5][i % 3], [one(i), b"x"][i % 2]) for i in range(12)]
    decoder = Decoder()
    make_batch(Claim(SOURCE, 0, 0), [RawMessage(0, None, two(1))], (), decoder)
    claim = Claim(SOURCE, 0, 11)

    first = write_claim(
        make_batch(claim, messages, (), Decoder()), LocalStorage(tmp_path), STAGING, "a-1"
    )
    second = write_claim(
        make_batch(claim, messages, (), decoder), LocalStorage(tmp_path), STAGING, "a-2"
    )

    assert first.result == second.result


def test_a_full_disk_is_a_storage_error_and_leaves_no_file(tmp_path: Path) -> None:
    batch = batch_of([RawMessage(5, NOON_MS, one(1))])
    write_claim(batch, LocalStorage(tmp_path), STAGING, "a-1")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(StorageError) as caught:
            write_claim(batch, LocalStorage(tmp_path), STAGING, "a-2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert isinstance(caught.value.__cause__, OSError)
    assert [path.name for path in (tmp_path / STAGING).iterdir()] == ["a-1-0.parquet"]


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "staging").write_text("a file")
    with pytest.raises(StorageError):
        write_claim(
            batch_of([RawMessage(5, NOON_MS, one(1))]), LocalStorage(tmp_path), STAGING, "a-1"
        )


def test_every_real_packet_comes_back_from_parquet(test_data: Path, tmp_path: Path) -> None:
    """All public schema versions in one claim: each field equals what fastavro reads."""
    packets = list(real_ztf_packets(test_data))
    messages = [RawMessage(i, NOON_MS + 5000 * i, packet) for i, packet in enumerate(packets)]
    batch = batch_of(messages)

    staged = write_claim(batch, LocalStorage(tmp_path), STAGING, "a-1")

    assert staged.result.balanced
    assert staged.result.dead_lettered == BROKEN_2016
    seen: Counter[int] = Counter()
    for file in staged.result.files:
        for row in read(tmp_path, staged, file):
            ours = {name: row.pop(name) for name in ADDED_COLUMNS.names}
            (expected,) = fastavro_reads(packets[ours["kafka_offset"]])
            assert row == expected or not list(differences(expected, row))
            stamp = ours["kafka_timestamp"]
            assert stamp.replace(minute=0, second=0, microsecond=0).isoformat() == file.hour_utc
            assert round(stamp.timestamp() * 1000) == NOON_MS + 5000 * ours["kafka_offset"]
            assert ours["obs_night"] is not None
            seen[ours["kafka_offset"]] += 1
    for file in staged.result.dead_letter_files:
        for row in read(tmp_path, staged, file):
            assert row["value"] == packets[row["kafka_offset"]]
            seen[row["kafka_offset"]] += 1
    assert seen == Counter(range(len(packets)))
    assert pq.ParquetFile(
        tmp_path / staged.staged[staged.result.dead_letter_files[0].path]
    ).schema_arrow.equals(DEAD_LETTER_SCHEMA)


def test_writing_a_claim_does_not_import_the_decoder() -> None:
    """A worker that archives does not need polars and its threads."""
    code = "import sys, finkray.packets.write_claim; print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
