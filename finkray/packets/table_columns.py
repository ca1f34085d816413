"""Unite the columns of two schemas as the readers of an archive do, or say why they cannot.

An archive is read as one table: by pyarrow, polars, Spark and services. Their rules differ. What
all of them but Spark unite is accepted here; what any other of them refuses is a `ColumnConflict`:

- a column or a nested field that only one schema has: the rows of the other have nulls;
- int32 with int64, and float32 with float64: the wider type. Spark 3.5 does not merge them, but
  reads them by a union of the files of each schema;
- records, lists and maps, by their fields, items and values;
- every other pair of types conflicts. Numbers with texts cannot be one column. Integers with
  floating-point numbers would lose digits beyond 2^53, and polars refuses them;
- so do two names that differ in case alone, also within one schema: to Spark they are one name.

Two schemas that each fit a third may conflict; but a set of schemas in which each pair fits has a
union, in any order. So a schema that conflicts with a set conflicts with every larger set.
"""

from collections.abc import Iterable

import pyarrow as pa

_WIDENED = ((pa.int32(), pa.int64()), (pa.float32(), pa.float64()))
"""Pairs of types of which the second holds every value of the first."""


class ColumnConflict(Exception):
    """Two schemas that cannot be one table.

    Parameters
    ----------
    known, new
        the column in the schema that came first and in the other, each with its type: a dot
        separates record and field, and `[]` stands for the items of a list or a map
    """

    def __init__(self, known: str, new: str) -> None:
        super().__init__(f"{new} conflicts with {known}")
        self.known = known
        self.new = new


def united(known: pa.Schema, new: pa.Schema) -> pa.Schema:
    """Return the columns of both schemas, in the order of the first; both are archived columns.

    Raises
    ------
    ColumnConflict
        if they cannot be one table
    """
    return pa.schema(_fields(known, new, ""))


def column_count(fields: Iterable[pa.Field]) -> int:
    """Return the number of columns in Parquet: of those that are not records, lists or maps."""
    return sum(_columns_of(field.type) for field in fields)


def _columns_of(data_type: pa.DataType) -> int:
    if pa.types.is_struct(data_type):
        return column_count(data_type)
    if pa.types.is_list(data_type):
        return _columns_of(data_type.value_type)
    if pa.types.is_map(data_type):
        return 1 + _columns_of(data_type.item_type)
    return 1


def _fields(known: Iterable[pa.Field], new: Iterable[pa.Field], path: str) -> list[pa.Field]:
    fields = {field.name: field for field in known}
    by_lower_case = {name.lower(): name for name in fields}
    for field in new:
        column = f"{path}{field.name}"
        twin = by_lower_case.setdefault(field.name.lower(), field.name)
        if twin != field.name:
            raise ColumnConflict(
                _text(f"{path}{twin}", fields[twin].type), _text(column, field.type)
            )
        # A new field is compared with itself: its own names may differ in case alone.
        before = fields.get(field.name, field)
        fields[field.name] = pa.field(field.name, _type(before.type, field.type, column))
    return list(fields.values())


def _type(known: pa.DataType, new: pa.DataType, column: str) -> pa.DataType:
    if pa.types.is_struct(known) and pa.types.is_struct(new):
        return pa.struct(_fields(known, new, f"{column}."))
    if pa.types.is_list(known) and pa.types.is_list(new):
        items = _type(known.value_type, new.value_type, f"{column}[]")
        return pa.list_(pa.field("element", items))
    if pa.types.is_map(known) and pa.types.is_map(new):
        return pa.map_(pa.string(), _type(known.item_type, new.item_type, f"{column}[]"))
    if known == new:
        return known
    for narrow, wide in _WIDENED:
        if {known, new} == {narrow, wide}:
            return wide
    raise ColumnConflict(_text(column, known), _text(column, new))


def _text(column: str, data_type: pa.DataType) -> str:
    """Return a column with its type; a record is not written out."""
    if pa.types.is_struct(data_type):
        return f"{column} (record)"
    if pa.types.is_list(data_type):
        return f"{column} (list)"
    return f"{column} (map)" if pa.types.is_map(data_type) else f"{column} ({data_type})"
