"""Read the columns that a service declares, and no others, from files of the archive."""

from collections.abc import Sequence
from functools import lru_cache
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_LIST_STEPS = frozenset({"list.element", "list.item"})
"""Steps in a Parquet path from a list to its values; names of columns omit them."""


def read_columns(source: BinaryIO | pa.NativeFile | str, columns: Sequence[str]) -> pa.Table:
    """Read columns of a Parquet file, each under its requested name.

    Parameters
    ----------
    source
        a file, or its path
    columns
        names; ``record.field`` reads that field and no other of the record

    Returns
    -------
    Table
        one column for each name, of type null where the file has no such column
    """
    with pq.ParquetFile(source) as file:
        paths = parquet_paths(file.schema, columns)
        table = file.read(columns=paths, use_threads=False)
        rows = file.metadata.num_rows
    return pick(table, columns, rows)


def parquet_paths(schema: pq.ParquetSchema, columns: Sequence[str]) -> list[str]:
    """Return the paths of the Parquet columns from which the columns are read."""
    wanted = frozenset(columns)
    paths = [schema.column(index).path for index in range(len(schema))]
    return [path for path in paths if not wanted.isdisjoint(_with_parents(path))]


def pick(table: pa.Table, columns: Sequence[str], rows: int | None = None) -> pa.Table:
    """Select columns of a table of nested alerts, each under its requested name.

    Parameters
    ----------
    table
        table that has the records of the columns; a record may have more fields
    columns
        names, as in `read_columns`
    rows
        number of rows, needed if the table may have no column at all
    """
    count = table.num_rows if rows is None else rows
    values = [_column(table, name, count) for name in columns]
    return pa.table(values, names=list(columns)) if columns else table.select([])


def has(schema: pa.Schema, column: str) -> bool:
    """Return whether a schema has a column, which may be ``record.field``."""
    return _field(pa.struct(list(schema)), column.split(".")) is not None


def names_of(schema: pa.Schema) -> list[str]:
    """Return the names of all columns that can be read, records and their fields."""
    out: list[str] = []
    for field in schema:
        out += [field.name, *_names_below(field.name, field.type)]
    return out


def _column(table: pa.Table, name: str, rows: int) -> pa.ChunkedArray:
    if (own := table.schema.get_field_index(name)) >= 0:  # without building a list of all names
        return table.column(own)
    first, *rest = name.split(".")
    index = table.schema.get_field_index(first)
    if index < 0 or _field(table.schema.field(index).type, rest) is None:
        return pa.chunked_array([pa.nulls(rows)])
    chunks = [_below(chunk, rest) for chunk in table.column(index).chunks]
    return pa.chunked_array(chunks, type=None if chunks else _type_of(table, index, rest))


def _type_of(table: pa.Table, index: int, rest: list[str]) -> pa.DataType:
    return _below(pa.nulls(0, table.schema.field(index).type), rest).type


def _below(array: pa.Array, path: list[str]) -> pa.Array:
    if not path:
        return array
    if pa.types.is_list(array.type):
        if array.offset:  # a slice of a longer array: its offsets do not begin with 0
            array = array.take(pa.array(range(len(array)), pa.int64()))
        inner = _below(array.values, path)
        mask = array.is_null() if array.null_count else None
        return pa.ListArray.from_arrays(array.offsets, inner, mask=mask)
    # A field is null where its record is.
    return _below(pc.struct_field(array, path[0]), path[1:])


def _field(data_type: pa.DataType, path: list[str]) -> pa.DataType | None:
    if not path:
        return data_type
    if pa.types.is_list(data_type):
        return _field(data_type.value_type, path)
    if not pa.types.is_struct(data_type) or data_type.get_field_index(path[0]) < 0:
        return None
    return _field(data_type.field(path[0]).type, path[1:])


def _names_below(name: str, data_type: pa.DataType) -> list[str]:
    if pa.types.is_list(data_type):
        return _names_below(name, data_type.value_type)
    if not pa.types.is_struct(data_type):
        return []
    out: list[str] = []
    for field in data_type:
        path = f"{name}.{field.name}"
        out += [path, *_names_below(path, field.type)]
    return out


@lru_cache(maxsize=10_000)
def _with_parents(path: str) -> frozenset[str]:
    """Return the name of a Parquet column without the steps to values of lists, and its records'.

    A file has 200 to 400 of them, the same ones in each: without the cache they took a tenth of the
    time of an isolated filter.
    """
    for step in _LIST_STEPS:
        path = path.replace(f".{step}", "")
    parts = path.split(".")
    return frozenset(".".join(parts[: depth + 1]) for depth in range(len(parts)))
