"""How messages of a partition become contiguous claims. Pure: no Kafka, no clock, no Ray.

A claim begins where the last one ended, whatever offsets Kafka leaves out between them, so
that the claims of a partition cover it without a hole: what is left out is written down as
a gap of the claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from finkray.claim import Claim, Gap, TopicPartition


class _Located(Protocol):
    @property
    def offset(self) -> int: ...


M = TypeVar("M", bound=_Located)


@dataclass(frozen=True, slots=True)
class CutLimits:
    """When the messages at hand become a claim: whichever of the three is reached first.

    Attributes
    ----------
    claim_bytes
        size of the messages as Kafka gave them
    claim_rows
        number of messages
    linger_s
        age of the oldest message
    linger_max_s
        the age in a trickle: with less than `worth_bytes` at hand it is worth to wait for more,
        lest each alert become a file; never less than `linger_s`
    """

    claim_bytes: int
    claim_rows: int
    linger_s: float
    linger_max_s: float = 0.0

    @property
    def worth_bytes(self) -> int:
        """From so many bytes on a claim is worth a file: eight alerts of ZTF by default."""
        return self.claim_bytes // 64

    @property
    def longest_s(self) -> float:
        """The oldest that a message gets before it is in a claim."""
        return max(self.linger_s, self.linger_max_s)


def linger_s(limits: CutLimits, patience_s: float, pending_bytes: int, quiet_s: float) -> float:
    """The age at which a claim is cut.

    Parameters
    ----------
    limits
        the bounds
    patience_s
        what the claims before have taught: see `next_patience_s`
    pending_bytes
        what is at hand
    quiet_s
        how long after the last claim the oldest message at hand came
    """
    # After so long a silence nothing will come while it waits: an alert each minute, say.
    alone = quiet_s >= limits.longest_s
    return limits.linger_s if alone or pending_bytes >= limits.worth_bytes else patience_s


def next_patience_s(limits: CutLimits, lingered_s: float, size_bytes: int) -> float:
    """How long the next claim may wait, after one that lingered so long and got so large.

    It doubles while claims stay small, and a single one that was worth it ends that. So the
    first alerts after a start and the last ones of a burst do not wait.
    """
    if size_bytes >= limits.worth_bytes:
        return limits.linger_s
    return min(2 * lingered_s, limits.longest_s)


@dataclass(frozen=True, slots=True)
class CutClaim(Generic[M]):
    """A claim with the messages that stand in it, in order of offset, and its gaps."""

    claim: Claim
    messages: tuple[M, ...]
    gaps: tuple[Gap, ...]
    size_bytes: int


@dataclass(slots=True)
class PartitionIntake(Generic[M]):
    """The messages of one partition that are not in a claim yet.

    Attributes
    ----------
    source
        the partition
    next_offset
        where the next claim begins
    """

    source: TopicPartition
    next_offset: int
    pending_bytes: int = 0
    _messages: list[M] = field(default_factory=list)
    _oldest_at_s: float = 0.0
    _end_offset: int = -1
    _patience_s: float = 0.0
    _cut_at_s: float = float("-inf")

    def add(self, message: M, size_bytes: int, now_s: float) -> None:
        """Take a message in.

        Raises
        ------
        ValueError
            if its offset is not beyond the last one: messages come in order or not at all.
        """
        last = self._messages[-1].offset if self._messages else self.next_offset - 1
        if message.offset <= last:
            raise ValueError(f"{self.source}: offset {message.offset} came after {last}")
        if not self.waiting:
            self._oldest_at_s = now_s
        self._messages.append(message)
        self.pending_bytes += size_bytes

    def reached_end(self, end_offset: int, now_s: float) -> None:
        """Kafka said that the partition ends at this offset, which no message has yet."""
        if not self.waiting and end_offset > self.next_offset:
            self._oldest_at_s = now_s
        self._end_offset = end_offset

    @property
    def waiting(self) -> bool:
        """Whether there is anything that a claim could be made of."""
        return bool(self._messages) or self._end_offset > self.next_offset

    def full(self, limits: CutLimits) -> bool:
        """Whether there is as much at hand as a claim may have."""
        return self.pending_bytes >= limits.claim_bytes or len(self._messages) >= limits.claim_rows

    def due_in_s(self, limits: CutLimits, now_s: float) -> float | None:
        """Seconds until the oldest message is due; None if there is nothing to wait for."""
        if not self.waiting:
            return None
        return max(0.0, self._oldest_at_s + self._linger_s(limits) - now_s)

    def _linger_s(self, limits: CutLimits) -> float:
        patience_s = max(self._patience_s, limits.linger_s)
        quiet_s = self._oldest_at_s - self._cut_at_s
        return linger_s(limits, patience_s, self.pending_bytes, quiet_s)

    def cut(self, limits: CutLimits, now_s: float, *, flush: bool = False) -> CutClaim[M] | None:
        """The next claim, if one of the limits is reached, or with `flush` if there is anything."""
        due = flush or self.full(limits) or self.due_in_s(limits, now_s) == 0.0
        if not self.waiting or not due:
            return None
        messages = tuple(self._messages)
        last = max(messages[-1].offset if messages else 0, self._end_offset - 1)
        claim = Claim(self.source, self.next_offset, last)
        self._patience_s = next_patience_s(limits, self._linger_s(limits), self.pending_bytes)
        self._cut_at_s = now_s
        size_bytes, self.pending_bytes = self.pending_bytes, 0
        self._messages.clear()
        self.next_offset = last + 1
        return CutClaim(claim, messages, gaps_between(claim, messages), size_bytes)


def gaps_between(claim: Claim, messages: Sequence[_Located]) -> tuple[Gap, ...]:
    """The offsets of the claim at which there is no message, as `not_delivered` gaps."""
    gaps = []
    expected = claim.first_offset
    for offset in [*(message.offset for message in messages), claim.last_offset + 1]:
        if offset > expected:
            gaps.append(Gap("not_delivered", expected, offset - 1))
        expected = offset + 1
    return tuple(gaps)


def room_for_messages(
    *, limit_bytes: int, taken_bytes: int, reserve_bytes: int, max_message_bytes: int
) -> int:
    """How many messages may be asked for without passing the limit, each as large as allowed.

    Parameters
    ----------
    limit_bytes
        what an actor may hold in all
    taken_bytes
        what it holds: batches not durable yet and messages not in a claim yet
    reserve_bytes
        what the Kafka client may hold on its own, and the room that decoding takes
    max_message_bytes
        the largest message that is let in
    """
    return max(0, (limit_bytes - taken_bytes - reserve_bytes) // max_message_bytes)
