"""A Kafka message as the decoder takes it. This module imports no library."""

from typing import NamedTuple


class RawMessage(NamedTuple):
    """A Kafka message: its offset, its timestamp in ms of Unix time if it has one, its value."""

    offset: int
    timestamp_ms: int | None
    value: bytes | None
