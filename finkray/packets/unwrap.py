"""Find the bare Avro record in a message, and the reader for its schema.

There are three wire formats. A container (`Obj` and byte 1) has its schema in its header: ZTF. A
Confluent frame (byte 0) has the schema's id: LSST. On topics that are configured for bare records
every message is a bare record, with any first bytes.
"""

from collections.abc import Callable
from typing import NamedTuple

from finkray.avro import frame as avro_frame
from finkray.avro.codec import decompress
from finkray.avro.container import Header, PacketRefused, find_body, read_header
from finkray.avro.frame import read_schema_id
from finkray.avro.reader import RecordReader
from finkray.avro.schema import MAX_TYPES, WriterSchema
from finkray.avro.stream import Piece
from finkray.claim import TopicPartition
from finkray.dead_letter_reason import DeadLetterReason
from finkray.errors import SchemaError, TooManyColumns
from finkray.packets.new_schemas import NewSchemas
from finkray.packets.schema_lookup import SchemaLookup
from finkray.surveys.survey import Survey

MAX_RECORD_BYTES = 64 * 1024 * 1024
"""The largest record that is archived, after decompression. Real ones have up to 0.6 MB."""

MAX_EXPANSION = 16
UNSUSPICIOUS_BYTES = 64 * 1024
"""A message that takes more memory than both `UNSUSPICIOUS_BYTES` and `MAX_EXPANSION` times its
size is a bomb: by its compression (deflate can expand 1000 times, others more), or by nulls of
records with many columns. Real alerts of both surveys expand to 1.3 times their record's size at
most, and LSST's to 2.2 times their size compressed with deflate.

So the memory of a claim is bounded too: by 16 times `ingest.claim_bytes`, and 64 KiB for each
message."""

MAX_SCHEMAS = 64
"""How many schemas are cached; a stream has one to three at a time."""


class TopicRules(NamedTuple):
    """The expected content of a topic's messages.

    Attributes
    ----------
    survey
        the survey that each alert must be of; None if any record is archived
    bare_schema
        the schema, JSON, of the topic's bare records; None if it has containers and frames
    """

    survey: Survey | None = None
    bare_schema: str | None = None


class Unwrapped(NamedTuple):
    """A record, the reader for its schema, and the schema id if it came in a frame."""

    reader: RecordReader
    record: Piece
    schema_id: int | None = None


_Known = RecordReader | SchemaError
"""The reader for a schema, or the error why there is none."""


class _Source(NamedTuple):
    """The last header with a schema text and a codec, and the reader for that schema."""

    header: Header
    reader: _Known


def _any_avro(_topic: str) -> TopicRules:
    return TopicRules()


