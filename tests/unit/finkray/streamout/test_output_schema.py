"""Messages of real alerts equal the original field by field, in each projection and wire."""

import functools
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.avro.reader import RecordReader
from finkray.avro.schema import WriterSchema
from finkray.errors import SchemaError, SettingsError
from finkray.packets.columns import add_columns
from finkray.packets.decode import Decoder
from finkray.packets.decoded_table import DecodedTable
from finkray.packets.unwrap import Unwrapper
from finkray.services.columns import read_columns
from finkray.storage.parquet import write_table
from finkray.streamout.output_schema import (
    ABOUT_FIELD,
    MessageEncoder,
    OutputSchema,
    sent_bytes,
    service_record_type,
    source_bytes,
)
from finkray.streamout.projection import Projection
from finkray.streamout.wire import (
    OBJECT_COLUMNS,
    Wire,
    key_and_value,
    object_ids,
    partition_of,
)
from finkray.streamout.written_out import written_out
from tests.support.avro_cases import SOURCE, differences, messages
from tests.support.packets import lsst_samples, lsst_v10_frames, real_ztf_packets

AT = datetime(2026, 11, 24, 1, 2, 3, 456789, tzinfo=UTC)
CLASSIFY = pa.schema([("class", pa.string()), ("score", pa.float64())])
READ_EVERY = 50
"""Of the alerts that are compared byte for byte, fastavro reads some: it takes 20 ms for one."""


@functools.cache
def parsed(text: str) -> Any:
    return fastavro.parse_schema(json.loads(text))


def fastavro_reads(text: str, record: bytes) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(record), parsed(text), None)


def messages_of(
    schema: OutputSchema, table: pa.Table, answers: pa.Table | None = None
) -> list[bytes]:
    encoder = MessageEncoder(schema)
    same = sent_bytes("alert", "bright", "1", AT)
    parts = zip(
        encoder.packets(table.select(schema.columns)),
        source_bytes(table),
        encoder.services(answers, table.num_rows),
        strict=True,
    )
    return [packet + source + same + services for packet, source, services in parts]


def archived(decoded: DecodedTable, originals: list[bytes], folder: Path) -> Path:
    """Write the rows as the archive does; return the file."""
    file = folder / "alerts.parquet"
    with file.open("wb") as sink:
        write_table(add_columns(decoded, messages(list(originals)), SOURCE), sink)
    return file


def refuse_differences(text: str, originals: list[bytes], file: Path) -> None:
    table = pq.read_table(file)
    whole = OutputSchema.of(text, Projection("cutouts"), {})
    full = OutputSchema.of(text, Projection("full"), {})
    lite = OutputSchema.of(text, Projection("lite"), {"classify": CLASSIFY})
    answer = {"status": "ok", "version": "1", "class": "Star"}
    answers = pa.array(
        [None if row % 2 else answer for row in range(len(originals))],
        service_record_type(CLASSIFY),
    )
    in_full = MessageEncoder(full).packets(table)
    made = zip(
        originals,
        messages_of(whole, table),
        messages_of(lite, table, pa.table({"classify": answers})),
        in_full,
        strict=True,
    )
    for row, (original, with_images, small, without_images) in enumerate(made):
        assert with_images.startswith(original), "the whole alert, byte for byte"
        assert original.startswith(without_images), "images are the last fields of both surveys"
        if row % READ_EVERY:
            continue
        expected = fastavro_reads(text, original)
        assert not list(differences(expected, fastavro_reads(text, with_images)))
        for schema, record in ((whole, with_images), (lite, small)):
            read = fastavro_reads(schema.text, record)
            about = read.pop(ABOUT_FIELD)
            assert not list(differences({name: expected[name] for name in read}, read))
            assert about["offset"] == table["kafka_offset"][row].as_py()
            assert (about["filter"], about["kind"], about["passed_at"]) == ("bright", "alert", AT)
        assert about["services"]["classify"] == {**answer, "computed_at": None, "score": None}


def test_every_real_alert_of_ztf_equals_the_original(test_data: Path, tmp_path: Path) -> None:
    packets, unwrapper = list(real_ztf_packets(test_data)), Unwrapper()
    raw = messages(list(packets))
    alerts = 0
    for decoded in Decoder().decode(raw, SOURCE).tables:
        rows = decoded.rows.tolist()
        originals = [bytes(unwrapper.unwrap(packets[row], SOURCE).record) for row in rows]
        own = DecodedTable(decoded.schema, decoded.table, np.arange(len(rows)))
        refuse_differences(decoded.schema.text, originals, archived(own, originals, tmp_path))
        alerts += len(rows)
    assert alerts > 1000


