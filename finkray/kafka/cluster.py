"""Metadata of a Kafka cluster: topics, partitions, watermarks, offsets by time and of a group.

Everything here only reads, apart from `commit_offsets`, which serves tools that watch the lag of
our group: the archive itself never reads those offsets.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
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
from finkray.errors import KafkaUnavailable, TopicChanged
from finkray.kafka.config import CLIENT_DEFAULTS, admin_config, options_explained
from finkray.kafka.errors import HELP, SILENCE_HELP, finkray_error

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10.0
"""How long one request to Kafka may take: a healthy broker answers in milliseconds, and one
that elects a new leader within a few seconds."""

NO_TOPIC_ID = "unknown"
"""Stands for the topic id where the broker has none (Kafka before 2.8): a topic that was deleted
and created again cannot be told there from the old one."""

Start = Literal["earliest", "latest"] | datetime


@dataclass(frozen=True, slots=True)
class Watermarks:
    """The offsets that Kafka holds of a partition: `low` is the first, `high` one past the last."""

    low: int
    high: int


class KafkaCluster:
    """One Kafka cluster, seen by a client that may only read.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included.
    timeout_s
        how long one request may take
    """

    def __init__(self, config: Mapping[str, Any], timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        self._config = {**CLIENT_DEFAULTS, **config}
        self._timeout_s = timeout_s
        self._error_events: deque[KafkaError] = deque(maxlen=20)
        with options_explained():
            self._admin = AdminClient(admin_config(config))
            self._consumer = Consumer(
                {
                    "group.id": "finkray",
                    **self._config,
                    "enable.auto.commit": False,
                    "error_cb": self._error_events.append,
                }
            )

    def close(self) -> None:
        """Close the connections to the cluster."""
        self._consumer.close()

    def partitions(self, wants: Callable[[str], bool]) -> list[TopicPartition]:
        """Return every partition of every topic whose name is wanted, sorted.

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
        # A topic that was deleted between the two requests is left out.
        return [
            TopicPartition(metadata.cluster_id, name, ids[name], partition)
            for name in sorted(topics)
            if name in ids
            for partition in topics[name]
        ]

    def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        """Return Kafka's id of each of the topics that exist."""
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
                known = finkray_error(error)
                if isinstance(known, TopicChanged):
                    continue
                raise known from error
            ids[name] = str(topic_id) if topic_id is not None else NO_TOPIC_ID
        return ids

    def cluster_id(self) -> str:
        """Return the cluster's own id."""
        return str(self._metadata().cluster_id)

    def _metadata(self) -> ClusterMetadata:
        """Request all topics. If no broker answers, the client's error events say why."""
        self._error_events.clear()
        try:
            # Requested by the consumer: it learns of new partitions only from this.
            return self._consumer.list_topics(timeout=self._timeout_s)
        except KafkaException as error:
            self._consumer.poll(0)
            events = [known for known in self._error_events if known.name() != "_ALL_BROKERS_DOWN"]
            if not events:
                raise KafkaUnavailable(f"{SILENCE_HELP} {finkray_error(error)}") from error
            # An error that only a person can end explains the others.
            cause = next((known for known in events if known.name() in HELP), events[-1])
            raise finkray_error(KafkaException(cause)) from error

    def watermarks(self, topic: str, partition: int) -> Watermarks:
        """Return the offsets that Kafka holds of a partition, as its leader says."""
        try:
            low, high = self._consumer.get_watermark_offsets(
                KafkaPartition(topic, partition), timeout=self._timeout_s, cached=False
            )
        except KafkaException as error:
            raise finkray_error(error) from error
        return Watermarks(low, high)

    def start_offset(self, source: TopicPartition, start: Start) -> int:
        """Return the offset that the setting `start` means in this partition."""
        marks = self.watermarks(source.topic, source.partition)
        if start == "earliest":
            return marks.low
        if start == "latest":
            return marks.high
        moment_ms = int(start.timestamp() * 1000)
        try:
            partitions = self._consumer.offsets_for_times(
                [KafkaPartition(source.topic, source.partition, moment_ms)],
                timeout=self._timeout_s,
            )
        except KafkaException as error:
            raise finkray_error(error) from error
        offset: int = partitions[0].offset
        # No message is as late as that: librdkafka returns a negative "end".
        return offset if offset >= 0 else marks.high

    def commit_offsets(self, group_id: str, frontiers: Mapping[TopicPartition, int]) -> None:
        """Commit offsets of a consumer group. A failure is only logged: nothing depends on them."""
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
                log.debug(
                    "offsets of group %s were not committed to Kafka; nothing depends on them: %s",
                    group_id,
                    error,
                )