class Unwrapper:
    """Unwraps messages and caches their schemas. Not thread-safe.

    Parameters
    ----------
    rules
        returns the rules for the topic of that name
    lookup
        finds the schemas of frames
    max_message_bytes
        messages larger than this are refused as `too_large`; None: no limit
    max_record_bytes
        records larger than this, decompressed, are refused as `too_large`
    max_columns
        records with a schema of more columns are refused as `too_many_columns`
    new_schemas
        limits how many new schemas a topic may bring, further ones are refused as
        `too_many_schemas`; None: no limit
    """

    def __init__(
        self,
        rules: Callable[[str], TopicRules] = _any_avro,
        lookup: SchemaLookup | None = None,
        *,
        max_message_bytes: int | None = None,
        max_record_bytes: int = MAX_RECORD_BYTES,
        max_columns: int = MAX_TYPES,
        new_schemas: NewSchemas | None = None,
    ) -> None:
        self._rules = rules
        self._lookup = lookup or SchemaLookup()
        self._max_message_bytes = max_message_bytes
        self._max_record_bytes = max_record_bytes
        self._max_columns = max_columns
        self._new_schemas = new_schemas
        self._sources: list[_Source] = []
        self._topics: dict[str, TopicRules] = {}
        self._bare: dict[str, _Known] = {}
        self._by_id: dict[tuple[str, int], _Known] = {}
        self._readers: dict[str, RecordReader] = {}
        self._foreign: dict[tuple[str, str], str] = {}

    def unwrap(self, value: bytes | None, source: TopicPartition) -> Unwrapped:
        """Return the record in a message of that partition.

        Raises
        ------
        PacketRefused
            if it has none that can be archived
        """
        if value is None:
            raise PacketRefused(DeadLetterReason.TOMBSTONE, "The message has no value.")
        if not value:
            raise PacketRefused(DeadLetterReason.EMPTY, "The message has no bytes.")
        if self._max_message_bytes is not None and len(value) > self._max_message_bytes:
            most = f"more than kafka.max_message_bytes = {self._max_message_bytes}"
            raise PacketRefused(
                DeadLetterReason.TOO_LARGE, f"The message has {len(value)} bytes, {most}."
            )
        rules = self._rules_of(source.topic)
        if rules.bare_schema is not None:
            unwrapped = self._bare_record(value, rules.bare_schema)
        elif value.startswith(avro_frame.MAGIC):
            unwrapped = self._framed(value, source)
        else:
            unwrapped = self._contained(value, source.topic)
        if len(unwrapped.record) > self._max_record_bytes:
            raise PacketRefused(
                DeadLetterReason.TOO_LARGE, f"The record has {len(unwrapped.record)} bytes."
            )
        if rules.survey is not None:
            self._refuse_foreign(unwrapped.reader.schema, rules.survey)
        return unwrapped

    def schema_text(self, value: bytes, source: TopicPartition) -> str | None:
        """Return the schema, JSON, that a frame on that partition names; None if it is unknown."""
        try:
            return self._lookup.text(source.cluster_id, read_schema_id(value))
        except PacketRefused:
            return None

    def _rules_of(self, topic: str) -> TopicRules:
        if topic not in self._topics:
            self._topics[topic] = self._rules(topic)
        return self._topics[topic]

    def _refuse_foreign(self, schema: WriterSchema, survey: Survey) -> None:
        key = (survey.name, schema.fingerprint)
        if key not in self._foreign:
            missing = survey.missing(schema.arrow)
            self._foreign[key] = ", ".join(
                f"{field} ({survey.must_have[field]})" for field in missing
            )
        if lacks := self._foreign[key]:
            raise PacketRefused(
                DeadLetterReason.OTHER_SURVEY, f"No alert of {survey.name}: it has no {lacks}."
            )

    # The wire formats.

    def _bare_record(self, value: bytes, text: str) -> Unwrapped:
        if text not in self._bare:
            self._bare[text] = self._reader_for(text)
        return Unwrapped(_usable(self._bare[text]), value)

    def _framed(self, value: bytes, source: TopicPartition) -> Unwrapped:
        schema_id = read_schema_id(value)
        key = (source.cluster_id, schema_id)
        if key not in self._by_id:
            text = self._lookup.text(*key)
            self._refuse_too_many(source.topic, text.encode())
            self._by_id[key] = self._reader_for(text)
        record = memoryview(value)[avro_frame.FRAME_BYTES :]
        return Unwrapped(_usable(self._by_id[key]), record, schema_id)

    def _contained(self, value: bytes, topic: str) -> Unwrapped:
        header, known = self._source_of(value, topic)
        reader = _usable(known)
        body = find_body(value, len(header.raw))
        record: Piece = memoryview(value)[body.start : body.end]
        if header.codec != "null":
            limit = min(memory_limit_bytes(len(value)), self._max_record_bytes)
            record = decompress(header.codec, record, limit)
        for start, end in body.empty:
            _refuse_data(header.codec, value[start:end])
        return Unwrapped(reader, record)

    def _source_of(self, value: bytes, topic: str) -> _Source:
        for index, source in enumerate(self._sources):
            # Comparing the whole header costs 1 us, hashing it 15 us; two schemas may be equal in
            # any part of it.
            if value.startswith(source.header.raw):
                if index:
                    self._sources.insert(0, self._sources.pop(index))
                return source
        # Other metadata may differ from packet to packet: a counter, a time of writing.
        header = read_header(value)
        for index, known in enumerate(self._sources):
            if known.header[1:] == header[1:]:
                source = _Source(header, self._sources.pop(index).reader)
                break
        else:
            self._refuse_too_many(topic, header.schema_text)
            source = _Source(header, self._reader_for(header.schema_text))
        self._sources.insert(0, source)
        del self._sources[MAX_SCHEMAS:]
        return source

    def _refuse_too_many(self, topic: str, text: bytes) -> None:
        """Refuse a schema that is not cached if the topic has brought too many new ones."""
        if self._new_schemas is not None and not self._new_schemas.admits(topic, text):
            raise PacketRefused(
                DeadLetterReason.TOO_MANY_SCHEMAS,
                "The topic has brought more new schemas within an hour than "
                "packets.new_schemas_per_h.",
            )

    def _reader_for(self, text: str | bytes) -> _Known:
        try:
            schema = WriterSchema.from_text(text, self._max_columns)
            if schema.fingerprint not in self._readers:
                if len(self._readers) >= MAX_SCHEMAS:
                    self._readers.clear()
                self._readers[schema.fingerprint] = RecordReader(schema)
            return self._readers[schema.fingerprint]
        except SchemaError as error:
            return error


def memory_limit_bytes(message_bytes: int) -> int:
    """Return the memory that a message of that size may take, decompressed as well as decoded."""
    return max(UNSUSPICIOUS_BYTES, MAX_EXPANSION * message_bytes)


def _refuse_data(codec: str, data: bytes) -> None:
    """Refuse a block that has no record by its count, but data."""
    if data and (codec == "null" or decompress(codec, data, len(data))):
        raise PacketRefused(
            DeadLetterReason.TRAILING_BYTES,
            f"A block of the container has {len(data)} bytes, and no record by its count.",
        )


def _usable(known: _Known) -> RecordReader:
    if isinstance(known, TooManyColumns):
        raise PacketRefused(
            DeadLetterReason.TOO_MANY_COLUMNS,
            f"The packet cannot be archived: {known}, which packets.max_columns allows.",
        )
    if isinstance(known, SchemaError):
        raise PacketRefused(
            DeadLetterReason.UNSUPPORTED_SCHEMA, f"Its schema cannot be archived: {known}."
        )
    return known
