"""Tables to Parquet and back, and how each kind of column is stored."""

import gzip
import io
import os
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finkray.packets.decode import Decoder
from finkray.storage.parquet import _leaves, write_table
from tests.support.avro_cases import SOURCE, container, differences, messages, records
from tests.support.examples import examples


def written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    write_table(table, sink)
    return sink.getvalue()


def columns(data: bytes) -> dict[str, Any]:
    """The metadata of each Parquet column of the only row group."""
    metadata = pq.ParquetFile(io.BytesIO(data)).metadata
    assert metadata.num_row_groups == 1
    group = metadata.row_group(0)
    return {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_was_decoded_comes_back(data: st.DataObject) -> None:
    case = data.draw(records())
    values = data.draw(st.lists(case.values, min_size=1, max_size=4))
    packets = [container(case.schema, one.data) for one in values]
    (decoded,) = Decoder().decode(messages(list(packets)), SOURCE).tables

    parquet = written(decoded.table)
    back = pq.read_table(io.BytesIO(parquet))

    assert back.schema == decoded.table.schema
    assert not list(differences(decoded.table.to_pylist(), back.to_pylist()))
    leaves = [
        leaf.path
        for field, column in zip(decoded.table.schema, decoded.table.columns, strict=True)
        for leaf in _leaves(field.name, column.type, column.chunks, repeated=False)
    ]
    assert leaves == list(columns(parquet))


def test_images_that_are_compressed_are_stored_as_they_are() -> None:
    images = [gzip.compress(os.urandom(5000)) for _ in range(20)]
    table = pa.table(
        {
            "cutout": [{"fileName": "a.fits", "stampData": image} for image in images],
            "flat": [*[None] * 10, *images[:10]],
            "small": [gzip.compress(b"abc")] * 20,
            "gone": pa.array([None] * 20, pa.binary()),
        }
    )

    stored = columns(written(table))

    for path in ("cutout.stampData", "flat"):
        assert stored[path].compression == "UNCOMPRESSED"
        assert not stored[path].has_dictionary_page
        assert stored[path].statistics is None
    for path in ("cutout.fileName", "small", "gone"):
        assert stored[path].compression == "ZSTD"


def test_images_that_are_not_are_compressed() -> None:
    fits = [b"SIMPLE  =" + bytes(5000) + os.urandom(100) for _ in range(20)]
    packed = [gzip.compress(image + os.urandom(5000)) for image in fits]
    table = pa.table({"fits": fits, "mixed": [*packed[:1], *[None] * 9, *fits[:10]]})

    stored = columns(written(table))

    for path in ("fits", "mixed"):
        assert stored[path].compression == "ZSTD"
        assert not stored[path].has_dictionary_page
        assert stored[path].statistics is None
    assert stored["fits"].total_compressed_size < 20 * 1000


def test_readers_can_prune_by_offset_and_by_any_number_of_the_alert() -> None:
    table = pa.table(
        {
            "kafka_offset": pa.array(range(100, 200), pa.int64()),
            "candidate": [{"jd": float(i), "ssnamenr": "null"} for i in range(100)],
            "prv_candidates": [[{"jd": float(i)}] for i in range(100)],
        }
    )

    stored = columns(written(table))

    offsets = stored["kafka_offset"].statistics
    assert (offsets.min, offsets.max, offsets.null_count) == (100, 199, 0)
    assert stored["candidate.jd"].statistics.max == 99.0
    assert stored["prv_candidates.list.element.jd"].statistics is None
    assert stored["candidate.ssnamenr"].has_dictionary_page
    assert not stored["candidate.jd"].has_dictionary_page


def test_a_table_of_any_length_is_one_row_group() -> None:
    assert len(columns(written(pa.table({"x": range(2_000_000)})))) == 1
    chunked = pa.concat_tables([pa.table({"x": [i]}) for i in range(50)])
    assert pq.read_table(io.BytesIO(written(chunked))).num_rows == 50
    assert (
        pq.read_table(io.BytesIO(written(pa.table({"x": pa.array([], pa.int32())})))).num_rows == 0
    )


def test_an_error_of_the_file_comes_through() -> None:
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, _data: Any) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space") as caught:
        write_table(pa.table({"x": [1]}), Full())  # type: ignore[arg-type]
    assert caught.value.errno == 28
