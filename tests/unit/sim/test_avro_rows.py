"""The columnar encoder writes, byte for byte, what fastavro writes."""

import io
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.avro.container import encode_bytes, encode_long
from sim.avro_rows import FieldSpec, encode_rows

FIELDS = (
    FieldSpec("when", "double", ""),
    FieldSpec("number", "long?", ""),
    FieldSpec("name", "string", ""),
    FieldSpec("flux", "float?", ""),
    FieldSpec("count", "int?!", ""),
    FieldSpec("note", "string?", ""),
)
LONG = st.integers(-(2**63), 2**63 - 1)


def _reference(record: dict[str, Any], *, null_first: bool) -> bytes:
    def avro(kind: str) -> Any:
        primitive = kind.rstrip("?!")
        union = ["null", primitive] if null_first else [primitive, "null"]
        return union if "?" in kind else primitive

    fields = [{"name": field.name, "type": avro(field.type)} for field in FIELDS]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "record", "name": "r", "fields": fields}, record)
    return out.getvalue()


@given(
    records=st.lists(
        st.fixed_dictionaries(
            {
                "when": st.floats(allow_nan=False),
                "number": LONG,
                "name": st.from_regex(r"[!-~]{0,200}", fullmatch=True),
                "flux": st.floats(allow_nan=False, width=32),
                "count": st.integers(-(2**31), 2**31 - 1),
            }
        ),
        min_size=1,
        max_size=8,
    ),
    null_first=st.booleans(),
    note=st.none() | st.text(),
)
def test_rows_are_what_fastavro_writes(
    records: list[dict[str, Any]], note: str | None, *, null_first: bool
) -> None:
    columns = {
        "when": np.array([record["when"] for record in records]),
        "number": np.array([record["number"] for record in records]),
        "name": np.array([record["name"].encode() for record in records], dtype="S"),
        "flux": np.array([record["flux"] for record in records]),
        "count": np.array([record["count"] for record in records]),
        "note": note,
    }
    rows = encode_rows(FIELDS, columns, rows=len(records), null_first=null_first)
    assert rows == [_reference({**r, "note": note}, null_first=null_first) for r in records]


def test_one_value_stands_for_all_rows() -> None:
    columns = {"when": 1.5, "number": 7, "name": "all"}
    rows = encode_rows(FIELDS, columns, rows=3, null_first=True)
    record = {**columns, "flux": None, "count": None, "note": None}
    assert rows == [_reference(record, null_first=True)] * 3


@given(LONG)
def test_a_varint_is_what_fastavro_writes(value: int) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", value)
    assert encode_long(value) == out.getvalue()


@given(st.binary(max_size=300))
def test_bytes_are_what_fastavro_writes(value: bytes) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "bytes", value)
    assert encode_bytes(value) == out.getvalue()


@pytest.mark.parametrize("columns", [{"when": 1.0, "name": "x", "nmae": "y"}, {"when": 1.0}])
def test_a_column_too_many_or_too_few_is_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(KeyError, match=r"name|nmae"):
        encode_rows(FIELDS, columns, rows=1, null_first=True)


@given(st.lists(st.tuples(st.booleans(), st.none() | st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_booleans_and_nulls_in_some_rows_are_what_fastavro_would_write(
    values: list[tuple[bool, int | None]],
) -> None:
    fields = [FieldSpec("yes", "boolean"), FieldSpec("maybe", "long?"), FieldSpec("half", "float?")]
    schema = fastavro.parse_schema(
        {
            "type": "record",
            "name": "row",
            "fields": [
                {"name": "yes", "type": "boolean"},
                {"name": "maybe", "type": ["null", "long"]},
                {"name": "half", "type": ["null", "float"]},
            ],
        }
    )
    null = [number is None for _, number in values]
    numbers = np.array([number or 0 for _, number in values], np.int64)
    columns: dict[str, Any] = {
        "yes": np.array([yes for yes, _ in values]),
        "maybe": np.ma.array(numbers, mask=null),
        "half": np.ma.array(np.full(len(values), 0.5), mask=null),
    }
    rows = encode_rows(fields, columns, rows=len(values), null_first=True)
    for row, (yes, number) in zip(rows, values, strict=True):
        out = io.BytesIO()
        half = None if number is None else 0.5
        fastavro.schemaless_writer(out, schema, {"yes": yes, "maybe": number, "half": half})
        assert row == out.getvalue()


def test_a_field_that_may_not_be_null_takes_no_masked_column() -> None:
    with pytest.raises(KeyError, match="may not be null"):
        encode_rows(
            [FieldSpec("n", "long")], {"n": np.ma.array([1], mask=[True])}, rows=1, null_first=True
        )
