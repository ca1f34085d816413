"""What a lane reader works with: lanes, polled messages, claims of lost offsets, texts on them."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Message

from finkray.claim import Claim, Gap, TopicPartition
from finkray.ingest.intake import CutClaim, PartitionIntake
from finkray.ingest.messages import Assignment
from finkray.packets.message import RawMessage

_POSITIONS_NAMED: Final = 8


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


def positions_text(positions: Iterable[Mapping[tuple[str, int], int]]) -> str:
    """Return the offsets that partitions are read at, as one text for people."""
    texts = [
        f"{topic}[{partition}] at offset {offset}"
        for of_reader in positions
        for (topic, partition), offset in of_reader.items()
    ]
    named = ", ".join(sorted(texts)[:_POSITIONS_NAMED])
    more = len(texts) - _POSITIONS_NAMED
    return f"{named} and {more} more" if more > 0 else named or "nothing"


def expired_claim(source: TopicPartition, next_offset: int, low: int) -> CutClaim[PolledMessage]:
    """Return the claim of offsets that Kafka's retention deleted: `next_offset` to before `low`."""
    gap = Gap("expired", next_offset, low - 1)
    return CutClaim(Claim(source, gap.first_offset, gap.last_offset), (), (gap,), 0)


def lost_tail_text(high: int, next_offset: int) -> str:
    """Return what is wrong with a partition whose last messages Kafka lost."""
    return (
        f"it ends at offset {high} in Kafka, before {next_offset}, which is next: messages were "
        "lost there, and new ones below that are not read"
    )
