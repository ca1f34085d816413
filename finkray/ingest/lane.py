"""A lane as a lane reader has it, a message of it, and what is wrong with lanes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from finkray.ingest.intake import PartitionIntake
from finkray.ingest.messages import Assignment
from finkray.packets.message import RawMessage


def raw_message(message: Message) -> RawMessage:
    """Return a message of the client, which has no error, as the decoder takes it."""
    timestamp_type, timestamp_ms = message.timestamp()
    return RawMessage(message.offset(), timestamp_ms if timestamp_type else None, message.value())


@dataclass(frozen=True, slots=True)
class PolledMessage:
    """A message, and when it was polled in seconds of Unix time."""

    offset: int
    raw: RawMessage
    polled_s: float

    @classmethod
    def of(cls, message: Message) -> "PolledMessage":
        """Return a message without an error, which was polled just now."""
        raw = raw_message(message)
        return cls(raw.offset, raw, time.time())


@dataclass(slots=True)
class Lane:
    """A lane. A `suspended` one is not read until Kafka has its next offset, or can send it."""

    assignment: Assignment
    intake: PartitionIntake[PolledMessage]
    suspended: bool = False

    @property
    def ended(self) -> bool:
        """Whether all offsets of the lane are in claims."""
        return self.intake.next_offset == self.assignment.end_offset


def partitions_text(troubles: Mapping[Any, str]) -> str:
    """Return the troubles of partitions, by topic and partition, as one text for people."""
    return "; ".join(f"{topic}[{partition}]: {why}" for (topic, partition), why in troubles.items())
