"""Schemas that fit are read as one table by pyarrow and polars; others name the column."""

import datetime as dt
import json
import re
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finkray.avro.schema import WriterSchema
from finkray.packets.columns import archived_columns
from finkray.packets.table_columns import ColumnConflict, column_count, united
from tests.support.avro_cases import Case, records
from tests.support.examples import examples

INT, LONG, TEXT = pa.int32(), pa.int64(), pa.string()
LEAVES = {
    pa.bool_(): True,
    INT: 7,
    LONG: 2**60 + 1,
    pa.float32(): 0.5,
    pa.float64(): 0.1,
    pa.binary(): b"\xff",
    TEXT: "x",
    pa.date32(): dt.date(2026, 11, 24),
    pa.timestamp("us", "UTC"): dt.datetime(2026, 11, 24, 1, tzinfo=dt.UTC),
    pa.timestamp("ms", "UTC"): dt.datetime(2026, 11, 24, 1, tzinfo=dt.UTC),
    pa.decimal128(9, 2): Decimal("1.25"),
    pa.binary(3): b"abc",
}


def of(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


def record(**fields: pa.DataType) -> pa.DataType:
    return pa.struct(list(fields.items()))


def list_of(items: pa.DataType) -> pa.DataType:
    return pa.list_(pa.field("element", items))


FIT = {
    "a new column": (of(x=INT), of(y=TEXT), of(x=INT, y=TEXT)),
    "a wider integer": (of(x=INT), of(x=LONG), of(x=LONG)),
    "a narrower number": (of(x=pa.float64()), of(x=pa.float32()), of(x=pa.float64())),
    "a new field of a record in a list": (
        of(x=list_of(record(a=INT))),
        of(x=list_of(record(b=TEXT, a=LONG))),
        of(x=list_of(record(a=LONG, b=TEXT))),
    ),
    "a map of wider values": (
        of(x=pa.map_(TEXT, INT)),
        of(x=pa.map_(TEXT, LONG)),
        of(x=pa.map_(TEXT, LONG)),
    ),
}
CONFLICT = {
    "a text": (of(x=INT), of(x=TEXT), "x (int32)", "x (string)"),
    "an integer and a fraction": (of(x=INT), of(x=pa.float64()), "x (int32)", "x (double)"),
    "bytes": (of(x=TEXT), of(x=pa.binary()), "x (string)", "x (binary)"),
    "a record": (of(x=INT), of(x=record(a=INT)), "x (int32)", "x (record)"),
    "a list": (of(x=INT), of(x=list_of(INT)), "x (int32)", "x (list)"),
    "in a list of records": (
        of(x=list_of(record(a=INT))),
        of(x=list_of(record(b=INT, a=TEXT))),
        "x[].a (int32)",
        "x[].a (string)",
    ),
    "another case": (of(pointTai=LONG), of(pointTAI=LONG), "pointTai (int64)", "pointTAI (int64)"),
    "another case in a record": (
        of(x=record(a=INT)),
        of(x=record(A=INT)),
        "x.a (int32)",
        "x.A (int32)",
    ),
    "two cases in one schema": (of(), of(ra=LONG, RA=LONG), "ra (int64)", "RA (int64)"),
    "two cases in a new record": (of(), of(x=record(a=INT, A=INT)), "x.A (int32)", "x.a (int32)"),
    "two cases in a list of records": (
        of(y=INT),
        of(y=INT, x=list_of(record(a=INT, A=INT))),
        "x[].A (int32)",
        "x[].a (int32)",
    ),
}


@pytest.mark.parametrize("what", FIT)
def test_columns_that_readers_unite_fit(what: str) -> None:
    first, second, expected = FIT[what]
    assert united(first, second) == expected


@pytest.mark.parametrize("what", CONFLICT)
def test_a_conflict_names_the_column_with_both_types(what: str) -> None:
    first, second, known, new = CONFLICT[what]
    with pytest.raises(ColumnConflict) as raised:
        united(first, second)
    assert (raised.value.known, raised.value.new) == (known, new)


def test_columns_are_counted_as_parquet_has_them() -> None:
    schema = of(x=list_of(record(a=INT, b=TEXT)), y=pa.map_(TEXT, INT), z=LONG)
    assert column_count(schema) == 5


types = st.recursive(
    st.sampled_from(list(LEAVES)),
    lambda inner: st.one_of(
        inner.map(list_of),
        inner.map(lambda values: pa.map_(TEXT, values)),
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3).map(
            lambda fields: record(**fields)
        ),
    ),
    max_leaves=4,
)
schemas = st.dictionaries(st.sampled_from("xyz"), types, min_size=1, max_size=3).map(
    lambda columns: of(**columns)
)
WIDER = {INT: LONG, LONG: INT, pa.float32(): pa.float64(), pa.float64(): pa.float32()}


