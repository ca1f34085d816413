"""Encode Arrow columns as many bare Avro records of one schema, as `finkray.avro.reader` decodes.

    encoder = RecordEncoder(WriterSchema.from_text(text))
    records = encoder.encode(table)             # list[bytes], one for each row

The table has the columns that the archive promises for the schema (see `finkray.avro.schema`), so
what `RecordReader` read comes back as the records that it read. For all public real alerts of ZTF
and LSST that is byte for byte; Avro allows several forms of an array and of a map, of which this
writes the one that those surveys write: one block without its size.

A record for a topic goes into a frame (`finkray.avro.frame.write_frame`), into a container of its
own (`finkray.avro.container.ContainerWriter`), or stays as it is. A schema with fewer fields needs
a table with those columns alone.

**How.** arrow-avro, as polars-avro brings it along, writes a container of one block; no Python
package exposes its writer of single records. A last field of 16 random bytes behind each record,
which no sender can foresee, says where it ends: the block is cut with one `split`.

**What is checked here**, because arrow-avro does not: a null in a field that may not be null comes
out as zeros, an int64 in a `double` as a varint, without an error. Names are replaced as for the
reader, since arrow-avro does not find named types by their full name.

On one core (reading from memory): ZTF whole 18 000 alerts/s, without cutouts 95 000/s; LSST with
its histories 1 100 to 1 500/s. fastavro, with `to_pylist`: 1 000, 1 100 and 22.
"""

import io
import json
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from polars_avro._avro_rs import AvroBuffSink, AvroError

from finkray.avro.container import SYNC_BYTES, read_header, read_long
from finkray.avro.schema import GUARD_BYTES, GUARD_FIELD, NOT_A_BRANCH_BYTES, WriterSchema
from finkray.errors import SchemaError

CHUNK_BYTES: Final = 5_000_000
"""Bytes that are encoded at a time: 128 alerts of ZTF, 16 to 32 of LSST. With 20 MB, page faults
double the cost; a call costs 1.5 ms (ZTF) to 4 ms (LSST), even for no rows."""

_LEAST_ROWS: Final = 16

Written = np.ndarray | None
"""Which values reach the output: those below a null do not. None is all."""

Shape = Callable[[pa.Array, Written], pa.Array]
"""Makes of an array in its promised type the one that arrow-avro writes; refuses what it would
write wrongly."""


class RecordEncoder:
    """Encodes rows as records of one schema.

    Raises
    ------
    SchemaError
        if arrow-avro does not write this schema
    """

    def __init__(self, schema: WriterSchema) -> None:
        self.schema = schema
        self._guard = secrets.token_bytes(GUARD_BYTES)
        avro = _writer_form(json.loads(schema.reader_text))
        self._metadata = {"avro.schema": json.dumps(avro)}
        fields = [field for field in avro["fields"] if field["name"] != GUARD_FIELD]
        self._shapes = [
            (stored.name, _shape(field["type"], stored.type, schema.arrow.field(stored.name).type))
            for field, stored in zip(fields, schema.reader_arrow, strict=False)
        ]
        if self._write(schema.arrow.empty_table()):
            raise SchemaError("the columnar writer finds a record where there is none")

    def encode(self, table: pa.Table) -> list[bytes]:
        """Return the record of each row.

        Parameters
        ----------
        table
            with the columns of `schema.arrow`, in any order; others are ignored

        Raises
        ------
        SchemaError
            if a column is missing, is of another type than the schema's, or has a null where the
            schema has none
        """
        for promised in self.schema.arrow:
            _check_column(table, promised)
        step = max(_LEAST_ROWS, int(table.num_rows * CHUNK_BYTES / max(1, table.nbytes)))
        return [
            record
            for start in range(0, table.num_rows, step)
            for record in self._write(table.slice(start, step))
        ]

    def _write(self, table: pa.Table) -> list[bytes]:
        rows = table.num_rows
        arrays = []
        for name, shape in self._shapes:
            chunks = table.column(name).chunks
            array = chunks[0] if len(chunks) == 1 else _joined(table.column(name))
            try:
                arrays.append(shape(array, None))
            except SchemaError as error:
                raise SchemaError(f"column {name}{error}") from None
        guards = [None, pa.py_buffer(self._guard * rows)]
        arrays.append(pa.Array.from_buffers(pa.binary(GUARD_BYTES), rows, guards))
        names = [*(f"f{i}" for i in range(len(self._shapes))), GUARD_FIELD]
        block = pa.Table.from_arrays(arrays, names=names).replace_schema_metadata(self._metadata)
        container = _write_container(block)
        records = container[_body_start(container) :].split(self._guard)
        if len(records) != rows + 1:
            raise SchemaError(f"the columnar writer made {len(records) - 1} records of {rows} rows")
        return records[:-1]  # behind the last guard is the block's sync marker


