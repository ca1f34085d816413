"""What finkray asks of Kafka: which partitions there are, where they begin and end, and a reader.

Everything here only reads, apart from `commit_offsets`, which is a courtesy to people who
watch the lag of our group in Kafka's own tools: the archive itself never looks at it.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata

from finkray.claim import TopicPartition
from finkray.errors import FinkrayError, KafkaUnavailable, SettingsError, TopicChanged

REQUEST_TIMEOUT_S = 10.0
"""How long one question to Kafka may take: a healthy broker answers in milliseconds, and one
that elects a new leader within a few seconds."""

EVERY_CLIENT: Mapping[str, Any] = {
    # Trouble with a broker comes to us as an error and is told once, with its partition;
    # librdkafka would also write a line about each of its tries, twenty in a second.
    "log_level": 2,
    "reconnect.backoff.ms": 250,
    # With connections only where they are needed, a third of the clients whose broker hung for
    # some seconds never tried to connect again (librdkafka 2.x), and found no broker for ever.
    "enable.sparse.connections": False,
}
"""What each client of ours is given, unless the settings' options say otherwise."""

NO_TOPIC_ID = "unknown"
"""Stands for the topic id where the broker gives none (Kafka before 2.8): a topic that is
made anew can't be told there from the old one."""

Start = Literal["earliest", "latest"] | datetime


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The offsets that Kafka holds of a partition: `low` is the first, `high` one past the last."""

    low: int
    high: int


def as_finkray_error(error: KafkaException) -> FinkrayError:
    """Kafka's error in our tree, its own words kept."""
    cause = error.args[0] if error.args else None
    if not isinstance(cause, KafkaError):
        return KafkaUnavailable(f"Kafka says: {error}")
    text = explain(cause) if cause.name() in _HELP else f"Kafka says: {explain(cause)}"
    if cause.name() in {
        "UNKNOWN_TOPIC_OR_PART",
        "_UNKNOWN_TOPIC",
        "_UNKNOWN_PARTITION",
        "UNKNOWN_TOPIC_ID",
    }:
        return TopicChanged(text)
    return KafkaUnavailable(text)


_LOGIN_HELP = (
    "the login is refused: are kafka.sasl_username and kafka.sasl_password or sasl_password_file "
    'right, and is "sasl.mechanism" the one of the brokers?'
)
_TLS_HELP = (
    "there is no TLS connection: does kafka.options name the brokers' authority, "
    '"ssl.ca.location" = "/path/ca.pem", and are kafka.bootstrap_servers the names that stand in '
    "their certificates?"
)
_RIGHTS_HELP = "the login lacks a right: it needs READ and DESCRIBE on the topics"

_SILENCE_HELP = (
    'no broker answers in time: is it busy, or does "security.protocol" not fit, because it wants '
    "TLS or a login and the settings do not, or the other way round?"
)

_HELP: Mapping[str, str] = {
    "_AUTHENTICATION": _LOGIN_HELP,
    "SASL_AUTHENTICATION_FAILED": _LOGIN_HELP,
    "UNSUPPORTED_SASL_MECHANISM": _LOGIN_HELP,
    "_SSL": _TLS_HELP,
    "TOPIC_AUTHORIZATION_FAILED": _RIGHTS_HELP,
    "CLUSTER_AUTHORIZATION_FAILED": _RIGHTS_HELP,
}
"""What a person can do about errors that pass only when somebody does something, by name."""


def explain(error: KafkaError) -> str:
    """Kafka's own words, and what to do where that is known."""
    said = f"{error.str()} ({error.name()})"
    return f"{_HELP[error.name()]} Kafka says: {said}" if error.name() in _HELP else said


@contextmanager
def _options_explained() -> Iterator[None]:
    """A client that can't be made was given an option that librdkafka does not take."""
    try:
        yield
    except KafkaException as error:
        raise SettingsError(f"kafka.options: {error.args[0].str()}") from error


