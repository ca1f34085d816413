"""Messages between a bounded consumer and its process."""

from typing import Any, Final, NamedTuple

from confluent_kafka import Message

from finkray.ingest.lane_consumer import PartitionKey

READY: Final = "ready"
"""The first message of the process: its consumer is open, and its memory is bounded."""

NO_MEMORY_EXIT: Final = 77
"""Exit code of the process when Python itself had no memory left."""


class Start(NamedTuple):
    """What the process is sent first: librdkafka's properties, and a bound of its memory."""

    config: dict[str, Any]
    memory_bytes: int


class ReadRequest(NamedTuple):
    """Read at most this many messages of a partition.

    `offset` is where to start; None continues. `serial` is the number of the assignment.
    """

    key: PartitionKey
    serial: int
    offset: int | None
    messages: int
    timeout_s: float


class ReadReply(NamedTuple):
    """Messages of a partition, and its high watermark; None if that is not known yet."""

    messages: list[Message]
    high_watermark: int | None
