"""A changed bit in the ledger is an error, never another ledger."""

import io
import random
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.errors import LedgerCorrupt
from finkray.ledger.entry import Entry
from finkray.ledger.log import Ledger
from finkray.ledger.read import read_entries, segment_tables
from finkray.ledger.segment import BLOCK, Segment
from finkray.ledger.table import SCHEMA, to_entries, to_table
from finkray.storage.contract import Storage
from tests.support.ledgers import compact_now, result, unstaged


def compacted(storage: Storage) -> Segment:
    """Write a ledger of a block of entries, compact it, and return the file."""
    ledger = Ledger.take_over(storage)
    for n in range(BLOCK):
        claim = unstaged(result(10 * n, 10 * n + 9, dead=1))
        ledger.append([claim])
        ledger.mark_published(list(claim.staged))
    assert compact_now(ledger) == 1
    return Segment.holding(0, 0)


def test_every_changed_bit_of_an_entry_is_an_error_or_changes_nothing(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    ledger.append([unstaged(result(0, 9, dead=1))])
    entry = list(read_entries(storage))[-1]
    whole = entry.to_bytes()
    assert Entry.from_bytes(whole, 1) == entry
    refused = 0
    for bit in range(8 * len(whole)):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        try:
            assert Entry.from_bytes(bytes(data), 1) == entry
        except LedgerCorrupt:
            refused += 1
    assert refused > 7 * len(whole)
    with pytest.raises(LedgerCorrupt, match=r"log/0*1\.json is damaged.*from a copy"):
        Entry.from_bytes(whole.replace(b'"rows":9', b'"rows":8'), 1)


def test_an_entry_without_a_checksum_is_read(storage: Storage) -> None:
    Ledger.take_over(storage)
    (entry,) = read_entries(storage)
    line = entry.to_bytes().rpartition(b',"crc32":')[0] + b"}\n"
    assert Entry.from_bytes(line, 0) == entry


def test_a_changed_bit_in_a_page_of_a_compacted_file_is_an_error(storage: Storage) -> None:
    segment = compacted(storage)
    whole = storage.read(segment.path) or b""
    metadata = pq.read_metadata(io.BytesIO(whole))
    pages_end = len(whole) - metadata.serialized_size - 8
    before = pa.concat_tables(segment_tables(storage, segment, -1, SCHEMA.names))
    chance = random.Random(1)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        data[chance.randrange(4, pages_end)] ^= 1 << chance.randrange(8)
        storage.replace(segment.path, bytes(data))
        try:
            after = pa.concat_tables(segment_tables(storage, segment, -1, SCHEMA.names))
        except LedgerCorrupt:
            refused += 1
        else:
            assert after.equals(before)  # the bit is in a page's header and means nothing
    assert refused > 200
    storage.replace(segment.path, whole[:4] + bytes(pages_end - 4) + whole[pages_end:])
    with pytest.raises(LedgerCorrupt, match=rf"{segment.path} cannot be read.*\n.*\n.*from a copy"):
        list(segment_tables(storage, segment, -1, SCHEMA.names))


def test_a_compacted_file_from_before_checksums_is_read(storage: Storage) -> None:
    segment = compacted(storage)
    table = pq.read_table(io.BytesIO(storage.read(segment.path) or b""))
    files = ["files", "dead_letter_files"]
    for name in files:
        index = table.schema.get_field_index(name)
        old = pa.list_(pa.struct(list(SCHEMA.field(name).type.value_type)[:-1]))
        table = table.set_column(index, pa.field(name, old), _without_crc32(table[name], old))
    sink = io.BytesIO()
    pq.write_table(table.drop_columns(["archive_id"]), sink)
    storage.replace(segment.path, sink.getvalue())
    (read,) = segment_tables(storage, segment, -1, SCHEMA.names)
    assert read.schema.equals(SCHEMA)
    found = list(to_entries(read))
    assert len(found) == BLOCK
    assert to_table(found).num_rows == len(read)
    assert {file.crc32 for entry in found for claim in entry.claims for file in claim.files} == {
        None
    }


def _without_crc32(column: pa.ChunkedArray, old: pa.DataType) -> pa.Array:
    rows = column.to_pylist()
    for row in rows:
        for file in row or ():
            del file["crc32"]
    return pa.array(rows, old)


@pytest.mark.parametrize("crc32", [None, 0, 2**32 - 1])
def test_checksums_survive_compaction(crc32: int | None) -> None:
    claim = result(0, 9)
    claim = replace(claim, files=tuple(replace(file, crc32=crc32) for file in claim.files))
    entry = Entry(0, 1, "committed", datetime.now(UTC), "w", -1, claims=(claim,))
    (back,) = to_entries(to_table([entry]))
    assert back.claims == (claim,)
