"""Cut the messages of a partition into contiguous claims. Pure: no Kafka, no clock, no Ray.

A claim starts where the last one ended, even if Kafka delivers no message at some offsets, so that
the claims of a partition cover it without a hole: offsets without a message become gaps of the
claim.
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
    """When a claim is cut: as soon as one of bytes, rows and age is reached.

    Attributes
    ----------
    claim_bytes
        size of the messages as Kafka delivered them
    claim_rows
        number of messages
    linger_s
        age of the oldest message
    linger_max_s
        the largest age of a claim that is smaller than `worth_bytes`: it waits for more messages,
        so that not each alert becomes a file; never less than `linger_s`
    """

    claim_bytes: int
    claim_rows: int
    linger_s: float
    linger_max_s: float = 0.0

    @property
    def worth_bytes(self) -> int:
        """The size from which a claim is worth a file: eight alerts of ZTF by default."""
        return self.claim_bytes // 64

    @property
    def longest_s(self) -> float:
        """The largest age of a message that is not in a claim."""
        return max(self.linger_s, self.linger_max_s)


def linger_s(limits: CutLimits, linger_now_s: float, pending_bytes: int, quiet_s: float) -> float:
    """Return the age at which a claim is cut.

    Parameters
    ----------
    limits
        the bounds
    linger_now_s
        the age that follows from the claims before: see `next_linger_s`
    pending_bytes
        size of the messages that are not in a claim
    quiet_s
        time from the last claim to the arrival of the oldest of these messages
    """
    # After a silence this long no other message will come in time: as with an alert each minute.
    alone = quiet_s >= limits.longest_s
    return limits.linger_s if alone or pending_bytes >= limits.worth_bytes else linger_now_s


def next_linger_s(limits: CutLimits, lingered_s: float, size_bytes: int) -> float:
    """Return the age at which the claim after one of this age and size is cut.

    It doubles while claims stay small, and returns to `linger_s` after a single one of a good size.
    So the first alerts after a start and the last ones of a burst do not wait.
    """
    if size_bytes >= limits.worth_bytes:
        return limits.linger_s
    return min(2 * lingered_s, limits.longest_s)


@dataclass(frozen=True, slots=True)
class CutClaim(Generic[M]):
    """A claim with its messages, in order of offset, and its gaps."""

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
        where the next claim starts
    """

    source: TopicPartition
    next_offset: int
    pending_bytes: int = 0
    _messages: list[M] = field(default_factory=list)
    _oldest_at_s: float = 0.0
    _end_offset: int = -1
    _linger_now_s: float = 0.0
    _cut_at_s: float = float("-inf")

    def add(self, message: M, size_bytes: int, now_s: float) -> None:
        """Add a message.

        Raises
        ------
        ValueError
            if its offset is not beyond the last one: a consumer must deliver in order
        """
        last = self._messages[-1].offset if self._messages else self.next_offset - 1
        if message.offset <= last:
            raise ValueError(f"{self.source}: offset {message.offset} came after {last}")
        if not self.waiting:
            self._oldest_at_s = now_s
        self._messages.append(message)
        self.pending_bytes += size_bytes

    def reached_end(self, end_offset: int, now_s: float) -> None:
        """Take note that the partition ends before this offset."""
        if not self.waiting and end_offset > self.next_offset:
            self._oldest_at_s = now_s
        self._end_offset = end_offset

    @property
    def read_to(self) -> int:
        """The offset behind the last message; thread-safe."""
        messages = self._messages[-1:]
        return messages[0].offset + 1 if messages else self.next_offset

    @property
    def waiting(self) -> bool:
        """Whether there are offsets that a claim could be cut of."""
        return bool(self._messages) or self._end_offset > self.next_offset

    def full(self, limits: CutLimits) -> bool:
        """Return whether a claim of the messages has reached its size in bytes or rows."""
        return self.pending_bytes >= limits.claim_bytes or len(self._messages) >= limits.claim_rows

    def due_in_s(self, limits: CutLimits, now_s: float) -> float | None:
        """Return the seconds until a claim is due; None if no offset waits for a claim."""
        if not self.waiting:
            return None
        return max(0.0, self._oldest_at_s + self._linger_s(limits) - now_s)

    def _linger_s(self, limits: CutLimits) -> float:
        linger_now_s = max(self._linger_now_s, limits.linger_s)
        quiet_s = self._oldest_at_s - self._cut_at_s
        return linger_s(limits, linger_now_s, self.pending_bytes, quiet_s)

    def cut(self, limits: CutLimits, now_s: float, *, flush: bool = False) -> CutClaim[M] | None:
        """Return the next claim if a limit is reached; with `flush`, if any offset waits."""
        due = flush or self.full(limits) or self.due_in_s(limits, now_s) == 0.0
        if not self.waiting or not due:
            return None
        messages = tuple(self._messages)
        last = max(messages[-1].offset if messages else 0, self._end_offset - 1)
        claim = Claim(self.source, self.next_offset, last)
        self._linger_now_s = next_linger_s(limits, self._linger_s(limits), self.pending_bytes)
        self._cut_at_s = now_s
        size_bytes, self.pending_bytes = self.pending_bytes, 0
        self._messages.clear()
        self.next_offset = last + 1
        return CutClaim(claim, messages, gaps_between(claim, messages), size_bytes)


def gaps_between(claim: Claim, messages: Sequence[_Located]) -> tuple[Gap, ...]:
    """Return the offsets of the claim without a message, as `not_delivered` gaps."""
    gaps = []
    expected = claim.first_offset
    for offset in [*(message.offset for message in messages), claim.last_offset + 1]:
        if offset > expected:
            gaps.append(Gap("not_delivered", expected, offset - 1))
        expected = offset + 1
    return tuple(gaps)


def message_credit(
    *, limit_bytes: int, used_bytes: int, reserve_bytes: int, max_message_bytes: int
) -> int:
    """Return how many messages fit below the limit if each is as large as allowed.

    Parameters
    ----------
    limit_bytes
        what an actor may hold
    used_bytes
        what it holds: batches that are not durable, and messages that are not in a claim
    reserve_bytes
        what the Kafka client may hold on its own, and what decoding takes
    max_message_bytes
        the largest message that is fetched
    """
    return max(0, (limit_bytes - used_bytes - reserve_bytes) // max_message_bytes)
