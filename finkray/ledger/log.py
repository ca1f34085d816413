"""The ledger: the only truth of what is in the archive, as its one writer sees it.

It is a sequence of entries, numbered without a hole from 0, that are created and never
changed. Creating entry n exclusively is both the commit point of what it says and the fence
against an archive that was taken over and does not know it yet:

- A new archive reads all entries, then creates the next one, ``opened``, with an epoch that
  is one higher. Everybody who held the ledger before believes that number to be free: the
  next create fails, and finds an entry of another writer. That one is `Fenced` and stops.
- Should the old archive create the number first, its entry stands before ``opened``: a
  commit like any other, which the new archive reads before it tries the next number.

Folding (`finkray.ledger.compaction`) deletes entries, so a number may become free again. That does
not let a zombie in: the file that holds the folded entries is durable and visible *before*
any of them is deleted. So whoever succeeds in creating a number that had been used finds,
looking *after* the create, a folded file that covers it (`ledger_segment.covering` cannot
miss it): then the create counts for nothing and its writer is `Fenced`. Readers ignore an
entry that a folded file covers, so they never saw it either. And whoever finds no such file
has created a number that had never been used, which is what a commit is.

The lease (`finkray.ledger.lease`) only keeps two archives from getting so far; nothing rests on it.
"""

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from finkray.claim import Claim, ClaimResult, StagedClaim, TopicPartition
from finkray.errors import Fenced, FinkrayError, LedgerCorrupt
from finkray.ledger.claims import read_results
from finkray.ledger.compaction import compact
from finkray.ledger.entry import LOG_FOLDER, ClaimKind, Entry, log_path
from finkray.ledger.read import LedgerReading, read_entries, read_state
from finkray.ledger.segment import BLOCK, FOLDED_FOLDER, covering
from finkray.ledger.state import LedgerState, refuse_rewriting, refuse_unbalanced
from finkray.status.archive import BalanceSheet
from finkray.storage.contract import Storage

STAGING_FOLDER = "staging"

_LATELY = 256
"""Entries back to which a claim that is handed in again is known to be this run's own: a
caller tries again what it tried last."""

log = logging.getLogger(__name__)


class Holder(Protocol):
    """Who takes a ledger over; a `finkray.ledger.lease.Lease` is one."""

    def describe(self) -> Mapping[str, Any]:
        """Host, process and the like, for people."""

    def begin_epoch(self, epoch: int) -> None:
        """Learn the epoch."""


