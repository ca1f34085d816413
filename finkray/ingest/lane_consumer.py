"""The Kafka consumer of a lane reader: open while lanes are read, paused without credit.

Single partitions are paused too, while their topic has to wait.
"""

import time
from collections.abc import Callable, Collection

from confluent_kafka import Message
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.kafka.consumer import PartitionConsumer

STALL_BEFORE_PAUSE_S = 5.0
"""Time without credit after which partitions are paused. Pausing discards the Kafka client's queue,
which is then fetched again: too expensive for the short waits of ordinary back-pressure, right when
the disk stays full."""

MESSAGES_PER_POLL = 500

PartitionKey = tuple[str, int]
"""Topic and partition number, as the Kafka client knows a partition."""


class LaneConsumer:
    """A Kafka consumer that is opened by the first assignment. Not thread-safe.

    An open consumer costs librdkafka's threads and its queue, so it is closed when there is nothing
    to read.

    Parameters
    ----------
    make_consumer
        opens a consumer as `finkray.kafka.consumer.assigned_consumer` does
    """

    def __init__(self, make_consumer: Callable[[], PartitionConsumer]) -> None:
        self._make_consumer = make_consumer
        self._consumer: PartitionConsumer | None = None
        self._stalled_since_s: float | None = None
        self._assigned: set[PartitionKey] = set()
        self._positions: dict[PartitionKey, int] = {}
        self._paused: set[PartitionKey] = set()
        self._waiting: set[PartitionKey] = set()

    @property
    def is_open(self) -> bool:
        """Whether there is a consumer to close."""
        return self._consumer is not None

    @property
    def stalled(self) -> bool:
        """Whether there was no credit for a message at the last poll; thread-safe."""
        return self._stalled_since_s is not None

    def assign(self, key: PartitionKey, offset: int) -> None:
        """Read this partition from this offset on."""
        if self._consumer is None:
            self._consumer = self._make_consumer()
        self._consumer.incremental_assign([KafkaPartition(*key, offset)])
        self._assigned.add(key)
        self._positions[key] = offset

    def unassign(self, key: PartitionKey) -> None:
        """Stop reading this partition, if it is read."""
        if self._consumer is not None and key in self._assigned:
            # It must not be paused when it is assigned again.
            self._pause_only(self._consumer, self._paused - {key})
            self._consumer.incremental_unassign([KafkaPartition(*key)])
            self._assigned.remove(key)

    def reopen(self) -> None:
        """Open a new consumer, which reads on where this one is, if one is open."""
        if self._consumer is None:
            return
        positions = {key: self._positions[key] for key in self._assigned}
        self.close()
        for key, offset in positions.items():
            self.assign(key, offset)

    def hold_back(self, keys: Collection[PartitionKey]) -> None:
        """Read these partitions no further, and all others, from the next poll on."""
        self._waiting = set(keys)

    def close(self) -> None:
        """Close the consumer, if it is open."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = None
        self._stalled_since_s = None
        self._assigned, self._paused, self._waiting = set(), set(), set()

    def poll(self, most_messages: int, timeout_s: float) -> list[Message]:
        """Return at most this many messages.

        Without credit for a message for `STALL_BEFORE_PAUSE_S`, pause all partitions; resume them
        when there is credit again.
        """
        if self._consumer is None:
            return []
        if most_messages == 0:
            self._stall(self._consumer)
            return []
        self._stalled_since_s = None
        self._pause_only(self._consumer, self._waiting & self._assigned)
        messages = self._consumer.consume(min(most_messages, MESSAGES_PER_POLL), timeout_s)
        self._note_positions(messages)
        return messages

    def check_leader(self, key: PartitionKey, timeout_s: float) -> None:
        """Check that the partition's leader answers.

        Raises
        ------
        KafkaException
            if it does not answer
        """
        if self._consumer is not None:
            self._consumer.get_watermark_offsets(KafkaPartition(*key), timeout=timeout_s)

    def cached_high_watermark(self, key: PartitionKey) -> int | None:
        """Return the high watermark as of the last fetch, or None before the first.

        Raises
        ------
        KafkaException
            if the client does not know the partition
        """
        if self._consumer is None:
            return None
        _, high = self._consumer.get_watermark_offsets(KafkaPartition(*key), cached=True)
        return high if high >= 0 else None

    def _note_positions(self, messages: Collection[Message]) -> None:
        for message in messages:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            if message.error() is None and None not in (topic, partition, offset):
                self._positions[topic, partition] = offset + 1

    def _stall(self, consumer: PartitionConsumer) -> None:
        now_s = time.monotonic()
        if self._stalled_since_s is None:
            self._stalled_since_s = now_s
        elif now_s - self._stalled_since_s >= STALL_BEFORE_PAUSE_S:
            self._pause_only(consumer, set(self._assigned))

    def _pause_only(self, consumer: PartitionConsumer, keys: set[PartitionKey]) -> None:
        """Pause these partitions, and resume the others."""
        if pausing := keys - self._paused:
            consumer.pause([KafkaPartition(*key) for key in pausing])
        if resuming := self._paused - keys:
            consumer.resume([KafkaPartition(*key) for key in resuming])
        self._paused = keys