class KafkaCluster:
    """One Kafka cluster, seen by somebody who may only read.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included.
    timeout_s
        how long one question may take
    """

    def __init__(self, config: Mapping[str, Any], timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self._config = {**EVERY_CLIENT, **config}
        self._timeout_s = timeout_s
        self._heard: deque[KafkaError] = deque(maxlen=20)
        with _options_explained():
            self._admin = AdminClient(_without_consumer_keys(self._config))
            self._consumer = Consumer(
                {
                    "group.id": "finkray",
                    **self._config,
                    "enable.auto.commit": False,
                    "error_cb": self._heard.append,
                }
            )

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()

    def partitions(self, wants: Callable[[str], bool]) -> list[TopicPartition]:
        """Every partition of every topic whose name is wanted, sorted.

        Raises
        ------
        KafkaUnavailable
            if no broker answers.
        """
        metadata = self._metadata()
        topics = {
            name: sorted(topic.partitions)
            for name, topic in metadata.topics.items()
            if topic.error is None and wants(name)
        }
        ids = self.topic_ids(sorted(topics))
        # A topic that vanished between the two questions is simply not there.
        return [
            TopicPartition(metadata.cluster_id, name, ids[name], partition)
            for name in sorted(topics)
            if name in ids
            for partition in topics[name]
        ]

    def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        """Kafka's ids of those of the topics that are there."""
        if not topics:
            return {}
        futures = self._admin.describe_topics(
            TopicCollection(list(topics)), request_timeout=self._timeout_s
        )
        ids = {}
        for name, future in futures.items():
            try:
                topic_id = future.result().topic_id
            except KafkaException as error:
                known = as_finkray_error(error)
                if isinstance(known, TopicChanged):
                    continue
                raise known from error
            ids[name] = str(topic_id) if topic_id is not None else NO_TOPIC_ID
        return ids

    def cluster_id(self) -> str:
        """The cluster's own id."""
        return str(self._metadata().cluster_id)

    def _metadata(self) -> ClusterMetadata:
        """Ask for all topics. Why there is no answer only the client's error events tell."""
        self._heard.clear()
        try:
            # The consumer's own list: it knows new partitions only from here.
            return self._consumer.list_topics(timeout=self._timeout_s)
        except KafkaException as error:
            self._consumer.poll(0)
            heard = [known for known in self._heard if known.name() != "_ALL_BROKERS_DOWN"]
            if not heard:
                raise KafkaUnavailable(f"{_SILENCE_HELP} {as_finkray_error(error)}") from error
            # What only a person mends explains the rest.
            cause = next((known for known in heard if known.name() in _HELP), heard[-1])
            raise as_finkray_error(KafkaException(cause)) from error

    def watermarks(self, topic: str, partition: int) -> Watermarks:
        """The offsets that Kafka holds of the partition, asked of its leader now."""
        try:
            low, high = self._consumer.get_watermark_offsets(
                KafkaPartition(topic, partition), timeout=self._timeout_s, cached=False
            )
        except KafkaException as error:
            raise as_finkray_error(error) from error
        return Watermarks(low, high)

    def start_offset(self, source: TopicPartition, start: Start) -> int:
        """The offset that the setting `start` means in this partition."""
        marks = self.watermarks(source.topic, source.partition)
        if start == "earliest":
            return marks.low
        if start == "latest":
            return marks.high
        moment_ms = int(start.timestamp() * 1000)
        try:
            found = self._consumer.offsets_for_times(
                [KafkaPartition(source.topic, source.partition, moment_ms)],
                timeout=self._timeout_s,
            )
        except KafkaException as error:
            raise as_finkray_error(error) from error
        offset: int = found[0].offset
        # Nothing as late as that is there yet: librdkafka answers with a negative "end".
        return offset if offset >= 0 else marks.high

    def commit_offsets(self, group_id: str, frontiers: Mapping[TopicPartition, int]) -> None:
        """Tell Kafka how far the group is. May fail, and then only says so in the log."""
        offsets = [
            KafkaPartition(source.topic, source.partition, offset)
            for source, offset in frontiers.items()
        ]
        futures = self._admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group_id, offsets)], request_timeout=self._timeout_s
        )
        for future in futures.values():
            try:
                future.result()
            except KafkaException as error:
                logging.getLogger(__name__).debug(
                    "offsets of group %s are not committed in Kafka (a courtesy only): %s",
                    group_id,
                    error,
                )


_CONSUMER_ONLY = (
    "fetch.",
    "queued.",
    "group.",
    "auto.",
    "enable.auto",
    "enable.partition",
    "max.poll",
)


def _without_consumer_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    # librdkafka warns on standard error about consumer properties given to an admin client.
    return {key: value for key, value in config.items() if not key.startswith(_CONSUMER_ONLY)}


def reader(config: Mapping[str, Any], *, queue_bytes: int, max_message_bytes: int) -> Consumer:
    """A consumer to be *assigned* partitions: no group moves them in the middle of a claim.

    It tells the end of a partition (which closes the tail past trailing transaction
    markers), gives committed messages only, and reports an offset that Kafka no longer
    holds as an error instead of jumping.
    """
    with _options_explained():
        return Consumer(_reader_config(config, queue_bytes, max_message_bytes))


def _reader_config(
    config: Mapping[str, Any], queue_bytes: int, max_message_bytes: int
) -> dict[str, Any]:
    return {
        **EVERY_CLIENT,
        "group.id": "finkray",
        "fetch.message.max.bytes": min(queue_bytes, 8 * 1024 * 1024),
        "fetch.max.bytes": max(queue_bytes, max_message_bytes),
        "queued.max.messages.kbytes": max(1, queue_bytes // 1024),
        "fetch.wait.max.ms": 50,
        # librdkafka's own pause when its queue is full is 1 s, in which ours runs empty.
        "fetch.queue.backoff.ms": 10,
        **config,
        # These are the archive's own promises, so no option may change them.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        # Nothing of a consumer but a check: a fetch must have room for one message.
        "message.max.bytes": max_message_bytes,
    }