@st.composite
def evolved(draw: Any, data_type: pa.DataType) -> pa.DataType:
    """Draw a type that a later schema may have: wider, narrower, with other fields, or another."""
    if draw(st.integers(0, 29)) == 0:
        return draw(types)
    if pa.types.is_struct(data_type):
        fields = {field.name: draw(evolved(field.type)) for field in data_type}
        if draw(st.booleans()):
            fields["d"] = draw(types)
        if len(fields) > 1 and draw(st.booleans()):
            fields.pop(draw(st.sampled_from(sorted(fields))))
        return record(**dict(draw(st.permutations(list(fields.items())))))
    if pa.types.is_list(data_type):
        return list_of(draw(evolved(data_type.value_type)))
    if pa.types.is_map(data_type):
        return pa.map_(TEXT, draw(evolved(data_type.item_type)))
    return WIDER.get(data_type, data_type) if draw(st.booleans()) else data_type


@st.composite
def pairs(draw: Any) -> tuple[pa.Schema, pa.Schema]:
    first = draw(schemas)
    whole = draw(evolved(pa.struct(list(first))))
    second = pa.schema(list(whole)) if pa.types.is_struct(whole) else draw(schemas)
    return first, second


def sample(data_type: pa.DataType) -> Any:
    """A value without nulls."""
    if pa.types.is_struct(data_type):
        return {field.name: sample(field.type) for field in data_type}
    if pa.types.is_list(data_type):
        return [sample(data_type.value_type)]
    if pa.types.is_map(data_type):
        return [("key", sample(data_type.item_type))]
    return LEAVES[data_type]


def filled(value: Any, data_type: pa.DataType) -> Any:
    """The value as the union of columns has it: nulls for the fields that it lacks."""
    if value is None:
        return None
    if pa.types.is_struct(data_type):
        return {field.name: filled(value.get(field.name), field.type) for field in data_type}
    if pa.types.is_list(data_type):
        return [filled(item, data_type.value_type) for item in value]
    if pa.types.is_map(data_type):
        return [(key, filled(item, data_type.item_type)) for key, item in value]
    return value


def shown(schema: pa.Schema) -> dict[str, str]:
    """Each column with its type; files name the items of maps in several ways."""
    return {field.name: re.sub(r" \('\w+'\)", "", str(field.type)) for field in schema}


def fits(first: pa.Schema, second: pa.Schema) -> bool:
    try:
        united(first, second)
    except ColumnConflict:
        return False
    return True


def write(folder: Path, columns: list[pa.Schema]) -> list[str]:
    paths = []
    for number, schema in enumerate(columns):
        row = {field.name: sample(field.type) for field in schema}
        paths.append(str(folder / f"{number}.parquet"))
        pq.write_table(pa.Table.from_pylist([row, {}], schema), paths[-1])
    return paths


def read_with_polars(paths: list[str]) -> pl.DataFrame:
    """Read files as docs/archive.md says."""
    schemas = {tuple(pl.read_parquet_schema(path).items()) for path in paths}
    frames = [pl.DataFrame(schema=dict(schema)) for schema in schemas]
    cast = pl.ScanCastOptions(
        integer_cast="upcast", float_cast="upcast", missing_struct_fields="insert"
    )
    unified = pl.concat(frames, how="diagonal_relaxed").schema
    return pl.scan_parquet(
        paths, schema=unified, missing_columns="insert", cast_options=cast
    ).collect()


@settings(max_examples=examples(75), deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs())
def test_pyarrow_and_polars_read_what_fits_as_one_table(pair: tuple[pa.Schema, pa.Schema]) -> None:
    if not fits(*pair):
        with pytest.raises(ColumnConflict) as raised:
            united(*pair)
        known, new = raised.value.known, raised.value.new
        assert known.partition(" ")[0].lower() == new.partition(" ")[0].lower()
        assert known != new
        return
    union = united(*pair)
    with TemporaryDirectory() as folder:
        paths = write(Path(folder), list(pair))
        read = [pq.read_schema(path) for path in paths]
        unified = pa.unify_schemas(read, promote_options="permissive")
        table = pads.dataset(paths, unified).to_table()
        frame = read_with_polars(paths)
    assert shown(table.schema) == shown(union)
    expected = [
        filled(row, pa.struct(list(table.schema)))
        for schema in pair
        for row in ({field.name: sample(field.type) for field in schema}, {})
    ]
    assert table.to_pylist() == expected
    assert (frame.height, sorted(frame.columns)) == (4, sorted(table.column_names))


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs(), st.data())
def test_the_order_of_schemas_does_not_matter(
    pair: tuple[pa.Schema, pa.Schema], data: st.DataObject
) -> None:
    first, second = pair
    whole = data.draw(evolved(pa.struct(list(first))))
    third = pa.schema(list(whole)) if pa.types.is_struct(whole) else second
    assert fits(first, second) == fits(second, first)
    if fits(first, second) and fits(second, third) and fits(first, third):
        one = united(united(first, second), third)
        other = united(third, united(second, first))
        assert column_count(one) == column_count(other)
        assert fits(one, other)
    elif fits(first, second):
        assert not fits(united(first, second), third)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck))
@given(records(), records())
def test_random_schemas_of_avro_fit_or_conflict(first: Case, second: Case) -> None:
    one, other = (
        archived_columns(WriterSchema.from_text(json.dumps(case.schema)).arrow)
        for case in (first, second)
    )
    assert fits(one, one)
    if fits(one, other):
        pa.unify_schemas([one, other], promote_options="permissive")
