"""A consumer that reads given partitions from given offsets."""

import logging
import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, Message, TopicPartition

from finkray.host.time_limit import returns_within
from finkray.kafka.config import FETCH_BYTES, assigned_consumer_config, options_explained

CLOSE_S: Final = 5.0
"""How long a consumer may take to close. It is in no group, so that it has nobody to wait for: it
takes a millisecond, and 0.1 s on a machine with more work than cores."""

FIRST_STEP_S: Final = 0.004
LONGEST_STEP_S: Final = 0.025
"""How long a consumer sleeps between two looks for messages: little after it got one, for the next
is near, and twice as long after each look in vain."""

log = logging.getLogger(__name__)


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


class AssignedConsumer(Consumer):
    """A consumer whose `consume` and `close` return in any case.

    A client of librdkafka (2.16) that closes while a broker answers that an offset is out of range
    may wait for itself for ever: https://github.com/confluentinc/librdkafka/issues/4514. Behind a
    record batch with a wrong checksum, which leads to such an answer, that happened at 12 of 5000
    closes.
    """

    def consume(self, num_messages: int = 1, timeout: float = 0.0, /) -> list[Message]:
        """Return the next messages and events: as many as wanted, or those of so many seconds.

        librdkafka waits until a moment of the wall clock. When that was set back by an hour the
        call lasted an hour longer: https://github.com/confluentinc/librdkafka/issues/2145.
        """
        until_s = time.monotonic() + timeout
        step_s = FIRST_STEP_S
        messages = super().consume(num_messages, 0)
        while len(messages) < num_messages and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, step_s))
            more = super().consume(num_messages - len(messages), 0)
            messages += more
            step_s = FIRST_STEP_S if more else min(2 * step_s, LONGEST_STEP_S)
        return messages

    def close(self) -> None:
        """End the consumer, or leave it behind after `CLOSE_S`."""
        if not returns_within(super().close, CLOSE_S):
            log.warning(
                "a Kafka consumer did not close within %.0f s and is left behind with its threads "
                "(librdkafka issue 4514)",
                CLOSE_S,
            )


def assigned_consumer(
    config: Mapping[str, Any], *, queue_bytes: int, max_message_bytes: int
) -> AssignedConsumer:
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
        return AssignedConsumer(
            assigned_consumer_config(
                config, queue_bytes=queue_bytes, max_message_bytes=max_message_bytes
            )
        )


def refuse_wrong_options(config: Mapping[str, Any]) -> None:
    """Create the client that reads alerts and end it, without waiting for a broker.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included

    Raises
    ------
    SettingsError
        if librdkafka does not know an option, or not its value
    """
    assigned_consumer(config, queue_bytes=FETCH_BYTES, max_message_bytes=FETCH_BYTES).close()
