"""Messages of an alert stream to Arrow tables: one table for each schema they were written with.

A message that does not decode is a `Reject` with a reason, and changes nothing for the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from finkray.avro_codec import decompress
from finkray.avro_container import Header, Refused, find_body, read_header
from finkray.avro_reader import RecordReader
from finkray.avro_schema import WriterSchema
from finkray.avro_stream import Piece, Undecodable
from finkray.errors import SchemaError

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""The largest record that is taken, counted after decompression. Real ones have up to 0.6 MB."""

MAX_COMPRESSION = 100
UNSUSPICIOUS_BYTES = 64 * 1024
"""A record that is larger than this and becomes more than so many times its size is a bomb. Alerts
shrink to a third, by their floats; deflate can do 1000, the others more. So a claim of bombs
cannot fill the memory either."""

MAX_HEADERS = 64
"""How many headers (and with them schemas) are remembered; streams have one to three at a time."""

CHUNK_ROWS = 512
CHUNK_BYTES = 32 * 1024 * 1024
"""How much is decoded at a time, to one Arrow batch. It bounds what decoding takes beside its
result and what a damaged record costs, which is a few more passes over its chunk. ZTF's packets
take 186 us each in chunks of 64, 106 of 256, 98 of 512, 117 of 1024: a batch costs about 4 ms
whatever is in it, and large buffers grow by moving."""


class RawMessage(NamedTuple):
    """A Kafka message: its offset, its timestamp in ms of Unix time if it has one, its value."""

    offset: int
    timestamp_ms: int | None
    value: bytes | None


@dataclass(frozen=True, slots=True, order=True)
class Reject:
    """A message that does not decode.

    Attributes
    ----------
    index
        its place in the sequence of messages
    reason
        a stable code to count by; all of them stand in docs/archive.md
    detail
        a sentence for people
    """

    index: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class DecodedTable:
    """The messages of one writer schema.

    Attributes
    ----------
    schema
        with what they were written
    table
        the packets' columns, of the type `schema.arrow`
    rows
        for each row the index of its message; ascending
    """

    schema: WriterSchema
    table: pa.Table
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class Decoded:
    """Every message is a row of one of the tables or one of the rejects (in order of index)."""

    tables: tuple[DecodedTable, ...]
    rejects: tuple[Reject, ...]


class _Source(NamedTuple):
    """A header that was met, and the reader for its schema, or why there is none."""

    header: Header
    reader: RecordReader | SchemaError


class _Group:
    """The messages of one schema: decoded as soon as there are enough for a chunk."""

    def __init__(self, reader: RecordReader) -> None:
        self._reader = reader
        self._rows: list[int] = []
        self._records: list[Piece] = []
        self._bytes = 0
        self._good: list[int] = []
        self._batches: list[pa.RecordBatch] = []
        self.rejects: list[Reject] = []

    def add(self, row: int, record: Piece) -> None:
        self._rows.append(row)
        self._records.append(record)
        self._bytes += len(record)
        if len(self._rows) >= CHUNK_ROWS or self._bytes >= CHUNK_BYTES:
            self._decode_chunk()

    def finish(self) -> DecodedTable | None:
        """The table, if any message came out sound."""
        if self._rows:
            self._decode_chunk()
        if not self._good:
            return None
        schema = self._reader.schema
        table = pa.Table.from_batches(self._batches, schema.arrow)
        return DecodedTable(schema, table, np.array(self._good))

    def _decode_chunk(self) -> None:
        rows, records = self._rows, self._records
        self._rows, self._records, self._bytes = [], [], 0
        try:
            self._keep(rows, records)
        except Undecodable:
            damaged = self._reader.damaged(records)
            self.rejects += [_bad_record(rows[place], why) for place, why in damaged.items()]
            sound = [place for place in range(len(rows)) if place not in damaged]
            if sound:
                self._keep([rows[place] for place in sound], [records[place] for place in sound])

    def _keep(self, rows: list[int], records: list[Piece]) -> None:
        self._batches.append(self._reader.read(records))
        self._good += rows


def _bad_record(index: int, why: str) -> Reject:
    detail = f"The record does not decode with the schema of its packet: {why}."
    return Reject(index, "bad_record", detail)


class Decoder:
    """Decodes messages; remembers the schemas it has met. Not for several threads at once.

    Parameters
    ----------
    max_record_bytes
        records larger than this, decompressed, are rejected as `too_large`
    """

    def __init__(self, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        self._max_record_bytes = max_record_bytes
        self._sources: list[_Source] = []

    def decode(self, messages: Sequence[RawMessage]) -> Decoded:
        """Decode all messages."""
        groups: dict[str, _Group] = {}
        rejects: list[Reject] = []
        for index, message in enumerate(messages):
            try:
                reader, record = self._take_apart(message.value)
            except Refused as why:
                rejects.append(Reject(index, why.reason, why.detail))
                continue
            fingerprint = reader.schema.fingerprint
            if fingerprint not in groups:
                groups[fingerprint] = _Group(reader)
            groups[fingerprint].add(index, record)
        tables = [group.finish() for group in groups.values()]
        for group in groups.values():
            rejects += group.rejects
        return Decoded(
            tuple(table for table in tables if table is not None), tuple(sorted(rejects))
        )

    def _take_apart(self, value: bytes | None) -> tuple[RecordReader, Piece]:
        if value is None:
            raise Refused("tombstone", "The message has no value.")
        if not value:
            raise Refused("empty", "The message has no bytes.")
        header, reader = self._source_of(value)
        if isinstance(reader, SchemaError):
            raise Refused("unsupported_schema", f"Its schema cannot be archived: {reader}.")
        body = find_body(value, len(header.raw))
        record: Piece = memoryview(value)[body.start : body.end]
        if header.codec != "null":
            limit = max(UNSUSPICIOUS_BYTES, MAX_COMPRESSION * len(record))
            record = decompress(header.codec, record, min(limit, self._max_record_bytes))
        if len(record) > self._max_record_bytes:
            raise Refused("too_large", f"The record has {len(record)} bytes.")
        return reader, record

    def _source_of(self, value: bytes) -> _Source:
        for place, source in enumerate(self._sources):
            # Comparing the whole header costs 1 us, hashing it 15: and two schemas may be alike
            # in any part of it.
            if value.startswith(source.header.raw):
                if place:
                    self._sources.insert(0, self._sources.pop(place))
                return source
        header = read_header(value)
        source = _Source(header, self._reader_for(header.schema_text))
        self._sources.insert(0, source)
        del self._sources[MAX_HEADERS:]
        return source

    def _reader_for(self, schema_text: bytes) -> RecordReader | SchemaError:
        try:
            schema = WriterSchema.from_text(schema_text)
            for source in self._sources:
                known = source.reader
                if isinstance(known, RecordReader) and known.schema == schema:
                    return known
            return RecordReader(schema)
        except SchemaError as error:
            return error
