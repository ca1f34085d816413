"""Arrow columns back to Avro records: what was decoded comes back, and nothing wrong is written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.avro import encode
from finkray.avro.container import ContainerWriter, encode_long, read_long
from finkray.avro.encode import RecordEncoder
from finkray.avro.frame import read_schema_id, write_frame
from finkray.avro.reader import RecordReader
from finkray.avro.schema import WriterSchema
from finkray.errors import SchemaError
from finkray.packets.columns import add_columns, packet_columns
from finkray.packets.decode import Decoder
from finkray.packets.decoded_table import DecodedTable
from finkray.packets.message import RawMessage
from finkray.packets.unwrap import Unwrapper
from finkray.storage.parquet import write_table
from tests.support.avro_cases import (
    SOURCE,
    Case,
    container,
    differences,
    fastavro_reads,
    long,
    messages,
    records,
    sized,
)
from tests.support.packets import lsst_samples, lsst_v10_frames, real_ztf_packets


def writer_schema(*fields: Any) -> WriterSchema:
    named = [{"name": f"x{i}", "type": field} for i, field in enumerate(fields)]
    return WriterSchema.from_text(json.dumps({"type": "record", "name": "r", "fields": named}))


def encoded(schema: WriterSchema, **columns: Any) -> list[bytes]:
    table = pa.table(
        {name: pa.array(values, schema.arrow.field(name).type) for name, values in columns.items()}
    )
    return RecordEncoder(schema).encode(table)


def fastavro_decodes(schema: WriterSchema, record: bytes) -> Any:
    return fastavro_reads(container(schema.text.encode(), record))[0]


@given(st.data())
def test_any_record_that_was_decoded_is_encoded_as_it_was(data: st.DataObject) -> None:
    case: Case = data.draw(records())
    written = data.draw(st.lists(case.values, min_size=1, max_size=6))
    schema = WriterSchema.from_text(json.dumps(case.schema))
    reader = RecordReader(schema)
    table = pa.Table.from_batches([reader.read([value.data for value in written])])

    out = RecordEncoder(schema).encode(table)

    again = reader.read(out)
    again.validate(full=True)
    for value, record, row in zip(written, out, again.to_pylist(), strict=True):
        assert not list(differences(value.promised, row))
        assert not list(differences(value.fastavro, fastavro_decodes(schema, record)))
    # A row's record does not depend on the rows around it, nor on how they are stored.
    middle = len(written) // 2
    parts = [table.slice(middle), table.slice(0, middle), table.take([0])]
    assert RecordEncoder(schema).encode(pa.concat_tables(parts)) == [
        *out[middle:],
        *out[:middle],
        out[0],
    ]


@given(st.data())
def test_what_stands_below_a_null_is_not_written(data: st.DataObject) -> None:
    """Parquet and Spark leave anything there."""
    inner: Case = data.draw(records())
    holder = {
        "type": "record",
        "name": "holder",
        "fields": [{"name": "r", "type": ["null", inner.schema]}],
    }
    schema = WriterSchema.from_text(json.dumps(holder))
    values = data.draw(st.lists(inner.values, min_size=2, max_size=5))
    table = RecordReader(schema).read([long(1) + value.data for value in values])
    null = np.array([i % 2 == 0 for i in range(len(values))])
    structs = table.column(0)
    masked = pa.StructArray.from_arrays(
        structs.flatten(), fields=list(structs.type), mask=pa.array(null)
    )

    out = RecordEncoder(schema).encode(pa.table({"r": masked}))

    for value, record, is_null in zip(values, out, null, strict=True):
        expected = None if is_null else value.fastavro
        assert not list(differences({"r": expected}, fastavro_decodes(schema, record)))


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_number_is_encoded_as_the_specification_says(value: int) -> None:
    assert encode_long(value) == long(value)
    assert read_long(encode_long(value), 0) == (value, len(long(value)))


def archived(decoded: DecodedTable, raw: list[RawMessage], folder: Path) -> pa.Table:
    """The rows as they come back from a file of the archive."""
    file = folder / "archived.parquet"
    with file.open("wb") as sink:
        write_table(add_columns(decoded, raw, SOURCE), sink)
    return packet_columns(pq.read_table(file), decoded.schema.arrow)


def test_every_real_alert_of_ztf_is_encoded_as_it_came(test_data: Path, tmp_path: Path) -> None:
    packets = list(real_ztf_packets(test_data))
    raw = messages(list(packets))
    unwrapper = Unwrapper()
    alerts = 0

    for decoded in Decoder().decode(raw, SOURCE).tables:
        table = archived(decoded, raw, tmp_path)
        for row, record in zip(
            decoded.rows, RecordEncoder(decoded.schema).encode(table), strict=True
        ):
            assert record == bytes(unwrapper.unwrap(packets[row], SOURCE).record)
            (original,) = fastavro_reads(packets[row])
            assert not list(differences(original, fastavro_decodes(decoded.schema, record)))
            alerts += 1
    assert alerts > 1000


def test_every_real_alert_of_lsst_is_encoded_as_it_came(test_data: Path, tmp_path: Path) -> None:
    samples = lsst_samples(test_data)
    schemas = {sample.schema_id: json.dumps(sample.schema) for sample in samples}
    real = [frame[5:] for frame in lsst_v10_frames(test_data)]
    by_schema = {sample.schema_id: [sample.record] for sample in samples}
    by_schema[1000] = [*by_schema.get(1000, []), *real]
    for schema_id, originals in by_schema.items():
        schema = WriterSchema.from_text(schemas[schema_id])
        table = pa.Table.from_batches([RecordReader(schema).read(originals)])
        decoded = DecodedTable(schema, table, np.arange(len(originals)))

        out = RecordEncoder(schema).encode(archived(decoded, messages(list(originals)), tmp_path))

        assert out == originals
    assert len(real) == 107
    assert len(samples) > 5


def test_a_packets_own_columns_have_their_names_again(tmp_path: Path) -> None:
    names = ["topic", "hour", "packet_hour", "kafka_offset", "x"]
    fields = [{"name": name, "type": "long"} for name in names]
    schema = WriterSchema.from_text(json.dumps({"type": "record", "name": "r", "fields": fields}))
    records_ = [b"".join(long(10 * row + i) for i in range(len(names))) for row in range(3)]
    table = pa.Table.from_batches([RecordReader(schema).read(records_)])
    decoded = DecodedTable(schema, table, np.arange(3))
    again = archived(decoded, messages(list(records_)), tmp_path)
    assert again.schema.names == names
    assert RecordEncoder(schema).encode(again) == records_


def test_more_rows_than_are_encoded_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encode, "CHUNK_BYTES", 1000)
    schema = writer_schema("long", {"type": "array", "items": ["null", "string"]})
    texts = [["ab" * (i % 5), None][: i % 3] for i in range(500)]
    out = encoded(schema, x0=range(500), x1=texts)
    assert [fastavro_decodes(schema, record) for record in out] == [
        {"x0": i, "x1": text} for i, text in enumerate(texts)
    ]


def test_no_rows_are_no_records() -> None:
    assert encoded(writer_schema("long"), x0=[]) == []


ENUM = {"type": "enum", "name": "e", "symbols": ["A", "B"]}
INNER = {"type": "record", "name": "inner", "fields": [{"name": "y", "type": "long"}]}
WRONG: dict[str, tuple[Any, pa.Array, str]] = {
    "a null": ("long", pa.array([1, None]), r"x0 may not be null by its schema, and is in 1 pl"),
    "an int for a double": ("double", pa.array([1, 2]), r"x0 is int64, and the schema has double"),
    "a long for an int": ("int", pa.array([1]), r"x0 is int64, and the schema has int32"),
    "text for bytes": ("bytes", pa.array(["a"]), r"x0 is string, and the schema has binary"),
    "a null below": (
        INNER,
        pa.array([{"y": None}], pa.struct([("y", pa.int64())])),
        r"x0\.y may not be null",
    ),
    "a null in a list": (
        {"type": "array", "items": "long"},
        pa.array([[1, None]], pa.list_(pa.int64())),
        r"x0 may not be null",
    ),
    "another record": (INNER, pa.array([{"z": 1}]), r"x0 is struct<z: int64>, and the schema"),
    "no symbol": (ENUM, pa.array(["A", "C"]), r"x0 is 'C', which is none of the enum's symbols"),
    "two branches at once": (
        ["long", "string"],
        pa.array([{"member0": 1, "member1": "a"}]),
        r"x0 must have one value of its union",
    ),
    "no branch": (
        ["long", "string"],
        pa.array([None], pa.struct([("member0", pa.int64()), ("member1", pa.string())])),
        r"x0 must have one value of its union",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_the_schema_does_not_allow_is_refused_by_name(what: str) -> None:
    avro, column, message = WRONG[what]
    with pytest.raises(SchemaError, match=message):
        RecordEncoder(writer_schema(avro)).encode(pa.table({"x0": column}))


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(SchemaError, match="no column x1"):
        RecordEncoder(writer_schema("long", "long")).encode(pa.table({"x0": [1]}))


def test_other_columns_and_another_order_do_not_matter() -> None:
    table = pa.table({"more": ["a"], "x1": [2], "x0": [1]})
    assert RecordEncoder(writer_schema("long", "long")).encode(table) == [long(1) + long(2)]


def test_a_record_in_a_container_or_a_frame_is_read_as_it_was() -> None:
    schema = writer_schema("long", "string")
    (record,) = encoded(schema, x0=[7], x1=["seven"])
    assert record == long(7) + sized(b"seven")
    packet = ContainerWriter(schema.text).wrap(record)
    assert fastavro_reads(packet) == [{"x0": 7, "x1": "seven"}]
    (table,) = Decoder().decode(messages([packet]), SOURCE).tables
    assert table.table.to_pylist() == [{"x0": 7, "x1": "seven"}]
    frame = write_frame(1000, record)
    assert (read_schema_id(frame), frame[5:]) == (1000, record)
    with pytest.raises(SchemaError, match="4 bytes"):
        write_frame(2**32, record)
