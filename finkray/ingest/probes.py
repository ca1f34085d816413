"""Kafka consumers that try from which offsets on a partition can be read.

Each probe has a consumer of its own. After a wrong checksum librdkafka (2.16) parses at a wrong
position and may fetch from a wrong offset next. It then reports that this offset does not exist,
and the error also reaches later assignments of the same consumer.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, Message
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.ingest.lane_consumer import PartitionKey
from finkray.kafka.consumer import PartitionConsumer
from finkray.kafka.errors import is_unreadable

NO_OFFSET: Final = -1
"""Stands for the offset of a record batch that ended the process which read it."""


class ProbeAnswer(NamedTuple):
    """The answer of a probe.

    Attributes
    ----------
    failed_at
        offset of the record batch that could not be read, `NO_OFFSET` if it is not known; None if
        a message was read or the partition ends there
    """

    failed_at: int | None


def probe_answer(message: Message) -> ProbeAnswer | None:
    """Return what the first message says; None if it says nothing about a record batch."""
    error = message.error()
    if error is None or error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
        return ProbeAnswer(None)
    return ProbeAnswer(batch_offset(message)) if is_unreadable(error) else None


def batch_offset(message: Message) -> int:
    """Return the offset of the record batch that an error is about; `NO_OFFSET` if not known."""
    offset = message.offset()
    return NO_OFFSET if offset is None else offset


class Probes:
    """At most one probe of each partition. Not thread-safe.

    Parameters
    ----------
    make_consumer
        opens a consumer as `finkray.kafka.consumer.assigned_consumer` does
    """

    def __init__(self, make_consumer: Callable[[], PartitionConsumer]) -> None:
        self._make_consumer = make_consumer
        self._consumers: dict[PartitionKey, PartitionConsumer] = {}

    def start(self, key: PartitionKey, offset: int) -> None:
        """Begin to read a partition from this offset on, in place of an earlier probe of it."""
        self.stop(key)
        consumer = self._consumers[key] = self._make_consumer()
        consumer.assign([KafkaPartition(*key, offset)])

    def stop(self, key: PartitionKey) -> None:
        """End the probe of a partition, if there is one."""
        consumer = self._consumers.pop(key, None)
        if consumer is not None:
            consumer.close()

    def answers(self) -> list[tuple[PartitionKey, ProbeAnswer]]:
        """Return the answers that are there, without waiting."""
        polled = [(key, consumer.poll(0)) for key, consumer in self._consumers.items()]
        return [
            (key, answer)
            for key, message in polled
            if message is not None and (answer := probe_answer(message)) is not None
        ]
