"""Read offsets from Kafka again: missing ones, unreadable ones, and dead letters cut short."""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from confluent_kafka import KafkaError, Message
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.claim import Claim, TopicPartition
from finkray.errors import KafkaUnavailable
from finkray.ingest.bounded_consumer import BoundedConsumer
from finkray.ingest.consumers import BOUNDED_PARTS
from finkray.ingest.intake import CutClaim, CutLimits, PartitionIntake
from finkray.ingest.lane import raw_message
from finkray.ingest.probes import batch_offset, probe_answer
from finkray.ingest.unreadable import BatchEndSearch, find_last_offset, unreadable_claim
from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.consumer import PartitionConsumer, assigned_consumer
from finkray.kafka.errors import is_of_group, is_unreadable
from finkray.packets.message import RawMessage
from finkray.settings.model import Settings

SILENCE_S = 30.0
"""Kafka answers a fetch within milliseconds. After this time without a message, the brokers count
as unreachable."""

BOUNDED_SILENCE_S = 120.0
"""The same for a bounded consumer, whose process starts first and unpacks whole record batches: it
took more than 30 s on a machine with 20 times as much work as cores."""

_QUEUE_BYTES = 16 * 1024 * 1024


class Reread(NamedTuple):
    """What was read again, in order of offset, and the offsets that cannot be read."""

    messages: list[RawMessage]
    unreadable: set[int]


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
        self._memory_bytes = settings.ingest.actor_memory_bytes // BOUNDED_PARTS
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
        for cut in self._cuts_of(source, offsets):
            yield from (message for message in cut.messages if message.offset in offsets)

    def read(self, source: TopicPartition, offsets: Collection[int]) -> Reread:
        """Return the messages that Kafka still holds, and offsets that it holds and cannot send.

        Raises
        ------
        KafkaUnavailable
            if no broker answers
        """
        messages: list[RawMessage] = []
        unreadable: set[int] = set()
        for cut in self._cuts_of(source, offsets):
            messages += (message for message in cut.messages if message.offset in offsets)
            for gap in cut.gaps:
                if gap.kind == "unreadable":
                    unreadable |= set(range(gap.first_offset, gap.last_offset + 1))
        return Reread(messages, unreadable & set(offsets))

    def _cuts_of(
        self, source: TopicPartition, offsets: Collection[int]
    ) -> Iterator[CutClaim[RawMessage]]:
        """Yield the claims of the offsets that Kafka may still hold, and of those between them."""
        low = self.low(source) if offsets else None
        if low is not None and low <= max(offsets):
            yield from self.cuts(Claim(source, max(low, min(offsets)), max(offsets)))

    def cuts(self, span: Claim, *, bounded: bool = False) -> Iterator[CutClaim[RawMessage]]:
        """Yield the offsets of the span as claims of the usual size, in order.

        A record batch that cannot be read becomes a claim with an `unreadable` gap.

        Parameters
        ----------
        span
            the offsets
        bounded
            unpack one record batch at a time, in a process with half of `ingest.memory_bytes`: for
            batches that an ingest actor went past. It is slower

        Raises
        ------
        KafkaUnavailable
            if no broker answers
        """
        open_at = self._bounded_at if bounded else self._consumer_at
        consumer = open_at(span.source, span.first_offset)
        intake: PartitionIntake[RawMessage] = PartitionIntake(span.source, span.first_offset)
        try:
            while intake.next_offset <= span.last_offset:
                message = self._poll(consumer, span)
                if _is_unreadable(message) and batch_offset(message) <= span.last_offset:
                    before = intake.cut(self._limits, 0.0, flush=True)
                    if before is not None:
                        yield before
                    yield self._skip(batch_offset(message), span, intake, open_at)
                    consumer.close()
                    consumer = open_at(span.source, intake.next_offset)
                    continue
                at_end = self._add(message, span, intake)
                full = intake.pending_bytes >= self._limits.claim_bytes
                cut = intake.cut(self._limits, 0.0, flush=at_end) if at_end or full else None
                if cut is not None:
                    yield cut
        finally:
            consumer.close()

    def _consumer_at(self, source: TopicPartition, offset: int) -> PartitionConsumer:
        consumer = assigned_consumer(
            self._config, queue_bytes=_QUEUE_BYTES, max_message_bytes=self._max_message_bytes
        )
        consumer.assign([KafkaPartition(source.topic, source.partition, offset)])
        return consumer

    def _bounded_at(self, source: TopicPartition, offset: int) -> PartitionConsumer:
        consumer = BoundedConsumer(
            self._config,
            max_message_bytes=self._max_message_bytes,
            memory_bytes=self._memory_bytes,
            on_no_memory=lambda: None,
        )
        consumer.assign([KafkaPartition(source.topic, source.partition, offset)])
        return consumer

    @staticmethod
    def _poll(consumer: PartitionConsumer, span: Claim) -> Message:
        silence_s = BOUNDED_SILENCE_S if isinstance(consumer, BoundedConsumer) else SILENCE_S
        message = consumer.poll(silence_s)
        if message is None:
            raise KafkaUnavailable(f"no answer from Kafka for {silence_s:.0f} s at {span}")
        return message

    def _skip(
        self,
        offset: int,
        span: Claim,
        intake: PartitionIntake[RawMessage],
        open_at: Callable[[TopicPartition, int], PartitionConsumer],
    ) -> CutClaim[RawMessage]:
        """Return a claim of a record batch that cannot be read, and continue behind it."""

        def is_inside(probed: int) -> bool:
            # A consumer of its own: see `finkray.ingest.probes`.
            consumer = open_at(span.source, probed)
            try:
                while (answer := probe_answer(self._poll(consumer, span))) is None:
                    pass
            finally:
                consumer.close()
            return answer.failed_at == offset

        first = max(offset, intake.next_offset)
        last = find_last_offset(BatchEndSearch(first, span.last_offset + 1), is_inside)
        cut = unreadable_claim(span.source, intake.next_offset, first, last)
        intake.next_offset = last + 1
        return cut

    def _add(self, message: Message, span: Claim, intake: PartitionIntake[RawMessage]) -> bool:
        """Add a message to the intake; return whether it was the last of the span."""
        error, offset = message.error(), batch_offset(message)
        at_end = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001
        behind = offset > span.last_offset and (error is None or is_unreadable(error))
        if at_end or behind:
            intake.reached_end(span.last_offset + 1, 0.0)
        elif error is not None:
            if not is_of_group(error):
                raise KafkaUnavailable(f"Kafka failed at {span}: {error.str()}")
        else:
            raw = raw_message(message)
            intake.add(raw, len(raw.value or b""), 0.0)
        return at_end or offset >= span.last_offset


def _is_unreadable(message: Message) -> bool:
    error = message.error()
    return error is not None and is_unreadable(error)
