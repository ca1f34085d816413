"""Decode the messages of an alert stream to Arrow tables, one for each writer schema.

A message that does not decode is a `Reject` with a reason; the others are decoded all the same.

The cost of messages is not bounded by their size: a schema of 1000 columns takes 5 kB of text, and
decompression may make 16 bytes of one. So `Decoder.decode` stops when `DecodeBounds` are reached,
and says how many messages it took.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from finkray.avro.container import PacketRefused
from finkray.avro.reader import BatchTooLarge, RecordReader, RecordsTooLarge
from finkray.avro.schema import WriterSchema
from finkray.avro.stream import Piece, Undecodable
from finkray.claim import TopicPartition
from finkray.dead_letter_reason import DeadLetterReason
from finkray.packets.bounds import DecodeBounds
from finkray.packets.decoded_table import DecodedTable
from finkray.packets.message import RawMessage
from finkray.packets.table_schemas import TableSchemas
from finkray.packets.unwrap import Unwrapper, memory_limit_bytes

CHUNK_ROWS = 512
CHUNK_BYTES = 32 * 1024 * 1024
"""Limits of what is decoded at a time, to an Arrow batch. They bound the memory of decoding beside
its result, and the cost of a damaged record, which is a few more passes over its chunk. ZTF's
packets take 186 us each in chunks of 64, 106 of 256, 98 of 512, 117 of 1024: a batch costs about
4 ms at any size, and large buffers are moved when they grow."""


@dataclass(frozen=True, slots=True, order=True)
class Reject:
    """A message that does not decode.

    Attributes
    ----------
    index
        its index in the sequence of messages
    reason
        the code of the dead letter
    detail
        a sentence for people
    """

    index: int
    reason: DeadLetterReason
    detail: str


@dataclass(slots=True)
class _Room:
    """The bytes that tables may still take; None is no bound."""

    left_bytes: int | None

    def take(self, nbytes: int) -> None:
        if self.left_bytes is not None:
            self.left_bytes = max(0, self.left_bytes - nbytes)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The decoded messages: each is a row of one table, or one of the rejects (in order of index).

    `schema_ids` has the fingerprint of the schema for each schema id in a Confluent frame. `count`
    is how many of the messages were taken, from the first on: all, if no bound was reached.
    """

    tables: tuple[DecodedTable, ...]
    rejects: tuple[Reject, ...]
    schema_ids: Mapping[int, str] = field(default_factory=dict)
    count: int = 0


class _Chunk(NamedTuple):
    """Records of one schema, the indexes of their messages, and the memory that each may take."""

    rows: list[int]
    records: list[Piece]
    limits: list[int]

    def first(self, count: int) -> "_Chunk":
        return _Chunk(self.rows[:count], self.records[:count], self.limits[:count])

    def without(self, removed: Container[int]) -> "_Chunk":
        kept = [index for index in range(len(self.rows)) if index not in removed]
        return _Chunk(
            [self.rows[index] for index in kept],
            [self.records[index] for index in kept],
            [self.limits[index] for index in kept],
        )


class _Group:
    """The messages of one schema, decoded as soon as there are enough for a chunk.

    Attributes
    ----------
    left_at
        index of the first message that there was no room for; no later one is decoded
    """

    def __init__(self, reader: RecordReader, room: _Room) -> None:
        self._reader = reader
        self._room = room
        self._rows: list[int] = []
        self._records: list[Piece] = []
        self._limits: list[int] = []
        self._bytes = 0
        self._decoded_rows: list[int] = []
        self._batches: list[pa.RecordBatch] = []
        self.rejects: list[Reject] = []
        self.left_at: int | None = None

    def add(self, row: int, record: Piece, limit_bytes: int) -> None:
        self._rows.append(row)
        self._records.append(record)
        self._limits.append(limit_bytes)
        self._bytes += len(record)
        if len(self._rows) >= CHUNK_ROWS or self._bytes >= CHUNK_BYTES:
            self._decode_chunk()

    def finish(self) -> DecodedTable | None:
        """Return the table, or None if no message decoded."""
        if self._rows:
            self._decode_chunk()
        if not self._decoded_rows:
            return None
        schema = self._reader.schema
        table = pa.Table.from_batches(self._batches, schema.arrow)
        return DecodedTable(schema, table, np.array(self._decoded_rows))

    def _decode_chunk(self) -> None:
        chunk = _Chunk(self._rows, self._records, self._limits)
        self._rows, self._records, self._limits, self._bytes = [], [], [], 0
        try:
            self._read_chunk(chunk)
        except Undecodable:
            damaged = self._reader.damaged(chunk.records)
            self.rejects += [_bad_record(chunk.rows[index], why) for index, why in damaged.items()]
            self._read_chunk(chunk.without(damaged))

    def _read_chunk(self, chunk: _Chunk) -> None:
        try:
            if chunk.rows and self.left_at is None:
                room_bytes = self._room.left_bytes
                # The first message of all is decoded without room too, or none would ever be.
                alone = chunk.rows == [0]
                batch = self._reader.read(
                    chunk.records, chunk.limits, None if alone else room_bytes
                )
                self._room.take(batch.nbytes)
                self._batches.append(batch)
                self._decoded_rows += chunk.rows
        except BatchTooLarge as error:
            fitting = max(error.fitting, int(chunk.rows[0] == 0))
            self._read_chunk(chunk.first(fitting))
            self.left_at = chunk.rows[fitting]
        except RecordsTooLarge as error:
            for index, size_bytes in error.sizes_bytes.items():
                self.rejects.append(_too_large(chunk.rows[index], size_bytes, chunk.limits[index]))
            self._read_chunk(chunk.without(error.sizes_bytes))


