"""The sum of the entries of a ledger: covered ranges and totals for each partition.

Its size grows with the number of partitions, not with the number of claims, so that an archive
may run for a year. The content of single claims is read from the ledger when it is needed.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from operator import add, attrgetter, sub

from finkray.claim import Claim, ClaimResult, TopicPartition
from finkray.errors import LedgerCorrupt
from finkray.intervals import Interval, IntervalSet
from finkray.ledger.entry import REVISIONS, Entry
from finkray.status.archive import BalanceSheet


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over claims; all except `claims` count offsets."""

    claims: int = 0
    archived: int = 0
    dead_lettered: int = 0
    expired: int = 0
    not_delivered: int = 0
    unreadable: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*map(add, _counts(self), _counts(other)))

    def __sub__(self, other: "Totals") -> "Totals":
        return Totals(*map(sub, _counts(self), _counts(other)))

    @classmethod
    def of(cls, result: ClaimResult) -> "Totals":
        """Return the sums of one claim."""
        return cls(
            claims=1,
            archived=result.archived,
            dead_lettered=result.dead_lettered,
            expired=result.in_gaps_of("expired"),
            not_delivered=result.in_gaps_of("not_delivered"),
            unreadable=result.in_gaps_of("unreadable"),
        )


# `dataclasses.astuple` copies deeply: it took a third of the start of an archive of a year.
_counts = attrgetter(*(each.name for each in fields(Totals)))


@dataclass(slots=True)
class PartitionState:
    """What the ledger knows of one partition.

    `starts` are the offsets of ``started`` entries: the partition is archived from the first one
    on; at each later one a live lane began, and the offsets before it were left to a backfill.
    """

    covered: IntervalSet = field(default_factory=IntervalSet)
    totals: Totals = Totals()
    starts: set[int] = field(default_factory=set)

    @property
    def start(self) -> int:
        """First offset that must be accounted for."""
        known = [*self.starts, *([] if self.covered.first is None else [self.covered.first])]
        return min(known, default=0)

    @property
    def end(self) -> int:
        """One past the last offset of any claim; the start if there is no claim."""
        return self.start if self.covered.last is None else self.covered.last + 1

    @property
    def live_from(self) -> int:
        """Offset at which the live lane continues: the end, or its start beyond the end."""
        return max([self.end, *self.starts])

    @property
    def frontier(self) -> int:
        """First offset from the start on that no claim has."""
        return self.covered.first_free(self.start)

    @property
    def backlog(self) -> list[Interval]:
        """Ranges before the live lane that no claim has: what the archive still has to read."""
        return self.covered.holes(self.start, self.live_from - 1)

    @property
    def deferred(self) -> list[Interval]:
        """Ranges that wait for a backfill: holes that end right before the start of a lane."""
        return [hole for hole in self.backlog if hole.last + 1 in self.starts]

    @property
    def missing(self) -> list[Interval]:
        """Holes that no lane explains: a claim was lost."""
        return [hole for hole in self.backlog if hole.last + 1 not in self.starts]

    def received(self, before: int | None = None) -> int:
        """Return how many offsets must be accounted for; with `before`, only those before it."""
        end = self.end if before is None else min(self.end, before)
        waiting = sum(max(0, min(hole.last + 1, end) - hole.first) for hole in self.deferred)
        return max(0, end - self.start) - waiting