class Ledger:
    """A ledger that this process writes, made by `take_over`. Not for two threads at a time.

    Attributes
    ----------
    epoch
        number of this run; workers put it into the names of what they stage
    is_new
        whether no partition was known when it was opened
    """

    def __init__(
        self, storage: Storage, writer: str, reading: LedgerReading, *, is_new: bool
    ) -> None:
        self._storage = storage
        self._writer = writer
        self._state = reading.state
        self._unpublished = dict(reading.unpublished)
        self._in_doubt = False
        self._fold_at_seq = 0
        self._compactor = ThreadPoolExecutor(1, thread_name_prefix="compaction")
        self.is_new = is_new

    @classmethod
    def take_over(cls, storage: Storage, holder: Holder | None = None) -> "Ledger":
        """Begin a new epoch. From here on every earlier writer of the ledger is fenced.

        Raises
        ------
        Fenced
            if another archive took it over meanwhile and has gone far
        LedgerCorrupt
            if the ledger cannot be summed up
        StorageError
            if the storage refuses; try again
        """
        writer = secrets.token_hex(8)
        reading = read_state(storage)
        state = reading.state
        while True:
            entry = Entry(
                seq=state.last_seq + 1,
                epoch=state.epoch + 1,
                kind="opened",
                at=datetime.now(UTC),
                writer=writer,
                published_through=state.published_through,
                holder=None if holder is None else dict(holder.describe()),
            )
            if storage.create(entry.path, entry.to_bytes()):
                break
            # The one before still commits: what it was faster with belongs to what is read
            # first. Only that is read, lest it be faster for ever.
            reading.catch_up(storage)
        if _undo_if_folded(storage, entry):
            raise _fenced(entry.seq)
        ledger = cls(storage, writer, reading, is_new=not state.partitions)
        ledger._take_in(entry)
        storage.delete(reading.order.left_over)
        for folder in (LOG_FOLDER, FOLDED_FOLDER):
            storage.sweep(folder)
        if holder is not None:
            holder.begin_epoch(ledger.epoch)
        return ledger

    @property
    def state(self) -> LedgerState:
        """The sum of all entries; not to be changed."""
        return self._state

    @property
    def epoch(self) -> int:
        """Number of this run of an archive, from 1."""
        return self._state.epoch

    @property
    def staging(self) -> str:
        """The folder in which this epoch stages its files."""
        return staging_folder(self.epoch)

    @property
    def unpublished(self) -> Mapping[str, str]:
        """``{final: staged}`` of files of committed claims that are not published yet."""
        return {final: at for staged in self._unpublished.values() for final, at in staged.items()}

    def frontier(self, source: TopicPartition) -> int | None:
        """The first offset that is not in the ledger; None for a partition it does not know."""
        return self._state.frontier(source)

    def totals(self) -> BalanceSheet:
        """Sums over all claims."""
        return self._state.balance()

    def refuse_if_fenced(self) -> None:
        """Look whether another archive has taken the ledger over, without writing.

        Raises
        ------
        Fenced
            if so
        """
        self._next_of_mine()

    def record_starts(self, starts: Mapping[TopicPartition, int]) -> None:
        """Note from which offset on partitions are archived; known ones are left as they are."""
        while True:
            self._resolve_doubt()
            new = {at: offset for at, offset in starts.items() if at not in self._state.partitions}
            if not new or self._create("started", starts=tuple(sorted(new.items()))):
                return

    def begin_live_lanes(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note that live lanes begin at these offsets: what lies before is left to the backfill.

        An offset that is not beyond all that the ledger knows of its partition is left out.
        """
        while True:
            self._resolve_doubt()
            new = {
                source: offset
                for source, offset in offsets.items()
                if offset > self._state.partitions[source].live_from
            }
            if not new or self._create("started", starts=tuple(sorted(new.items()))):
                return

    def append(
        self,
        staged: Sequence[StagedClaim],
        kind: ClaimKind = "committed",
    ) -> int:
        """Commit claims: when this returns they are in the archive for good, all or none.

        After a `StorageError` nobody knows whether they are. Call again with the same claims,
        and more if there are more: those that this run has just committed, so bounded, are
        not entered twice.

        Parameters
        ----------
        staged
            claims; not empty. For `repaired` and `resolved` they are in the ledger already, each
            with all of its files as it stands now, and `staged` names only those that were made.
        kind
            whether they are new, or what was done to them

        Returns
        -------
        int
            the number of the entry that holds the last of them

        Raises
        ------
        Fenced
            if another archive has taken the ledger over; what counts is what that one read
        LedgerCorrupt
            if a claim is in the ledger already, or a repaired one is not: nothing was committed
        ValueError
            if a claim does not account for each of its offsets once, or one that is resolved
            differs in more than that: nothing was committed
        StorageError
            if the storage refuses; see above
        """
        for one in staged:
            refuse_unbalanced(one.result)
            if kind == "committed" and set(one.staged) != _paths(one.result):
                raise ValueError(f"claim {one.result.claim}: its files are not those it staged")
        while True:
            self._resolve_doubt()
            landed = self._landed(kind, staged)
            rest = [one for one in staged if one.result.claim not in landed]
            if not rest:
                return self._state.last_seq
            content: dict[str, Any] = {
                "claims": tuple(one.result for one in rest),
                "staged": {final: at for one in rest for final, at in one.staged.items()},
            }
            if kind == "committed":
                self._state.refuse_overlap(one.result.claim for one in rest)
            else:
                content["superseded"] = tuple(self._as_they_stand(rest))
                if kind == "resolved":
                    for before, one in zip(content["superseded"], rest, strict=True):
                        refuse_rewriting(before, one.result)
                content["remade"] = tuple(content["staged"])
            if self._create(kind, **content):
                return self._state.last_seq

    def mark_published(self, finals: Sequence[str]) -> None:
        """Note that files stand under their final names; the next entry tells it to others."""
        done = set(finals)
        for seq, staged in list(self._unpublished.items()):
            if done.issuperset(staged):
                del self._unpublished[seq]
            else:
                self._unpublished[seq] = {
                    final: at for final, at in staged.items() if final not in done
                }
        self._note_published()

    def compact(self) -> Future[int] | None:
        """Fold what can be folded, if it is time, in a thread of its own.

        It takes some ms in most cases, and seconds once in a hundred thousand commits. A
        process may end in the middle of it.

        Returns
        -------
        Future of int, or None
            how many files it wrote; None if it is not time, which costs nothing to find out
        """
        through_seq = self._state.published_through
        if through_seq < self._fold_at_seq:
            return None
        self._fold_at_seq = through_seq + BLOCK - (through_seq + 1) % BLOCK
        return self._compactor.submit(_compact, self._storage, through_seq, self.staging)

    def _create(self, kind: Literal["started"] | ClaimKind, **content: Any) -> bool:
        """Create the next entry. False if it is in doubt who did: resolve that first."""
        entry = Entry(
            seq=self._state.last_seq + 1,
            epoch=self._state.epoch,
            kind=kind,
            at=datetime.now(UTC),
            writer=self._writer,
            published_through=self._state.published_through,
            **content,
        )
        self._in_doubt = True
        if not self._storage.create(entry.path, entry.to_bytes()):
            return False
        if _undo_if_folded(self._storage, entry):
            raise _fenced(entry.seq)
        self._in_doubt = False
        self._take_in(entry)
        return True

    def _resolve_doubt(self) -> None:
        """Find out whether a create took place that the storage gave no good answer to."""
        if not self._in_doubt:
            return
        entry = self._next_of_mine()
        if entry is not None:
            self._storage.sync(LOG_FOLDER)
            self._take_in(entry)
        self._in_doubt = False

    def _next_of_mine(self) -> Entry | None:
        """The entry after the last known one, if it is there; `Fenced` if it is another's."""
        seq = self._state.last_seq + 1
        data = self._storage.read(log_path(seq))
        entry = None if data is None else Entry.from_bytes(data, seq)
        others = entry is not None and entry.writer != self._writer
        if others or covering(self._storage, seq) is not None:
            raise _fenced(seq)
        return entry

    def _landed(self, kind: ClaimKind, staged: Sequence[StagedClaim]) -> set[Claim]:
        """Which of the claims this run has committed lately."""
        if not any(self._state.covers(one.result.claim) for one in staged):
            return set()
        mine = [
            (result.claim, entry.staged.items())
            for entry in read_entries(self._storage, self._state.last_seq - _LATELY)
            if entry.writer == self._writer and entry.kind == kind
            for result in entry.claims
        ]
        # A claim is committed once, but may be revised more than once.
        return {
            one.result.claim
            for one in staged
            for claim, files in mine
            if claim == one.result.claim and (kind == "committed" or files >= one.staged.items())
        }

    def _take_in(self, entry: Entry) -> None:
        self._state.apply(entry)
        if entry.staged:
            self._unpublished[entry.seq] = entry.staged
        self._note_published()

    def _note_published(self) -> None:
        first_waiting = min(self._unpublished, default=self._state.last_seq + 1)
        self._state.published_through = first_waiting - 1

    def _as_they_stand(self, revised: Sequence[StagedClaim]) -> Iterator[ClaimResult]:
        """What the ledger says of claims that are to be revised."""
        known = read_results(self._storage, [one.result.claim for one in revised])
        for one in revised:
            before = known.get(one.result.claim)
            if before is None:
                raise LedgerCorrupt(f"{one.result.claim} is to be revised but not in the ledger")
            if unknown := _paths(one.result) - _paths(before) - set(one.staged):
                raise ValueError(f"revision of {one.result.claim}: nobody made {sorted(unknown)}")
            yield before


def staging_folder(epoch: int) -> str:
    """The folder in which the archive of an epoch stages its files."""
    return f"{STAGING_FOLDER}/{epoch:08d}"


def _compact(storage: Storage, through_seq: int, staging: str) -> int:
    try:
        return compact(storage, through_seq, staging)
    except FinkrayError as error:
        # No commit depends on it, and the next time comes with the next block.
        log.warning("the ledger is not folded: %s", error)
        return 0


def _paths(result: ClaimResult) -> set[str]:
    return {file.path for file in (*result.files, *result.dead_letter_files)}


def _undo_if_folded(storage: Storage, entry: Entry) -> bool:
    """Whether a created entry counts for nothing: its number had been used, and folded away."""
    if covering(storage, entry.seq) is None:
        return False
    storage.delete([entry.path])
    return True


def _fenced(seq: int) -> Fenced:
    return Fenced(
        f"entry {seq} of the ledger is another archive's: it has taken this folder over, and "
        "nothing more is written here"
    )
