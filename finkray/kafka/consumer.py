"""A consumer that reads given partitions from given offsets."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer

from finkray.kafka.config import assigned_consumer_config, options_explained


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