def _write_container(table: pa.Table) -> bytes:
    out = io.BytesIO()
    try:
        sink = AvroBuffSink(out, table, None)
        if table.num_rows:
            sink.write(table)
        sink.close()
    except AvroError as error:
        raise SchemaError(f"the columnar writer refuses the columns: {error}") from None
    except BaseException as error:
        # The panic's class derives from BaseException and has no name that can be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise SchemaError(f"the columnar writer panicked: {error}") from None
    return out.getvalue()


def _body_start(container: bytes) -> int:
    """Return the position of the first record, or the end of a container without a block."""
    position = len(read_header(container).raw) + SYNC_BYTES
    if position == len(container):
        return position
    _, position = read_long(container, position)
    _, position = read_long(container, position)
    return position


def _writer_form(avro: Any) -> Any:
    """Return the reader's schema without the branch that makes it check branch numbers."""
    if isinstance(avro, list):
        return [_writer_form(branch) for branch in avro if not _is_no_branch(branch)]
    if not isinstance(avro, dict):
        return avro
    return {
        key: [{**field, "type": _writer_form(field["type"])} for field in value]
        if key == "fields"
        else _writer_form(value)
        if key in ("items", "values")
        else value
        for key, value in avro.items()
    }


def _is_no_branch(avro: Any) -> bool:
    return isinstance(avro, dict) and avro.get("size") == NOT_A_BRANCH_BYTES


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _check_column(table: pa.Table, promised: pa.Field) -> None:
    index = table.schema.get_field_index(promised.name)
    if index < 0:
        raise SchemaError(f"the table has no column {promised.name}, or several")
    given = table.schema.field(index).type
    if not _same_type(given, promised.type):
        raise SchemaError(f"column {promised.name} is {given}, and the schema has {promised.type}")


def _same_type(given: pa.DataType, promised: pa.DataType) -> bool:
    """Return whether types are equal, apart from names of list items and nullability."""
    if given.id != promised.id:
        return False
    if pa.types.is_struct(promised):
        return {field.name for field in given} == {field.name for field in promised} and all(
            _same_type(given.field(field.name).type, field.type) for field in promised
        )
    if pa.types.is_map(promised):
        return bool(given.key_type == promised.key_type) and _same_type(
            given.item_type, promised.item_type
        )
    if pa.types.is_list(promised):
        return _same_type(given.value_type, promised.value_type)
    return bool(given == promised)


def _shape(avro: Any, reader: pa.DataType, promised: pa.DataType) -> Shape:
    """Return a function from the promised type to what arrow-avro writes as this Avro type."""
    if isinstance(avro, list):
        if len(avro) == 2 and "null" in avro:
            code = 1 - avro.index("null")
            return _value_shape(avro[code], reader.field(code).type, promised)
        return _union(avro, reader, promised)
    value = _value_shape(avro, reader, promised)

    def required(array: pa.Array, written: Written) -> pa.Array:
        nulls = array.null_count
        if nulls and written is not None:
            nulls = np.count_nonzero(_is_null(array) & written)
        if nulls:
            raise SchemaError(f" may not be null by its schema, and is in {nulls} places")
        return value(array, written)

    return required


def _value_shape(avro: Any, reader: pa.DataType, promised: pa.DataType) -> Shape:
    """Return the same for values, and for nulls whose union arrow-avro handles itself."""
    avro_type = avro if isinstance(avro, str) else avro["type"]
    if avro_type == "record":
        return _record(avro, reader, promised)
    if avro_type == "array":
        return _list(_shape(avro["items"], reader.value_type, promised.value_type))
    if avro_type == "map":
        return _map(_shape(avro["values"], reader.item_type, promised.item_type))
    if avro_type == "enum":
        return _enum(avro["symbols"])
    stored = {"int": pa.int32(), "long": pa.int64()}.get(avro_type, promised)
    if stored == promised:
        return lambda array, _: array
    return lambda array, _: array.view(stored)  # a date, a time: the number beneath


