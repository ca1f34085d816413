"""Write to Kafka in transactions: messages, new schemas and the progress of filters."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from finkray.errors import FinkrayError, ProducerFenced
from finkray.kafka.config import admin_config, transaction_timeout_ms
from finkray.kafka.topics import ensure_topic, partition_count
from finkray.kafka.transactions import TransactionalProducer
from finkray.settings.streamout import StreamoutSettings
from finkray.streamout.late import KEY_MARK, LateFile, LateFiles
from finkray.streamout.output_registry import OutputRegistry
from finkray.streamout.progress import Progress
from finkray.streamout.published import PublishedFilter
from finkray.streamout.topics import (
    COMPACTED,
    SchemaBook,
    progress_topic,
    read_to_end,
    schemas_topic,
)
from finkray.streamout.wire import Wire, key_and_value, partition_of

ROOM_BYTES: Final = 512
"""Most bytes that a message takes in Kafka beside key and value: its header and its batch's."""

LINGER_MS: Final = 200
"""The commit sends what lingers at once. So the messages of several files go to a partition as one
batch, and cost the broker one request in place of one for each file."""

_OWNER_KEY: Final = KEY_MARK + b"owner"
"""Key of the record that says which process took over last."""

_DESCRIBE_S: Final = 30.0


def create_filter_topic(config: Mapping[str, Any], settings: StreamoutSettings, topic: str) -> None:
    """Create the topic of a filter unless it exists.

    Raises
    ------
    KafkaUnavailable
        if Kafka refuses
    """
    own = {"max.message.bytes": str(int(settings.max_message_bytes))}
    ensure_topic(config, topic, settings.partitions, own, replicas=settings.replication_factor)


def create_own_topics(config: Mapping[str, Any], settings: StreamoutSettings) -> None:
    """Create the topics of progress and schemas unless they exist.

    Raises
    ------
    KafkaUnavailable
        if Kafka refuses
    """
    for topic in (progress_topic(settings.instance), schemas_topic(settings.instance)):
        ensure_topic(config, topic, 1, COMPACTED, replicas=settings.replication_factor)


def output_registry(settings: StreamoutSettings) -> OutputRegistry | None:
    """Return the schema registry of the settings; None if they name none.

    Raises
    ------
    SettingsError
        if its client rejects a property
    """
    config = settings.registry_config()
    return OutputRegistry(config) if config else None


@dataclass(frozen=True, slots=True)
class OutLedger:
    """What an instance has committed: its out-ledger.

    Attributes
    ----------
    progress
        of each filter that ever ran, by name
    late
        alerts that wait for answers of services
    owner
        the process that took over last; empty if none ever ran
    """

    progress: dict[str, Progress]
    late: LateFiles
    owner: str = ""


def read_out_ledger(config: Mapping[str, Any], instance: str) -> OutLedger:
    """Return what an instance has committed, as it is at one moment.

    Progress and late files are in one partition, so the counts of waiting alerts fit the late files
    that name them.
    """
    topic = progress_topic(instance)
    progress: dict[str, Progress] = {}
    late: dict[bytes, LateFile] = {}
    owner = ""
    exists = partition_count(config, topic) is not None
    for key, value in read_to_end(config, topic) if exists else ():
        if key == _OWNER_KEY:
            owner = (value or b"").decode()
        elif key is not None and KEY_MARK in key:
            late.pop(key, None)
            if value is not None:
                late[key] = LateFile.from_bytes(value)
        elif value is not None:
            found = Progress.from_bytes(value)
            progress[found.filter] = found
    return OutLedger(progress, LateFiles(late.values()), owner)


def read_schemas(config: Mapping[str, Any], instance: str) -> SchemaBook:
    """Return the schemas of all topics of an instance; none if nothing ever ran."""
    topic = schemas_topic(instance)
    exists = partition_count(config, topic) is not None
    return SchemaBook(read_to_end(config, topic) if exists else iter(()))


