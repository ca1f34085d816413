"""Writer schemas: one identity for one schema, and a refusal with a reason for what cannot be."""

import hashlib
import json
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.avro.schema import MAX_DEPTH, MAX_TYPES, WriterSchema
from finkray.errors import SchemaError, TooManyColumns


def record(*fields: Any, name: str = "r", **more: Any) -> dict[str, Any]:
    named = [{"name": f"x{i}", "type": field} for i, field in enumerate(fields)]
    return {"type": "record", "name": name, "fields": named, **more}


def learn(schema: Any) -> WriterSchema:
    return WriterSchema.from_text(json.dumps(schema))


def test_the_text_keeps_all_and_names_the_schema() -> None:
    field = {"name": "x", "type": ["float", "null"], "default": None, "doc": "is µ-law [mag]"}
    schema = {"type": "record", "name": "r", "doc": "all", "fields": [field]}

    learned = learn(schema)

    assert json.loads(learned.text) == schema
    assert learned.fingerprint == hashlib.sha256(learned.text.encode()).hexdigest()
    assert learned == WriterSchema.from_text(json.dumps(schema, indent=4).encode())
    assert learned != learn({**schema, "doc": "more"})


def test_nothing_but_the_types_decides_what_the_reader_gets() -> None:
    plain = learn(record("int", record("string", name="inner")))
    named = learn(record("int", record("string", name="other", doc="y"), name="z", namespace="a.b"))

    assert plain.reader_text == named.reader_text
    assert plain.fingerprint != named.fingerprint


def test_every_column_may_be_null_at_every_depth() -> None:
    inner = record("int", {"type": "array", "items": "float"}, name="inner")
    learned = learn(record("long", inner, {"type": "map", "values": inner["name"]}))

    def check(field: pa.Field) -> None:
        # The key of a map is the one thing that Arrow does not let be null.
        assert field.nullable or field.name in ("key", "entries")
        for i in range(field.type.num_fields):
            check(field.type.field(i))

    for field in learned.arrow:
        check(field)


def test_the_types_of_the_public_ztf_schemas(test_data: Path) -> None:
    for path in sorted((test_data / "schemas").glob("ztf_alert_v*.avsc")):
        arrow = WriterSchema.from_text(path.read_bytes()).arrow
        assert arrow.field("candid").type == pa.int64()
        assert arrow.field("candidate").type.field("jd").type == pa.float64()
        assert arrow.field("candidate").type.field("magpsf").type == pa.float32()
        assert (
            arrow.field("prv_candidates").type.value_type.field("diffmaglim").type == pa.float32()
        )
        assert arrow.field("cutoutScience").type.field("stampData").type == pa.binary()


def test_the_schemas_of_lsst_are_understood(test_data: Path) -> None:
    path = test_data / "schemas" / "lsst" / "lsst_v10_0_single_file.avsc"
    arrow = WriterSchema.from_text(path.read_bytes()).arrow
    source = arrow.field("diaSource").type
    assert source.field("midpointMjdTai").type == pa.float64()
    assert source.field("timeProcessedMjdTai").type == pa.float64()
    for path in (test_data / "schemas" / "lsst").glob("*/*/lsst.v*alert.avsc"):
        if not path.name.endswith("_single_file.avsc"):
            WriterSchema.from_text(json.dumps(fastavro.schema.load_schema(path)).encode())


RECURSIVE = record("int", ["null", "r"])
DEEP: Any = "int"
for depth in range(MAX_DEPTH):
    DEEP = record(DEEP, name=f"r{depth}")
DOUBLING: Any = [record("int", name="r0")]
for level in range(1, 20):
    DOUBLING.append(record(f"r{level - 1}", f"r{level - 1}", name=f"r{level}"))

COLUMNS = {
    "numbers": (record("int", "double"), 2),
    "nullable": (record(["null", "int"], "null", ["null", "string"]), 2),
    "a union": (record(["null", "int", "string"]), 2),
    "nested": (record(record("int", "int", name="e"), {"type": "array", "items": "int"}), 3),
    "a map": (record({"type": "map", "values": ["null", "long"]}), 2),
    "a name used again": (record(record("int", "int", name="e"), "e", ["null", "e"]), 6),
}


@pytest.mark.parametrize("what", COLUMNS)
def test_columns_are_counted_as_parquet_has_them(what: str, tmp_path: Path) -> None:
    schema, count = COLUMNS[what]
    known = WriterSchema.from_text(json.dumps(schema), max_columns=count)
    pq.write_table(known.arrow.empty_table(), tmp_path / "file.parquet")
    assert known.columns == pq.read_metadata(tmp_path / "file.parquet").num_columns == count
    with pytest.raises(TooManyColumns, match=f"more than {count - 1} columns"):
        WriterSchema.from_text(json.dumps(schema), max_columns=count - 1)


REFUSED = {
    "no JSON": ("{", "not a valid Avro schema"),
    "no UTF-8": (b'{"type": "\xff"}', "not a valid Avro schema"),
    "a number": ("5", "not a valid Avro schema"),
    "a primitive": ('"long"', "not a record"),
    "a union at the top": (json.dumps([record("int")]), "not a record"),
    "an array at the top": ('{"type": "array", "items": "int"}', "not a record"),
    "an unknown type": (json.dumps(record("float16")), "not a valid Avro schema"),
    "a type that contains itself": (json.dumps(RECURSIVE), "contains itself"),
    "brackets without end": ("[" * 100_000, "nested too deeply"),
    "too deep": (json.dumps(record(DEEP)), f"more than {MAX_DEPTH} deep"),
    "2^20 columns": (json.dumps(record(*DOUBLING)), f"more than {MAX_TYPES} types"),
    "no fields": (json.dumps(record()), "no fields"),
    "a nested record without fields": (json.dumps(record(record(name="e"))), "no fields"),
    "two fields of one name": (
        json.dumps({**record("int"), "fields": [{"name": "x", "type": "int"}] * 2}),
        "two fields",
    ),
    "fixed of nothing": (json.dumps(record({"type": "fixed", "name": "f", "size": 0})), "0 bytes"),
    "an array of nothing": (json.dumps(record({"type": "array", "items": "null"})), "no bytes"),
    "a map of nothing": (json.dumps(record({"type": "map", "values": "null"})), "but null"),
    "a union of nothing": (json.dumps(record(["null"])), "but null"),
    "an empty union": (json.dumps(record([])), "but null"),
    "a megabyte for a null": (
        json.dumps(record(["null", {"type": "fixed", "name": "f", "size": 2**20}])),
        "bytes of a message could become",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_schema_that_cannot_be_archived_says_why(what: str) -> None:
    text, words = REFUSED[what]
    with pytest.raises(SchemaError, match=words):
        WriterSchema.from_text(text)
