import io
from datetime import UTC, datetime
from typing import Any

import fastavro

from finkray.streamout.written_out import without_logical_types

MICROS = {"type": "long", "logicalType": "timestamp-micros"}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "at", "type": MICROS},
        {"name": "maybe", "type": ["null", MICROS], "default": None},
        {"name": "times", "type": {"type": "array", "items": MICROS}},
        {"name": "by", "type": {"type": "map", "values": ["null", MICROS]}},
        {"name": "id", "type": "string"},
    ],
}
NIGHT = datetime(2026, 11, 24, tzinfo=UTC)
MICROS_OF_NIGHT = int(NIGHT.timestamp()) * 1_000_000


def test_a_schema_without_logical_types_reads_the_same_bytes_as_numbers() -> None:
    alert = {"at": NIGHT, "maybe": NIGHT, "times": [NIGHT], "by": {"a": NIGHT}, "id": "x"}
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(SCHEMA), alert)
    data.seek(0)
    plain = without_logical_types(SCHEMA)
    assert "logicalType" not in str(plain)
    assert plain["fields"][0] == {"name": "at", "type": "long"}
    assert plain["fields"][1]["default"] is None
    read = fastavro.schemaless_reader(data, fastavro.parse_schema(plain), None)
    number = MICROS_OF_NIGHT
    assert read == {
        "at": number,
        "maybe": number,
        "times": [number],
        "by": {"a": number},
        "id": "x",
    }
