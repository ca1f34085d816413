"""A consumer that reads given partitions from given offsets."""

from collections.abc import Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, Message, TopicPartition

from finkray.kafka.config import assigned_consumer_config, options_explained


class PartitionConsumer(Protocol):
    """What finkray calls of `confluent_kafka.Consumer` to read assigned partitions."""

    def assign(self, partitions: list[TopicPartition], /) -> Any:
        """Read these partitions and no others."""

    def incremental_assign(self, partitions: list[TopicPartition], /) -> Any:
        """Read these partitions too."""

    def incremental_unassign(self, partitions: list[TopicPartition], /) -> Any:
        """Stop reading these partitions."""

    def pause(self, partitions: list[TopicPartition], /) -> Any:
        """Leave these partitions out, and discard what was fetched of them."""

    def resume(self, partitions: list[TopicPartition], /) -> Any:
        """Read paused partitions again."""

    def poll(self, timeout: float, /) -> Message | None:
        """Return the next message or event, or None."""

    def consume(self, num_messages: int, timeout: float, /) -> list[Message]:
        """Return the next messages and events."""

    def get_watermark_offsets(
        self, partition: TopicPartition, /, timeout: float = ..., *, cached: bool = ...
    ) -> tuple[int, int]:
        """Return the low and the high watermark."""

    def close(self) -> Any:
        """End the consumer."""


def assigned_consumer(
    config: Mapping[str, Any], *, queue_bytes: int, max_message_bytes: int
) -> Consumer:
    """Create a consumer to be *assigned* partitions: no group moves them in the middle of a claim.

    It reports the end of a partition (which closes the tail past trailing transaction markers),
    returns committed messages only, and reports an offset that Kafka no longer holds as an error
    instead of jumping.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included
    queue_bytes
        how much the client may fetch in advance
    max_message_bytes
        size of the largest message that must still fit into a fetch

    Raises
    ------
    SettingsError
        if librdkafka does not know an option, or not its value
    """
    with options_explained():
        return Consumer(
            assigned_consumer_config(
                config, queue_bytes=queue_bytes, max_message_bytes=max_message_bytes
            )
        )
