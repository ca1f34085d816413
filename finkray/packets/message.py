"""A message of Kafka as the decoder takes it; light, for who only passes it on."""

from typing import NamedTuple


class RawMessage(NamedTuple):
    """A Kafka message: its offset, its timestamp in ms of Unix time if it has one, its value."""

    offset: int
    timestamp_ms: int | None
    value: bytes | None
