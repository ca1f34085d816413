"""Read offsets from Kafka again: missing ones, and messages whose dead letter was cut short."""

from collections.abc import Collection, Iterator
from typing import Any

from confluent_kafka import KafkaError
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.claim import Claim, TopicPartition
from finkray.errors import KafkaUnavailable
from finkray.ingest.intake import CutClaim, CutLimits, PartitionIntake
from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.consumer import assigned_consumer
from finkray.packets.message import RawMessage
from finkray.settings.model import Settings

SILENCE_S = 30.0
"""Kafka answers a fetch within milliseconds. After this time without a message, the brokers count
as unreachable."""

_QUEUE_BYTES = 16 * 1024 * 1024


class Rereader:
    """Reads the messages at given offsets from Kafka once more.

    Parameters
    ----------
    settings
        all settings
    """

    def __init__(self, settings: Settings) -> None:
        self._config = settings.kafka.client_config()
        self._max_message_bytes = int(settings.kafka.max_message_bytes)
        self._limits = CutLimits(
            settings.ingest.claim_bytes, settings.ingest.claim_rows, settings.ingest.linger_s
        )
        self._kafka: KafkaCluster | None = None

    def close(self) -> None:
        """Close the connection to Kafka, if there is one."""
        if self._kafka is not None:
            self._kafka.close()

    def low(self, source: TopicPartition) -> int | None:
        """Return the first offset that Kafka still holds; None if the partition is gone.

        If the topic was deleted and created again, the partition is gone: the new topic has other
        messages at the same offsets.

        Raises
        ------
        KafkaUnavailable
            if no broker answers
        """
        if self._kafka is None:
            self._kafka = KafkaCluster(self._config)
        if source not in self._kafka.partitions(lambda topic: topic == source.topic):
            return None
        return self._kafka.watermarks(source.topic, source.partition).low

    def messages(self, source: TopicPartition, offsets: Collection[int]) -> Iterator[RawMessage]:
        """Yield the messages that Kafka still holds, in order.

        Raises
        ------
        KafkaUnavailable
            if no broker answers
        """
        low = self.low(source) if offsets else None
        if low is None or low > max(offsets):
            return
        span = Claim(source, max(low, min(offsets)), max(offsets))
        for cut in self.cuts(span):
            yield from (message for message in cut.messages if message.offset in offsets)

    def cuts(self, span: Claim) -> Iterator[CutClaim[RawMessage]]:
        """Yield the offsets of the span as claims of the usual size, in order.

        Raises
        ------
        KafkaUnavailable
            if no broker answers
        """
        source = span.source
        consumer = assigned_consumer(
            self._config, queue_bytes=_QUEUE_BYTES, max_message_bytes=self._max_message_bytes
        )
        intake: PartitionIntake[RawMessage] = PartitionIntake(source, span.first_offset)
        try:
            consumer.assign([KafkaPartition(source.topic, source.partition, span.first_offset)])
            while intake.next_offset <= span.last_offset:
                message = consumer.poll(SILENCE_S)
                if message is None:
                    raise KafkaUnavailable(f"no answer from Kafka for {SILENCE_S:.0f} s at {span}")
                at_end = self._add(message, span, intake)
                full = intake.pending_bytes >= self._limits.claim_bytes
                cut = intake.cut(self._limits, 0.0, flush=at_end) if at_end or full else None
                if cut is not None:
                    yield cut
        finally:
            consumer.close()

    def _add(self, message: Any, span: Claim, intake: PartitionIntake[RawMessage]) -> bool:
        """Add a message to the intake; return whether it was the last of the span."""
        error, offset = message.error(), message.offset()
        at_end = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001
        if at_end or (error is None and offset > span.last_offset):
            intake.reached_end(span.last_offset + 1, 0.0)
        elif error is not None:
            raise KafkaUnavailable(f"Kafka failed at {span}: {error.str()}")
        else:
            timestamp_type, timestamp_ms = message.timestamp()
            value = message.value()
            raw = RawMessage(offset, timestamp_ms if timestamp_type else None, value)
            intake.add(raw, len(value) if value is not None else 0, 0.0)
        return at_end or offset >= span.last_offset