def _record(avro: Any, reader: pa.DataType, promised: pa.DataType) -> Shape:
    plan = [
        (stored.name, _shape(field["type"], stored.type, promised.field(stored.name).type))
        for field, stored in zip(avro["fields"], reader, strict=True)
    ]
    names = [field["name"] for field in avro["fields"]]

    def record(array: pa.Array, written: Written) -> pa.Array:
        null = _is_null(array) if array.null_count else None
        if null is not None:
            written = ~null if written is None else written & ~null
        columns = []
        for name, shape in plan:
            try:
                columns.append(shape(array.field(array.type.get_field_index(name)), written))
            except SchemaError as error:
                raise SchemaError(f".{name}{error}") from None
        mask = None if null is None else pa.array(null)
        return pa.StructArray.from_arrays(columns, names=names, mask=mask)

    return record


def _list(items: Shape) -> Shape:
    def lists(array: pa.Array, written: Written) -> pa.Array:
        offsets, (values,), below = _entries(array, [array.values], written)
        return pa.ListArray.from_arrays(offsets, items(values, below))

    return lists


def _map(items: Shape) -> Shape:
    def maps(array: pa.Array, written: Written) -> pa.Array:
        offsets, (keys, values), below = _entries(array, [array.keys, array.items], written)
        return pa.MapArray.from_arrays(offsets, keys, items(values, below))

    return maps


def _entries(
    array: pa.Array, children: Sequence[pa.Array], written: Written
) -> tuple[pa.Array, list[pa.Array], Written]:
    """Return offsets from 0 on, the entries that belong to them, and which of those are written.

    The children of a slice are whole, and below a null there may be entries.
    """
    bounds = array.offsets.to_numpy()
    lengths = np.diff(bounds)
    children = [child.slice(bounds[0], bounds[-1] - bounds[0]) for child in children]
    mask = None
    if array.null_count:
        null = _is_null(array)
        if lengths[null].any():
            kept = pa.array(np.repeat(~null, lengths))
            children = [child.filter(kept) for child in children]
            lengths = np.where(null, 0, lengths)
        mask = np.append(null, [False])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    below = None if written is None else np.repeat(written, lengths)
    return pa.array(offsets, mask=mask), children, below


def _enum(symbols: Sequence[str]) -> Shape:
    known = pa.array(symbols, pa.string())

    def enum(array: pa.Array, _: Written) -> pa.Array:
        codes = pc.index_in(array, known)
        if codes.null_count > array.null_count:
            unknown = array.filter(pc.and_(codes.is_null(), array.is_valid()))[0]
            raise SchemaError(f" is {unknown.as_py()!r:.40}, which is none of the enum's symbols")
        return pa.DictionaryArray.from_arrays(codes, known)

    return enum


def _union(avro: Sequence[Any], reader: pa.DataType, promised: pa.DataType) -> Shape:
    """Return a function from the promised members of a union to Arrow's dense union."""
    null_code = avro.index("null") if "null" in avro else None
    codes = [code for code in range(len(avro)) if code != null_code]
    member_types = [promised] if len(avro) == 1 else [field.type for field in promised]
    shapes = [
        _shape(avro[code], reader.field(code).type, member_type)
        for code, member_type in zip(codes, member_types, strict=True)
    ]

    def union(array: pa.Array, written: Written) -> pa.Array:
        members = [array] if len(avro) == 1 else [array.field(i) for i in range(len(member_types))]
        has_value = [~_is_null(array) & ~_is_null(member) for member in members]
        value_count = np.sum(has_value, axis=0)
        bad = value_count > 1 if null_code is not None else value_count != 1
        if written is not None:
            bad &= written
        if bad.any():
            count = np.count_nonzero(bad)
            raise SchemaError(f" must have one value of its union, and has not in {count} places")
        # Rows that are not written need a branch too.
        row_codes = np.full(len(array), codes[0] if null_code is None else null_code, np.int8)
        row_offsets = np.zeros(len(array), np.int32)
        children: list[pa.Array] = [pa.nulls(1)] * len(avro)
        for code, shape, member, rows in zip(codes, shapes, members, has_value, strict=True):
            row_codes[rows] = code
            row_offsets[rows] = np.arange(np.count_nonzero(rows))
            values = member.filter(pa.array(rows))
            unwritten = None
            if not len(values):
                values, unwritten = pa.nulls(1, member.type), np.zeros(1, np.bool_)
            children[code] = shape(values, unwritten)
        return pa.UnionArray.from_dense(pa.array(row_codes), pa.array(row_offsets), children)

    return union


def _is_null(array: pa.Array) -> np.ndarray:
    null: np.ndarray = array.is_null().to_numpy(zero_copy_only=False)
    return null
