"""Decode many bare Avro records of one schema to Arrow, column by column.

**Why a guard follows each record.** A damaged record can decode as a shorter or longer record, and
then shift or swallow its neighbours; a block with bytes left over makes arrow-avro wait for ever.
So each record gets a last field, 16 random bytes that no sender can foresee, and the block claims
more records than it has. If every row comes back with its guard and there are as many rows as
records, then each record began and ended where it should; anything else is `Undecodable`.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from finkray.avro.arrow import record_converter
from finkray.avro.container import MAGIC, SYNC_BYTES, encode_long
from finkray.avro.schema import GUARD_BYTES, WriterSchema
from finkray.avro.stream import Piece, Undecodable, read_batch, schema_of
from finkray.avro.weight import record_weigher
from finkray.errors import SchemaError

STRIDE = 8
"""Factor by which a range of sound records grows in the search for damaged ones."""

_SYNC = bytes(SYNC_BYTES)


class RecordsTooLarge(ValueError):
    """Sound records would each take more memory than allowed; caught in `finkray.packets.decode`.

    Attributes
    ----------
    sizes_bytes
        the memory that each of these records would take, by the index of the record
    """

    def __init__(self, sizes_bytes: Mapping[int, int]) -> None:
        super().__init__(sizes_bytes)
        self.sizes_bytes = sizes_bytes


class BatchTooLarge(ValueError):
    """Sound records would together take more memory than there is room for.

    Attributes
    ----------
    fitting
        number of records, from the first on, that there is room for
    """

    def __init__(self, fitting: int) -> None:
        super().__init__(fitting)
        self.fitting = fitting


class RecordReader:
    """Reads records that were written with one schema.

    Raises
    ------
    SchemaError
        if arrow-avro reads this schema to other types than those of `WriterSchema`
    """

    def __init__(self, schema: WriterSchema) -> None:
        self.schema = schema
        self._guard = secrets.token_bytes(GUARD_BYTES)
        text = schema.reader_text.encode()
        self._header = b"".join(
            [MAGIC, encode_long(1), b"\x16avro.schema", encode_long(len(text)), text, b"\0", _SYNC]
        )
        try:
            reader_schema = schema_of(self._header)
        except Undecodable as error:
            raise SchemaError(f"the columnar reader does not take this schema: {error}") from None
        for field, expected in zip(reader_schema, schema.reader_arrow, strict=True):
            if not _stored_alike(field.type, expected.type):
                raise SchemaError(f"{expected.name} is read as {field.type}, not {expected.type}")
        self._convert = record_converter(schema.reader_arrow, schema.arrow)
        self._weigh = record_weigher(schema.reader_arrow, list(schema.arrow))

    def read(
        self,
        records: Sequence[Piece],
        limits_bytes: Sequence[int] | None = None,
        room_bytes: int | None = None,
    ) -> pa.RecordBatch:
        """Decode the records, in order, to a batch with the Arrow schema of `WriterSchema`.

        Parameters
        ----------
        records
            records of the schema
        limits_bytes
            memory that each of them may take in the batch; None is no limit
        room_bytes
            memory that all of them may take together, if there are limits; None is no limit

        Raises
        ------
        Undecodable
            if any of them is damaged; `damaged` finds which
        RecordsTooLarge
            if all are sound and any of them would take more than its limit
        BatchTooLarge
            if all are sound and within their limits, and together take more than `room_bytes`
        """
        batch = self._read_guarded(records)
        if limits_bytes is not None:
            weights = self._weigh(batch.columns, len(records)) + list(map(len, records))
            if heavy := np.flatnonzero(weights > limits_bytes).tolist():
                raise RecordsTooLarge({index: int(weights[index]) for index in heavy})
            if room_bytes is not None and (ends := np.cumsum(weights))[-1] > room_bytes:
                raise BatchTooLarge(int(np.searchsorted(ends, room_bytes, side="right")))
        columns = self._convert(batch.columns)
        return pa.RecordBatch.from_arrays(columns, schema=self.schema.arrow)

    def damaged(self, records: Sequence[Piece]) -> dict[int, str]:
        """Return the index of each damaged record, and what is wrong with it.

        Damaged records come alone or in groups. So the search reads one record, then ever larger
        ranges as long as these are sound, and halves a range that is not.
        """
        faults: dict[int, str] = {}
        start, step = 0, 1
        while start < len(records):
            end = min(start + step, len(records))
            fault = self._fault(records[start:end])
            if fault is None:
                start, step = end, step * STRIDE
                continue
            while end - start > 1:
                middle = (start + end) // 2
                if self._fault(records[start:middle]):
                    end = middle
                else:
                    start = middle
            faults[start] = (self._fault(records[start:end]) or fault) if step > 1 else fault
            start, step = end, 1
        return faults

    def _fault(self, records: Sequence[Piece]) -> str | None:
        """Return what is wrong with the records; None if all are sound."""
        try:
            self._read_guarded(records)
        except Undecodable as error:
            return str(error)
        return None

    def _read_guarded(self, records: Sequence[Piece]) -> pa.RecordBatch:
        """Return the records as a batch of the reader's schema, with the column of guards."""
        unlabelled = read_batch(self._file(records), len(records))
        batch = pa.record_batch(_Relabelled(unlabelled, self.schema.reader_arrow))
        guards: bytes = batch.columns[-1].buffers()[1].to_pybytes()
        if guards != self._guard * len(records):
            raise Undecodable("the record does not end where its data end")
        return batch

    def _file(self, records: Sequence[Piece]) -> list[Piece]:
        size = sum(map(len, records)) + GUARD_BYTES * len(records)
        pieces: list[Piece] = [self._header, encode_long(size + 1), encode_long(size)]
        for record in records:
            pieces.append(record)
            pieces.append(self._guard)
        pieces.append(_SYNC)
        return pieces


class _Relabelled:
    """A batch under other names and types that are stored alike; no data is copied.

    Implements Arrow's PyCapsule protocol.
    """

    def __init__(self, batch: Any, schema: pa.Schema) -> None:
        self._batch = batch
        self._schema = schema

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        _, array = self._batch.__arrow_c_array__(requested_schema)
        return self._schema.__arrow_c_schema__(), array


def _stored_alike(first: pa.DataType, second: pa.DataType) -> bool:
    """Return whether arrays of both types have the same buffers and children."""
    if first.num_fields != second.num_fields:
        return False
    if pa.types.is_nested(first) or pa.types.is_dictionary(first):
        same = first.id == second.id
    else:
        same = first == second or (
            pa.types.is_primitive(first)
            and pa.types.is_primitive(second)
            and first.bit_width == second.bit_width
            and pa.types.is_floating(first) == pa.types.is_floating(second)
        )
    return same and all(
        _stored_alike(first.field(i).type, second.field(i).type) for i in range(first.num_fields)
    )
