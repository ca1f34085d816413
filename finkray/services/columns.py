"""The columns that a service asked for: no others are read from the archive's files."""

from collections.abc import Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_LIST_STEPS = frozenset({"list.element", "list.item"})
"""How Parquet calls the step from a list to its values; people do not."""


def read_columns(source: BinaryIO | pa.NativeFile | str, columns: Sequence[str]) -> pa.Table:
    """Read the columns of a Parquet file, each under the name that was asked for.

    Parameters
    ----------
    source
        a file, or its path
    columns
        names; ``record.field`` is a leaf, and nothing beside it is read

    Returns
    -------
    Table
        with one column for each name; of type null where the file has no such column
    """
    with pq.ParquetFile(source) as file:
        wanted = leaves(file.schema, columns)
        table = file.read(columns=wanted, use_threads=False)
        rows = file.metadata.num_rows
    return pick(table, columns, rows)


def leaves(schema: pq.ParquetSchema, columns: Sequence[str]) -> list[str]:
    """The Parquet columns, by their paths, that are needed for the columns."""
    paths = [schema.column(place).path for place in range(len(schema))]
    return [
        path
        for path in paths
        if any(_without_steps(path) == name or _is_below(path, name) for name in columns)
    ]


def pick(table: pa.Table, columns: Sequence[str], rows: int | None = None) -> pa.Table:
    """The columns of a table of nested alerts, each under the name that was asked for.

    Parameters
    ----------
    table
        with the records that hold the columns, perhaps with other fields too
    columns
        names, as of `read_columns`
    rows
        how many there are, where the table may have no column at all
    """
    count = table.num_rows if rows is None else rows
    found = [_column(table, name, count) for name in columns]
    return pa.table(found, names=list(columns)) if columns else table.select([])


def has(schema: pa.Schema, column: str) -> bool:
    """Whether alerts of a schema have a column, ``record.field`` included."""
    return _field(pa.struct(list(schema)), column.split(".")) is not None


def names_of(schema: pa.Schema) -> list[str]:
    """Every column that can be asked for, records and their fields."""
    out: list[str] = []
    for field in schema:
        out += [field.name, *_names_below(field.name, field.type)]
    return out


def _column(table: pa.Table, name: str, rows: int) -> pa.ChunkedArray:
    if name in table.column_names:
        return table[name]
    first, *rest = name.split(".")
    place = table.schema.get_field_index(first)
    if place < 0 or _field(table.schema.field(place).type, rest) is None:
        return pa.chunked_array([pa.nulls(rows)])
    chunks = [_below(chunk, rest) for chunk in table.column(place).chunks]
    return pa.chunked_array(chunks, type=None if chunks else _kind(table, place, rest))


def _kind(table: pa.Table, place: int, rest: list[str]) -> pa.DataType:
    return _below(pa.nulls(0, table.schema.field(place).type), rest).type


def _below(array: pa.Array, path: list[str]) -> pa.Array:
    if not path:
        return array
    if pa.types.is_list(array.type):
        if array.offset:  # a part of a longer array: its offsets do not begin with 0
            array = array.take(pa.array(range(len(array)), pa.int64()))
        inner = _below(array.values, path)
        mask = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(array.offsets, inner, mask=mask)
    # Null where the record is.
    return _below(pc.struct_field(array, path[0]), path[1:])


def _field(kind: pa.DataType, path: list[str]) -> pa.DataType | None:
    if not path:
        return kind
    if pa.types.is_list(kind):
        return _field(kind.value_type, path)
    if not pa.types.is_struct(kind) or kind.get_field_index(path[0]) < 0:
        return None
    return _field(kind.field(path[0]).type, path[1:])


def _names_below(name: str, kind: pa.DataType) -> list[str]:
    if pa.types.is_list(kind):
        return _names_below(name, kind.value_type)
    if not pa.types.is_struct(kind):
        return []
    out: list[str] = []
    for field in kind:
        path = f"{name}.{field.name}"
        out += [path, *_names_below(path, field.type)]
    return out


def _without_steps(path: str) -> str:
    for step in _LIST_STEPS:
        path = path.replace(f".{step}", "")
    return path


def _is_below(path: str, name: str) -> bool:
    return _without_steps(path).startswith(f"{name}.")