def test_every_real_alert_of_lsst_equals_the_original(test_data: Path, tmp_path: Path) -> None:
    samples = [sample for sample in lsst_samples(test_data) if sample.schema_id >= 1000]
    schemas = {sample.schema_id: json.dumps(sample.schema) for sample in samples}
    originals = {sample.schema_id: [sample.record] for sample in samples}
    originals[1000] = [
        *originals.get(1000, []),
        *(frame[5:] for frame in lsst_v10_frames(test_data)),
    ]
    for schema_id, records in originals.items():
        schema = WriterSchema.from_text(schemas[schema_id])
        table = pa.Table.from_batches([RecordReader(schema).read(records)])
        decoded = DecodedTable(schema, table, np.arange(len(records)))
        refuse_differences(schema.text, records, archived(decoded, records, tmp_path))
    assert len(originals[1000]) >= 107


def record(*fields: dict[str, Any], name: str = "alert") -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields)})


def test_a_type_is_written_out_where_a_field_that_is_left_out_defined_it() -> None:
    inner = {"type": "record", "name": "det", "namespace": "ns", "doc": "long", "fields": [
        {"name": "x", "type": "long", "doc": "long"}]}  # fmt: skip
    text = record(
        {"name": "first", "type": inner},
        {"name": "second", "type": ["null", "ns.det"], "default": None},
        {"name": "third", "type": {"type": "array", "items": "ns.det"}, "default": []},
    )
    out = json.loads(OutputSchema.of(text, Projection("second,third"), {}).text)
    second, third, _ = out["fields"]
    assert second["type"][1] == {
        "type": "record", "name": "det_2", "fields": [{"name": "x", "type": "long"}],
    }  # fmt: skip
    assert third["type"]["items"]["name"] == "det_3"
    assert "doc" not in json.dumps(out)


def test_a_default_that_avro_does_not_allow_is_left_out() -> None:
    out = written_out(
        json.loads(
            record(
                {"name": "bad", "type": "double", "default": None},
                {"name": "flag", "type": "int", "default": True},
                {"name": "good", "type": ["null", "double"], "default": None},
                {"name": "number", "type": "double", "default": 0},
            )
        )
    )
    assert [field["name"] for field in out["fields"] if "default" in field] == ["good", "number"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("candidate.magpsf", "'candidate.magpsf' is no field at the top of a packet"),
        ("objectId,", "'' is no field"),
        ("objectId,objectId", "names objectId more than once"),
    ],
)
def test_a_projection_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Projection.from_text(text)


def test_a_field_that_the_packets_lack_is_named_with_those_they_have() -> None:
    with pytest.raises(SettingsError, match="no field cdsxmatch; they have: objectId"):
        OutputSchema.of(
            record({"name": "objectId", "type": "string"}), Projection.from_text("cdsxmatch"), {}
        )


def test_a_packet_with_a_field_of_our_name_is_refused() -> None:
    text = record({"name": "finkray", "type": "string"}, {"name": "x", "type": "long"})
    with pytest.raises(SchemaError, match="a field finkray of their own"):
        OutputSchema.of(text, Projection("full"), {})


def test_key_and_value_of_each_wire() -> None:
    assert key_and_value(Wire.CONFLUENT, b"r", b"ZTF1", 100_000, b"{}") == (
        b"ZTF1",
        b"\0\0\x01\x86\xa0r",
    )
    assert key_and_value(Wire.FINK, b"r", b"ZTF1", 100_000, b"{}") == (b"{}", b"r")
    assert partition_of(b"ZTF1", 3) == partition_of(b"ZTF1", 3) < 3


def test_an_alert_without_an_object_is_known_by_its_own_id(tmp_path: Path) -> None:
    alerts = pa.table(
        {
            "diaSourceId": pa.array([1, 2, 3]),
            "diaSource": [{"diaObjectId": 7}, {"diaObjectId": 0}, {"diaObjectId": 9}],
            "diaObject": [None, None, {"diaObjectId": 8}],
        }
    )
    pq.write_table(alerts, tmp_path / "alerts.parquet")
    columns = read_columns(str(tmp_path / "alerts.parquet"), OBJECT_COLUMNS)
    assert object_ids(columns) == [b"7", b"2", b"8"]
