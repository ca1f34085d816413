"""Many bare Avro records of one schema to Arrow, column by column.

The work is done by arrow-avro (Rust), which polars-avro brings along. It is used below its
public face, `polars_avro.read_avro`: what comes out there has been through polars, which has
neither the promised types nor plain offsets, and takes 1.2 to 1.5 times as long.

**Why a guard stands behind each record.** A record that is damaged can be read as one that is
shorter or longer than it is, and then shift or swallow its neighbours; a block with bytes left
over makes arrow-avro wait for ever. So each record gets a last field, 16 bytes that nobody can
foresee, and the block claims more records than it has. If every row comes back with its guard in
place and there are as many rows as records, then each record began and ended where it should;
anything else is `Undecodable`.
"""

import io
import secrets
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from polars_avro._avro_rs import AvroError, AvroSource

from finkray.avro_arrow import convert
from finkray.avro_container import MAGIC, SYNC_BYTES, encode_long
from finkray.avro_schema import GUARD_BYTES, WriterSchema
from finkray.errors import SchemaError

_SYNC = bytes(SYNC_BYTES)


class Undecodable(ValueError):
    """At least one of the records is damaged; never leaves `finkray.decode`."""


class RecordReader:
    """Reads records that were written with one schema.

    Raises
    ------
    SchemaError
        if arrow-avro does not read this schema as promised.
    """

    def __init__(self, schema: WriterSchema) -> None:
        self.schema = schema
        self._guard = secrets.token_bytes(GUARD_BYTES)
        text = schema.reader_text.encode()
        self._prefix = b"".join(
            [MAGIC, encode_long(1), b"\x16avro.schema", encode_long(len(text)), text, b"\0", _SYNC]
        )
        self._converted = pa.schema(list(schema.reader_arrow)[:-1]) != schema.arrow
        given = _schema_given(self._prefix)
        for field, expected in zip(given, schema.reader_arrow, strict=True):
            if not _stored_alike(field.type, expected.type):
                raise SchemaError(f"{expected.name} is read as {field.type}, not {expected.type}")

    def read(self, records: Sequence[bytes | memoryview]) -> list[pa.RecordBatch]:
        """Decode the records, in order, to batches of the promised schema.

        Raises
        ------
        Undecodable
            if any of them is damaged; which one is not known.
        """
        size = sum(map(len, records)) + GUARD_BYTES * len(records)
        parts: list[bytes | memoryview] = [self._prefix, encode_long(size + 1), encode_long(size)]
        for record in records:
            parts.append(record)
            parts.append(self._guard)
        parts.append(_SYNC)
        batches = [
            pa.record_batch(_Relabelled(given, self.schema.reader_arrow))
            for given in _read_all(b"".join(parts), len(records))
        ]
        rows = sum(batch.num_rows for batch in batches)
        if rows != len(records):
            raise Undecodable(f"{len(records)} records were read as {rows}")
        for batch in batches:
            self._check_guards(batch)
        return [self._as_promised(batch) for batch in batches]

    def _check_guards(self, batch: pa.RecordBatch) -> None:
        guards = batch.column(batch.num_columns - 1)
        if guards.buffers()[1].to_pybytes() != self._guard * len(guards):
            raise Undecodable("the record does not end where its data end")

    def _as_promised(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = batch.columns[:-1]
        if self._converted:
            columns = [
                convert(column, field.type)
                for column, field in zip(columns, self.schema.arrow, strict=True)
            ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema.arrow)


class _Relabelled:
    """A batch under other names and types that are stored alike, without touching its data.

    Speaks Arrow's PyCapsule protocol.
    """

    def __init__(self, batch: Any, schema: pa.Schema) -> None:
        self._batch = batch
        self.schema = schema

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        _, array = self._batch.__arrow_c_array__(requested_schema)
        return self.schema.__arrow_c_schema__(), array


class _Opened:
    """The stream as the reader opens it: a context manager around a seekable file."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream

    def __enter__(self) -> io.BytesIO:
        return io.BytesIO(self._stream)

    def __exit__(self, *_: object) -> None:
        return


def _read_all(stream: bytes, batch_rows: int) -> list[Any]:
    """All batches of the stream; a panic of the Rust code is `Undecodable` too."""
    rows = AvroSource([lambda: _Opened(stream)], False, False).batch_iter(batch_rows, None)  # noqa: FBT003
    try:
        return list(rows)
    except AvroError as error:
        raise Undecodable(str(error)) from None
    except BaseException as error:
        # The panic's class derives from BaseException and has no name that can be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise Undecodable(f"the reader panicked: {error}") from None
    finally:
        # When the iterator goes it calls `_Opened.__exit__`. Were that while an exception is on
        # its way up, the call would wipe the exception out and Python would crash.
        del rows


def _schema_given(stream: bytes) -> pa.Schema:
    """The Arrow schema with which the stream's rows will come."""
    source = AvroSource([lambda: _Opened(stream)], False, False)  # noqa: FBT003
    try:
        return pa.record_batch(source.schema()).schema
    except (AvroError, ValueError) as error:
        raise SchemaError(f"the columnar reader does not know such a schema: {error}") from None
    finally:
        del source  # as above


def _stored_alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether arrays of both types have the same buffers and children."""
    if one.num_fields != other.num_fields:
        return False
    if pa.types.is_nested(one) or pa.types.is_dictionary(one):
        same = one.id == other.id
    else:
        same = one == other or (
            pa.types.is_primitive(one)
            and pa.types.is_primitive(other)
            and one.bit_width == other.bit_width
            and pa.types.is_floating(one) == pa.types.is_floating(other)
        )
    return same and all(
        _stored_alike(one.field(i).type, other.field(i).type) for i in range(one.num_fields)
    )