class Sender:
    """The one writer of an instance. A newer one fences it.

    Creating it fences the older ones, then reads how far they came: in the other order their last
    transaction could be missed.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included
    settings
        of streaming out
    owner
        name of this process, which no other has
    goes_on
        whether this process had a sender before. A process that slept may learn first that its
        messages were not delivered, and only then that it is fenced: it must not fence in its turn

    Attributes
    ----------
    out_ledger
        what is committed

    Raises
    ------
    KafkaUnavailable
        if Kafka does not answer
    ProducerFenced
        if it goes on, and a newer process has taken over since
    """

    def __init__(
        self, config: Mapping[str, Any], settings: StreamoutSettings, owner: str, *, goes_on: bool
    ) -> None:
        self._config = config
        self._settings = settings
        if goes_on and read_out_ledger(config, settings.instance).owner != owner:
            raise ProducerFenced(f"a newer process sends for the instance {settings.instance}")
        create_own_topics(config, settings)
        own = {
            "transaction.timeout.ms": transaction_timeout_ms(settings.dead_writer_s),
            "linger.ms": LINGER_MS,
            **config,
            # The commit waits for all messages, so Kafka's client reports failed deliveries alone:
            # that saves 0.7 us for each message.
            "delivery.report.only.error": True,
        }
        self._producer = TransactionalProducer(own, f"finkray-streamout-{settings.instance}")
        self._registry = output_registry(settings)
        self._partitions: dict[str, int] = {}
        self._limits: dict[str, int] = {}
        self.out_ledger = read_out_ledger(config, settings.instance)
        self._book = read_schemas(config, settings.instance)
        if self.out_ledger.owner != owner:
            with self.transaction():
                topic = progress_topic(settings.instance)
                self._producer.produce(topic, owner.encode(), key=_OWNER_KEY)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin a transaction; commit it at the end of the block, abort it if the block raises.

        Raises
        ------
        FinkrayError
            as `TransactionalProducer.transaction`. Then make a new sender: what this one knows may
            be of the aborted transaction
        """
        with self._producer.transaction():
            yield

    def send(
        self,
        published: PublishedFilter,
        object_ids: Sequence[bytes],
        records: Sequence[bytes],
        schema_text: str,
    ) -> list[int]:
        """Write messages into the open transaction; return their sizes, 0 of one that is too large.

        Parameters
        ----------
        published
            the filter
        object_ids
            of the alerts
        records
            the bare records
        schema_text
            their schema

        Raises
        ------
        SchemaError
            if readers of the schema could not read what is in the topic
        SchemaUnavailable
            if the registry does not answer
        """
        topic = published.topic
        schema = self._schema_id(published, schema_text), schema_text.encode()
        if topic not in self._partitions:
            self._learn(topic)
        partitions, limit = self._partitions[topic], self._limits[topic] - ROOM_BYTES
        by_partition: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
        sizes = []
        for object_id, record in zip(object_ids, records, strict=True):
            message = key_and_value(published.wire, record, object_id, *schema)
            size = len(message[0]) + len(message[1])
            if size > limit:
                sizes.append(0)
                continue
            sizes.append(size)
            by_partition[partition_of(object_id, partitions)].append(message)
        for partition, messages in by_partition.items():
            self._producer.produce_all(topic, partition, messages)
        return sizes

    def _schema_id(self, published: PublishedFilter, text: str) -> int:
        """Return the id of a schema; write it into the open transaction if it is new."""
        topic = published.topic
        # A message of Fink's form has its schema with it.
        registry = self._registry if published.wire is Wire.CONFLUENT else None
        known = self._book.id_of(topic, text, registry.url if registry else "")
        if known is not None:
            return known
        self._book.refuse_incompatible(topic, text)
        given = None if registry is None else (registry.url, registry.register(topic, text))
        new, key, value = self._book.register(topic, text, given)
        self._producer.produce(schemas_topic(self._settings.instance), value, key=key)
        return new

    def write_progress(self, progress: Progress) -> None:
        """Write the progress of a filter into the open transaction."""
        topic = progress_topic(self._settings.instance)
        self._producer.produce(topic, progress.to_bytes(), key=progress.filter.encode())

    def write_late(self, late: LateFile) -> None:
        """Write which alerts of a file wait for answers into the open transaction."""
        topic = progress_topic(self._settings.instance)
        self._producer.produce(topic, late.to_bytes(), key=late.key)

    def close(self) -> None:
        """Leave Kafka; an open transaction is aborted."""
        with suppress(FinkrayError):
            self._producer.close()

    def _learn(self, topic: str) -> None:
        """Learn how many partitions a topic has, and its largest message."""
        create_filter_topic(self._config, self._settings, topic)
        self._partitions[topic] = partition_count(self._config, topic) or 1
        own = int(self._settings.max_message_bytes)
        self._limits[topic] = min(own, _largest_message(self._config, topic) or own)


def _largest_message(config: Mapping[str, Any], topic: str) -> int | None:
    """Return the largest message of a topic; None if the login may not know."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient(admin_config(config))
    try:
        found = admin.describe_configs([resource], request_timeout=_DESCRIBE_S)[resource].result()
    except KafkaException:
        return None
    return int(found["max.message.bytes"].value)
