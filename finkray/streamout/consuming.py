"""Read a topic of a filter: decode its alerts, save them, and go on exactly where it stopped.

What was saved says where to go on: the name of a file has the partition, and the first and the last
offset of its messages. A file appears whole, by a rename. So a reader that is killed at any moment
goes on behind its last file; no message is missing and none is there twice.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.avro.container import SYNC_BYTES, encode_header, encode_long
from finkray.avro.frame import FRAME_BYTES, MAGIC, read_schema_id
from finkray.avro.reader import RecordReader
from finkray.avro.schema import WriterSchema
from finkray.errors import FinkrayError, KafkaUnavailable, SchemaUnavailable, StorageError
from finkray.host.records import read_record, write_private
from finkray.json_values import json_value
from finkray.kafka.cluster import NO_TOPIC_ID
from finkray.kafka.consumer import assigned_consumer
from finkray.kafka.errors import finkray_error, is_of_group
from finkray.kafka.topics import find_topic
from finkray.streamout.sender import read_schemas
from finkray.whole_file import whole_file

_LOG = logging.getLogger(__name__)

Format = Literal["parquet", "avro"]

BATCH_MESSAGES: Final = 1000
BATCH_BYTES: Final = 64 * 2**20
_QUEUE_BYTES: Final = 64 * 2**20
_TIMEOUT_S: Final = 30.0
_LOOK_S: Final = 0.5

_QUIET_S: Final = 30.0
"""After so long without a message a reader asks whether its topic is still there: a consumer of a
topic that was deleted waits for ever, and is told nothing."""

_FILE: Final = re.compile(
    r"(?P<topic>.+)-(?P<partition>\d{5})-(?P<first>\d{20})-(?P<last>\d{20})\..+"
)


@dataclass(frozen=True, slots=True)
class Received:
    """Messages of one partition and one schema, one after the other.

    Attributes
    ----------
    topic, partition, first, last
        where they are: the first and the last offset
    schema
        of the records
    records
        bare records
    """

    topic: str
    partition: int
    first: int
    last: int
    schema: str
    records: tuple[bytes, ...]

    def table(self) -> pa.Table:
        """Return the alerts as columns."""
        return table_of(self.schema, self.records)


class TopicReader:
    """Reads the committed messages of a topic.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included
    topic
        its name
    instance
        of streaming out, whose schemas the topic has
    positions
        by partition, where to begin; the others are read from their beginning

    Raises
    ------
    FinkrayError
        if there is no such topic
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        topic: str,
        instance: str,
        positions: Mapping[int, int],
    ) -> None:
        self._config = config
        self._topic = topic
        self._instance = instance
        self._schemas: dict[int, str] = {}
        found = find_topic(config, topic)
        if found is None:
            raise FinkrayError(
                f"there is no topic {topic}, or the login may not read it: finkray filter list "
                "names the topics, where the archive is"
            )
        partitions = range(found.partitions)
        self._begins = {partition: positions.get(partition) for partition in partitions}
        self.topic_id = found.topic_id or NO_TOPIC_ID
        """Kafka's id of the topic, which one that is created anew has not."""

    def batches(self, go_on: Callable[[bool], bool]) -> Iterator[Received]:
        """Yield what the topic has, then what comes.

        Parameters
        ----------
        go_on
            called after each look, with whether all partitions were read to their end; False ends
            the reading

        Raises
        ------
        KafkaUnavailable
            if Kafka does not answer
        SchemaUnavailable
            if the schema of a message is not known
        FinkrayError
            if a message is in no form that finkray sends, or the topic was deleted or created anew:
            what came before it was yielded
        """
        consumer: Consumer = assigned_consumer(
            self._config, queue_bytes=_QUEUE_BYTES, max_message_bytes=_QUEUE_BYTES
        )
        with closing(consumer):
            consumer.assign([self._start(consumer, *begin) for begin in self._begins.items()])
            at_end: set[int] = set()
            heard_s = time.monotonic()
            while True:
                for received in self._received(consumer, at_end):
                    heard_s = time.monotonic()
                    yield received
                if time.monotonic() - heard_s > _QUIET_S:
                    self._refuse_a_topic_that_is_gone()
                    heard_s = time.monotonic()
                if not go_on(len(at_end) == len(self._begins)):
                    return

    def _refuse_a_topic_that_is_gone(self) -> None:
        try:
            current = find_topic(self._config, self._topic)
        except KafkaUnavailable as error:
            _LOG.warning(
                "Kafka does not answer the reader of %s, which waits: %s", self._topic, error
            )
            return
        if current is None:
            raise FinkrayError(f"the topic {self._topic} was deleted while it was read")
        if (current.topic_id or NO_TOPIC_ID) != self.topic_id:
            raise FinkrayError(
                f"the topic {self._topic} was created anew while it was read: read it from its "
                "beginning, and save to another folder"
            )

    def _start(self, consumer: Consumer, partition: int, position: int | None) -> KafkaPartition:
        where = f"{self._topic}[{partition}]"
        try:
            low, high = consumer.get_watermark_offsets(
                KafkaPartition(self._topic, partition), timeout=_TIMEOUT_S
            )
        except KafkaException as error:
            raise finkray_error(error, f"{where} cannot be read") from error
        return KafkaPartition(self._topic, partition, begin_offset(where, position, low, high))

    def _received(self, consumer: Consumer, at_end: set[int]) -> Iterator[Received]:
        by_partition: dict[int, list[tuple[int, str, bytes]]] = {}
        size = 0
        for message in consumer.consume(BATCH_MESSAGES, _LOOK_S):
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - a public name
                    at_end.add(message.partition())
                elif not is_of_group(error):
                    raise finkray_error(error)
                continue
            at_end.discard(message.partition())
            try:
                schema, record = self._open(message.key(), message.value())
            except FinkrayError as refused:
                yield from self._grouped(by_partition)
                where = f"{self._topic}[{message.partition()}] at {message.offset()}"
                refused.args = (f"{where}: {refused}",)
                raise
            size += len(record)
            entry = (message.offset(), schema, record)
            by_partition.setdefault(message.partition(), []).append(entry)
            if size >= BATCH_BYTES:
                yield from self._grouped(by_partition)
                by_partition, size = {}, 0
        yield from self._grouped(by_partition)

    def _grouped(
        self, by_partition: Mapping[int, list[tuple[int, str, bytes]]]
    ) -> Iterator[Received]:
        for partition, messages in sorted(by_partition.items()):
            for schema, group in groupby(messages, key=lambda each: each[1]):
                members = list(group)
                records = tuple(record for _, _, record in members)
                first, last = members[0][0], members[-1][0]
                yield Received(self._topic, partition, first, last, schema, records)

    def _open(self, key: bytes | None, value: bytes | None) -> tuple[str, bytes]:
        """Return schema and record of a message in either wire."""
        if value is not None and key is not None and key.startswith(b"{"):
            return key.decode(), value
        if value is None or len(value) <= FRAME_BYTES or not value.startswith(MAGIC):
            raise FinkrayError(
                "the message is in no form that finkray sends: is it the topic of a filter?"
            )
        schema_id = read_schema_id(value)
        if schema_id not in self._schemas:
            self._schemas = read_schemas(self._config, self._instance).texts()
        if schema_id not in self._schemas:
            raise SchemaUnavailable(
                f"the schema {schema_id} is not in the topic of the schemas of "
                f"{self._instance}: is streamout.instance right?"
            )
        return self._schemas[schema_id], value[FRAME_BYTES:]


