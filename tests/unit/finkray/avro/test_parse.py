"""A writer's schema is read whatever its defaults, aliases and orders are."""

import copy
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.avro.encode import RecordEncoder
from finkray.avro.reader import RecordReader
from finkray.avro.schema import WriterSchema
from finkray.packets.schema_folder import read_schema_file
from tests.support.avro_cases import long, sized
from tests.support.examples import examples

ENUM = {"type": "enum", "name": "band", "symbols": ["g", "r"]}
PLACE = {"type": "record", "name": "place", "fields": [{"name": "tile", "type": "long"}]}
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "number", "type": "long"},
        {"name": "text", "type": ["null", "string"]},
        {"name": "band", "type": ENUM},
        {"name": "list", "type": {"type": "array", "items": "int"}},
        {"name": "map", "type": {"type": "map", "values": ["int", "null"]}},
        {"name": "place", "type": ["null", PLACE]},
        {"name": "annotated", "type": {"type": "double"}},
        {"name": "sum", "type": {"type": "fixed", "name": "two", "size": 2}},
    ],
}
RECORD = b"".join(
    [
        long(7), long(1), sized(b"x"), long(1), long(1), long(5), long(0), long(0), long(1),
        long(9), bytes(8), b"ab",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["default", "type", "fields"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(deadline=None, max_examples=examples(20))
@given(st.lists(JSON, min_size=9, max_size=9), st.sampled_from(["default", "aliases", "order"]))
def test_what_only_resolution_needs_does_not_keep_a_record_from_being_read(
    values: list[Any], key: str
) -> None:
    edited = copy.deepcopy(SCHEMA)
    records = [*edited["fields"], edited["fields"][5]["type"][1]["fields"][0]]
    for value, field in zip(values, records, strict=True):
        field[key] = value
    edited["fields"][2]["type"][key] = values[0]

    schema = WriterSchema.from_text(json.dumps(edited))
    batch = RecordReader(schema).read([RECORD])

    plain = WriterSchema.from_text(json.dumps(SCHEMA))
    assert schema.arrow == plain.arrow
    assert batch.equals(RecordReader(plain).read([RECORD]))
    assert RecordEncoder(schema).encode(pa.Table.from_batches([batch])) == [RECORD]
    assert schema.fingerprint != plain.fingerprint


def test_schema_files_with_defaults_of_the_wrong_type_are_put_together(tmp_path: Path) -> None:
    place = {**PLACE, "fields": [{"name": "tile", "type": "long", "default": None}]}
    whole = {
        "type": "record",
        "name": "alert",
        "fields": [
            {"name": "number", "type": "long", "default": 1570903062179.133},
            {"name": "default", "type": "place", "default": "none"},
        ],
    }
    (tmp_path / "place.avsc").write_text(json.dumps(place))
    (tmp_path / "alert.avsc").write_text(json.dumps(whole))
    alone = {**whole, "fields": whole["fields"][:1]}
    (tmp_path / "alone.avsc").write_text(json.dumps(alone))

    assert json.loads(read_schema_file(tmp_path / "alone.avsc")) == alone
    found = json.loads(read_schema_file(tmp_path / "alert.avsc"))
    assert found["fields"][0] == whole["fields"][0]
    assert found["fields"][1] == {"name": "default", "type": place, "default": "none"}
    assert WriterSchema.from_text(json.dumps(found)).arrow.names == ["number", "default"]


@pytest.mark.parametrize(
    "more",
    [
        {"precision": "x"},
        {"precision": 0},
        {"precision": 2, "scale": 5},
        {"precision": 2, "scale": -1},
        {"precision": 99},
        {"precision": True},
        {},
    ],
)
def test_an_invalid_decimal_is_the_type_beneath(more: dict[str, Any]) -> None:
    fixed = {"type": "fixed", "name": "two", "size": 2, "logicalType": "decimal", **more}
    schema = WriterSchema.from_text(
        json.dumps({"type": "record", "name": "a", "fields": [{"name": "n", "type": fixed}]})
    )
    assert RecordReader(schema).read([b"ab"]).to_pylist() == [{"n": b"ab"}]
