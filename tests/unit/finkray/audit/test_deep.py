"""The deep audit: what is wrong inside files, and which of them it reads."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.audit.audit import audit
from finkray.audit.deep import DAMAGED, chooser
from finkray.audit.report import TWICE
from finkray.ledger.publish import commit
from tests.support.ledgers import ZTF
from tests.support.small_archives import NIGHT, SmallArchive
from tests.support.stored_files import keep_rows, read_bytes

OTHER = ZTF._replace(partition=1)


@pytest.mark.parametrize(
    ("rows", "problem", "offsets"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 8], TWICE, 1),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 8], "offsets that are in no file", 1),
        ([0, 1, 2, 3, 4, 5, 6], "has 7 rows, not 10", 3),
    ],
)
def test_the_deep_audit_looks_at_offsets(
    small: SmallArchive, rows: list[int], problem: str, offsets: int
) -> None:
    (path,) = small.put(0, 9).staged
    keep_rows(small.storage, path, rows)
    report = audit(small.storage, deep="all")
    assert report.deep is not None
    assert (problem, offsets) in [(found.problem, found.offsets) for found in report.deep.findings]
    assert not report.balanced


def test_the_deep_audit_sees_every_changed_bit(small: SmallArchive) -> None:
    put = small.put(0, 19, dead=[3], more={"cutout": pa.array([b"\x1f\x8b" + bytes(2000)] * 19)})
    chance = random.Random(1)
    for path in put.staged:
        whole = read_bytes(small.storage, path)
        for _ in range(60):
            data = bytearray(whole)
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            small.storage.replace(path, bytes(data))
            report = audit(small.storage, deep="all")
            assert not report.balanced
            assert report.deep is not None
            assert path in {found.path for found in report.deep.findings}
        small.storage.replace(path, whole)
    assert audit(small.storage, deep="all").balanced


def test_the_deep_audit_reads_all_columns_of_a_file_without_a_checksum(
    small: SmallArchive,
) -> None:
    """Such an archive is older than checksums."""
    made = small.stage(0, 9)
    (file,) = made.result.files
    commit(
        small.ledger,
        small.storage,
        [replace(made, result=replace(made.result, files=(replace(file, crc32=None),)))],
    )
    assert audit(small.storage, deep="all").balanced
    whole = read_bytes(small.storage, file.path)
    columns = pq.read_metadata(pa.BufferReader(whole)).row_group(0)
    at = next(
        columns.column(i).dictionary_page_offset or columns.column(i).data_page_offset
        for i in range(columns.num_columns)
        if columns.column(i).path_in_schema == "objectId"
    )
    small.storage.replace(file.path, whole[:at] + bytes(8) + whole[at + 8 :])
    report = audit(small.storage, deep="all")
    assert report.deep is not None
    assert [found.path for found in report.deep.findings] == [file.path]
    assert report.deep.findings[0].problem.startswith("cannot be read")


def test_the_deep_audit_knows_what_is_not_the_claims(small: SmallArchive) -> None:
    (path,) = small.put(0, 9).staged
    (other,) = small.put(10, 19, source=OTHER).staged
    small.storage.replace(path, read_bytes(small.storage, other))
    report = audit(small.storage, deep=f"{ZTF.topic}:0:0-9")
    assert report.deep is not None
    assert {found.problem for found in report.deep.findings} == {
        DAMAGED,
        "rows of another topic or partition",
        "offsets outside 0-9",
        "offsets that the ledger does not have there",
        "offsets that are in no file",
    }


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("all", [0, 100, 200, 300]),
        ("2026-11-24", [0, 100, 200]),
        ("2026-11-25", [300]),
        ("2026-11-24T02", [0, 100, 200]),
        ("2026-11-24T01:00..2026-11-24T01:30", [0, 200]),
        ("2026-11-24T03..2026-11-25", [100, 200, 300]),
        (f"{ZTF.topic}:0:50-150", [0, 100]),
        (f"{ZTF.topic}:1:50-150", []),
        ("other:0:0-1000", []),
    ],
)
def test_ranges(small: SmallArchive, text: str, claims: list[int]) -> None:
    hour = timedelta(hours=1)
    staged = [
        small.stage(0, 99),  # 01 and 02 o'clock
        small.stage(100, 199, begins=NIGHT + 1.5 * hour),  # 02, 03, 04
        small.stage(
            200, 209, begins=NIGHT + 2 * hour, dead=range(200, 210)
        ),  # a day's dead letters
        small.stage(300, 309, begins=datetime(2026, 11, 25, 5, tzinfo=UTC)),
    ]
    wanted = chooser(text)
    found = [one.result.claim.first_offset for one in staged if wanted(one.result)]
    assert found == claims


@pytest.mark.parametrize("text", ["", "tonight", "a:b:1-2", "t:0:9-1", "2026-11-24..2026-11-23"])
def test_what_is_no_range_is_refused_before_anything_is_read(
    small: SmallArchive, text: str
) -> None:
    with pytest.raises(ValueError, match=r"range|ends before"):
        audit(small.storage, deep=text)