def _bad_record(index: int, why: str) -> Reject:
    detail = f"The record does not decode with the schema of its packet: {why}."
    return Reject(index, DeadLetterReason.BAD_RECORD, detail)


def _too_large(index: int, size_bytes: int, limit_bytes: int) -> Reject:
    detail = f"The record would take {size_bytes} bytes in memory, more than {limit_bytes}."
    return Reject(index, DeadLetterReason.TOO_LARGE, detail)


class Decoder:
    """Decodes messages and caches their schemas. Not thread-safe.

    Parameters
    ----------
    unwrapper
        finds the record in a message; by default, any Avro container is an alert
    tables
        the tables of the archive, which the alerts must fit; None: any schema is decoded
    """

    def __init__(
        self, unwrapper: Unwrapper | None = None, tables: TableSchemas | None = None
    ) -> None:
        self._unwrapper = unwrapper or Unwrapper()
        self._tables = tables

    def schema_text(self, value: bytes, source: TopicPartition) -> str | None:
        """Return the schema, JSON, that a frame on that partition names; None if it is unknown."""
        return self._unwrapper.schema_text(value, source)

    def decode(
        self,
        messages: Sequence[RawMessage],
        source: TopicPartition,
        bounds: DecodeBounds | None = None,
    ) -> Decoded:
        """Decode messages of one partition, from the first on up to the bounds; at least one.

        Raises
        ------
        LedgerCorrupt
            if an entry of the table's schemas is unreadable
        StorageError
            if a schema is new to the table and the storage refuses
        """
        room = _Room(None if bounds is None else bounds.decoded_bytes)
        columns, record_bytes, count = 0, 0, len(messages)
        groups: dict[str, _Group] = {}
        schema_ids: dict[int, str] = {}
        rejects: list[Reject] = []
        for index, message in enumerate(messages):
            try:
                reader, record, schema_id = self._unwrapper.unwrap(message.value, source)
            except PacketRefused as refused:
                rejects.append(Reject(index, refused.reason, refused.detail))
                continue
            fingerprint = reader.schema.fingerprint
            columns += 0 if fingerprint in groups else reader.schema.columns
            record_bytes += len(record)
            if (
                bounds is not None
                and groups
                and (columns > bounds.columns or record_bytes > bounds.decoded_bytes)
            ):
                count = index
                break
            if fingerprint not in groups:
                groups[fingerprint] = _Group(reader, room)
            group = groups[fingerprint]
            group.add(index, record, memory_limit_bytes(len(message.value or b"")))
            if schema_id is not None:
                schema_ids[schema_id] = fingerprint
            if group.left_at is not None:
                break
        finished = [group.finish() for group in groups.values()]
        for group in groups.values():
            rejects += group.rejects
            count = count if group.left_at is None else min(count, group.left_at)
        taken = [each.before(count) for each in finished if each is not None]
        tables, unfitting = self._fitting(
            [table for table in taken if len(table.rows)], source.topic
        )
        rejects = sorted(reject for reject in [*rejects, *unfitting] if reject.index < count)
        return Decoded(tuple(tables), tuple(rejects), schema_ids, count)

    def _fitting(
        self, decoded: Sequence[DecodedTable], topic: str
    ) -> tuple[list[DecodedTable], list[Reject]]:
        """Return the tables that fit the topic's table of the archive, and rejects for the rest."""
        tables: list[DecodedTable] = []
        rejects: list[Reject] = []
        for table in decoded:
            refusal = self._refusal(topic, table.schema)
            if refusal is None:
                tables.append(table)
                continue
            rejects += [
                Reject(row, DeadLetterReason.OTHER_COLUMNS, refusal) for row in table.rows.tolist()
            ]
        return tables, rejects

    def _refusal(self, topic: str, schema: WriterSchema) -> str | None:
        """Return why alerts of that schema do not fit their table; None if they do.

        It is asked for schemas with which a record has decoded: a damaged packet must not decide
        which columns the table has.
        """
        return None if self._tables is None else self._tables.refusal(topic, schema)