@dataclass(slots=True)
class LedgerState:
    """The sum of all entries up to `last_seq`.

    `archive_id` is None if no entry has one: all are older than this key.
    """

    last_seq: int = -1
    epoch: int = 0
    published_through: int = -1
    archive_id: str | None = None
    partitions: dict[TopicPartition, PartitionState] = field(default_factory=dict)
    dead_letters_by_reason: Counter[str] = field(default_factory=Counter)

    def balance(self) -> BalanceSheet:
        """Return the sums over all partitions, without what waits in Kafka beyond their ends."""
        totals = sum((partition.totals for partition in self.partitions.values()), Totals())
        return BalanceSheet(
            received=sum(partition.received() for partition in self.partitions.values()),
            archived=totals.archived,
            dead_lettered=totals.dead_lettered,
            expired=totals.expired,
            not_delivered=totals.not_delivered,
            unreadable=totals.unreadable,
            waiting=sum(
                hole.size for partition in self.partitions.values() for hole in partition.deferred
            ),
        )

    def frontier(self, source: TopicPartition) -> int | None:
        """Return the first offset that is not in the ledger; None for an unknown partition."""
        partition = self.partitions.get(source)
        return None if partition is None else partition.frontier

    def covers(self, claim: Claim) -> bool:
        """Return whether all offsets of the claim are in the ledger."""
        partition = self.partitions.get(claim.source)
        return partition is not None and partition.covered.covers(
            claim.first_offset, claim.last_offset
        )

    def refuse_overlap(self, claims: Iterable[Claim]) -> None:
        """Object to claims that overlap each other or what is in the ledger.

        Raises
        ------
        LedgerCorrupt
            which names both
        """
        seen: dict[TopicPartition, IntervalSet] = {}
        for claim in claims:
            known = self.partitions.get(claim.source, PartitionState()).covered
            if overlap := known.overlaps(claim.first_offset, claim.last_offset):
                ranges = ", ".join(f"{span.first}-{span.last}" for span in overlap)
                raise LedgerCorrupt(f"{claim} is in the ledger already, at {ranges}")
            try:
                seen.setdefault(claim.source, IntervalSet()).add(
                    claim.first_offset, claim.last_offset
                )
            except ValueError as error:
                raise LedgerCorrupt(f"two claims for the same offsets: {claim}: {error}") from error

    def apply(self, entry: Entry) -> None:
        """Add the next entry.

        Raises
        ------
        LedgerCorrupt
            if it is not the next, its epoch goes backwards, or its claims contradict the others
        """
        if entry.seq != self.last_seq + 1:
            raise LedgerCorrupt(f"entry {self.last_seq + 1} is missing before entry {entry.seq}")
        in_order = entry.epoch > self.epoch if entry.kind == "opened" else entry.epoch == self.epoch
        if not in_order:
            raise LedgerCorrupt(
                f"entry {entry.seq} ({entry.kind}) is of epoch {entry.epoch}, after epoch "
                f"{self.epoch}: the ledger was written by other means than finkray"
            )
        self.add_archive_id(entry.archive_id, entry.seq)
        if entry.kind in REVISIONS:
            self._revise(entry)
        else:
            self.add_claims(entry.claims)
        for source, offset in entry.starts:
            self.add_start(source, offset)
        self.last_seq = entry.seq
        self.epoch = entry.epoch
        self.published_through = max(self.published_through, entry.published_through)

    def add_claims(self, results: Iterable[ClaimResult]) -> None:
        """Add new claims.

        Raises
        ------
        LedgerCorrupt
            if an offset is covered already
        """
        for result in results:
            claim = result.claim
            covered = IntervalSet([(claim.first_offset, claim.last_offset)])
            self.add_range(claim.source, covered, Totals.of(result))
            self.dead_letters_by_reason.update(dict(result.dead_letters_by_reason))

    def add_archive_id(self, archive_id: str | None, seq: int) -> None:
        """Record the archive that an entry belongs to; None for an entry older than the key.

        Raises
        ------
        LedgerCorrupt
            if earlier entries belong to another archive
        """
        if archive_id is None:
            return
        if self.archive_id not in (None, archive_id):
            raise LedgerCorrupt(
                f"the ledger is of archive {self.archive_id}, but belongs to archive {archive_id} "
                f"at entry {seq}: restore the ledger of one of them from a copy"
            )
        self.archive_id = archive_id

    def add_start(self, source: TopicPartition, offset: int) -> None:
        """Record that a partition, or a live lane of it, is archived from an offset on."""
        self.partitions.setdefault(source, PartitionState()).starts.add(offset)

    def add_range(self, source: TopicPartition, covered: IntervalSet, totals: Totals) -> None:
        """Add the sums over many claims of a partition; `covered` is the union of their ranges.

        Raises
        ------
        LedgerCorrupt
            if an offset is covered already
        """
        partition = self.partitions.setdefault(source, PartitionState())
        for span in covered:
            try:
                partition.covered.add(span.first, span.last)
            except ValueError as error:
                raise LedgerCorrupt(
                    f"{source.topic}[{source.partition}]: offsets claimed twice: {error}"
                ) from error
        partition.totals += totals

    def _revise(self, entry: Entry) -> None:
        before = {result.claim for result in entry.superseded}
        after = {result.claim for result in entry.claims}
        if before != after or not all(map(self.covers, after)):
            raise LedgerCorrupt(f"entry {entry.seq} revises claims that are not in the ledger")
        for result in entry.superseded:
            self.partitions[result.claim.source].totals -= Totals.of(result)
            self.dead_letters_by_reason.subtract(dict(result.dead_letters_by_reason))
        for result in entry.claims:
            self.partitions[result.claim.source].totals += Totals.of(result)
            self.dead_letters_by_reason.update(dict(result.dead_letters_by_reason))
        self.forget_reasons_without_letters()

    def forget_reasons_without_letters(self) -> None:
        """Drop reasons whose last dead letter was resolved."""
        self.dead_letters_by_reason = +self.dead_letters_by_reason