def begin_offset(where: str, position: int | None, low: int, high: int) -> int:
    """Return the offset at which to begin a partition.

    Messages that expired before they were read are logged: what was saved has a hole there.

    Parameters
    ----------
    where
        topic and partition, for a message
    position
        behind what was read before; None if nothing was
    low, high
        the first offset that Kafka has, and the one that its next message gets

    Raises
    ------
    FinkrayError
        if the partition ends before the position
    """
    if position is None:
        return low
    if position > high:
        raise FinkrayError(
            f"{where} ends at {high}, and was read up to {position} before: the topic was created "
            "anew. Save to another folder"
        )
    if position < low:
        _LOG.warning(
            "%s: %d messages from %d on expired in Kafka before they were read",
            where,
            low - position,
            position,
        )
    return max(low, position)


def saved_positions(folder: Path, topic: str) -> dict[int, int]:
    """Return by partition where to go on behind the files that were saved."""
    positions: dict[int, int] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        found = _FILE.fullmatch(path.name)
        if found and found["topic"] == topic:
            partition, after = int(found["partition"]), int(found["last"]) + 1
            positions[partition] = max(positions.get(partition, 0), after)
    return positions


def refuse_another_topic(folder: Path, topic: str, topic_id: str) -> None:
    """Check that the files in a folder are of this topic, and note whose they are.

    A topic that was deleted and created anew counts its offsets from 0 again: whoever went on
    behind the old ones would miss as many of the new messages.

    Parameters
    ----------
    folder, topic
        where the topic is saved, and its name
    topic_id
        Kafka's id of it, which a topic created anew has not

    Raises
    ------
    FinkrayError
        if they are of another one
    StorageError
        if the folder cannot be written
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be created: {error.strerror}") from error
    path = folder / f".{topic}.topic-id"
    known = read_record(path, bytes.decode, "delete it, if the topic was not created anew since")
    if known is None:
        write_private(path, topic_id)
    elif known != topic_id:
        raise FinkrayError(
            f"the topic {topic} was created anew since {folder} was begun: save to another folder"
        )


def save(received: Received, folder: Path, form: Format) -> Path:
    """Write messages to a file of their own, whole or not at all; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{received.topic}-{received.partition:05d}-{received.first:020d}-{received.last:020d}"
    path = folder / f"{name}.{form}"
    write_records(path, received.schema, received.records, form)
    return path


def write_records(path: Path, schema: str, records: Sequence[bytes], form: Format) -> None:
    """Write bare records of one schema to a file, whole or not at all.

    Raises
    ------
    StorageError
        if the file cannot be written
    """
    try:
        with whole_file(path) as sink:
            if form == "parquet":
                pq.write_table(table_of(schema, records), sink, compression="zstd")
            else:
                sink.write(_container(schema, records))
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def table_of(schema: str, records: Sequence[bytes]) -> pa.Table:
    """Return bare records of one schema as columns."""
    reader = RecordReader(WriterSchema.from_text(schema))
    return pa.Table.from_batches([reader.read(list(records))])


def lines(received: Received) -> Iterator[str]:
    """Yield a line of JSON for each alert; of an image it has the size."""
    for row in received.table().to_pylist():
        yield json.dumps(json_value(row))


def _container(schema: str, records: Sequence[bytes]) -> bytes:
    sync = os.urandom(SYNC_BYTES)
    data = b"".join(records)
    header = encode_header({"avro.codec": b"null", "avro.schema": schema.encode()})
    count = encode_long(len(records)) + encode_long(len(data))
    return header + sync + count + data + sync
