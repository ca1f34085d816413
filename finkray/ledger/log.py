"""Write the ledger, the only truth of what is in the archive; one process writes it at a time.

The ledger is a sequence of entries, numbered from 0 without a gap, that are created and never
changed. Creating entry n exclusively is both the commit of its content and the fence against an
archive that was taken over and does not know it yet:

- A new archive reads all entries, then creates the next one, ``opened``, with an epoch one
  higher. Every earlier writer assumes that this number is free: its next create fails, and it
  finds an entry of another writer. It raises `Fenced` and stops.
- If the old archive creates the number first, its entry precedes ``opened``: a commit like any
  other, which the new archive reads before it tries the next number.

Compaction (`finkray.ledger.compaction`) deletes entries, so a number may become free again. A
zombie still cannot commit: the file with the compacted entries is durable and visible *before*
any of them is deleted. A writer that creates a number which was used before looks *after* the
create and finds the file that covers it (`finkray.ledger.segment.covering` cannot miss it): its
entry is void, and it is `Fenced`. Readers ignore an entry that such a file covers, so they never
see it either. A writer that finds no such file has created a number that was never used: a commit.

The lease (`finkray.ledger.lease`) keeps two archives from starting by accident; the fence does not
depend on it.
"""

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Literal

from finkray.claim import Claim, ClaimResult, StagedClaim, TopicPartition
from finkray.errors import FinkrayError, LedgerCorrupt
from finkray.ledger.claims import read_results
from finkray.ledger.compaction import compact
from finkray.ledger.entry import LOG_FOLDER, ClaimKind, Entry, log_path
from finkray.ledger.identity import raise_bounds, refuse_if_gone
from finkray.ledger.read import LedgerReading, read_entries
from finkray.ledger.refusals import (
    refuse_contradictions,
    refuse_files_of_committed,
    refuse_rewriting,
)
from finkray.ledger.rollback import refuse_if_rolled_back
from finkray.ledger.segment import BLOCK, covering
from finkray.ledger.state import LedgerState
from finkray.ledger.take_over import Holder, fenced, open_epoch, undo_if_compacted
from finkray.status.archive import BalanceSheet
from finkray.storage.contract import Storage

STAGING_FOLDER = "staging"

RETRY_ENTRIES = 256
"""How many recent entries to search for a retried commit: a caller retries its last one."""

log = logging.getLogger(__name__)


class Ledger:
    """The writer of a ledger, created by `take_over`. Not for two threads at a time.

    Attributes
    ----------
    epoch
        number of this run; tasks put it into the names of staged files
    archive_id
        the identity of the archive
    is_new
        whether the ledger knew no partition when it was opened
    """

    def __init__(
        self,
        storage: Storage,
        writer: str,
        reading: LedgerReading,
        *,
        archive_id: str,
        is_new: bool,
    ) -> None:
        self._storage = storage
        self._writer = writer
        self.archive_id = archive_id
        self._state = reading.state
        self._unpublished = dict(reading.unpublished)
        self._in_doubt = False
        self._compact_at_seq = 0
        self._compactor = ThreadPoolExecutor(1, thread_name_prefix="compaction")
        self.is_new = is_new

    @classmethod
    def take_over(cls, storage: Storage, holder: Holder | None = None) -> "Ledger":
        """Begin a new epoch; from then on every earlier writer of the ledger is fenced.

        Nothing is written if the ledger is not that of the folder, or is older than what is in it.

        Raises
        ------
        Fenced
            if another archive takes it over during the call and compacts its entries
        LedgerCorrupt
            if the entries are not a valid ledger, or one that is lost or older than its archive
        StorageError
            if the storage refuses; retry
        """
        writer = secrets.token_hex(8)
        opened = open_epoch(storage, writer, holder)
        before = opened.before
        ledger = cls(
            storage,
            writer,
            before,
            archive_id=opened.archive_id,
            is_new=not before.state.partitions,
        )
        ledger._apply(opened.entry)
        return ledger

    @property
    def state(self) -> LedgerState:
        """The sum of all entries; read-only for callers."""
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
        """``{final: staged}`` of the files of committed claims that are not published yet."""
        return {final: at for staged in self._unpublished.values() for final, at in staged.items()}

    def frontier(self, source: TopicPartition) -> int | None:
        """Return the first offset that is not in the ledger; None for an unknown partition."""
        return self._state.frontier(source)

    def totals(self) -> BalanceSheet:
        """Return the sums over all claims."""
        return self._state.balance()

    def refuse_if_fenced(self) -> None:
        """Check, without writing, that no other archive has taken the ledger over.

        Raises
        ------
        Fenced
            if another archive has
        StorageError
            as `refuse_if_gone`
        """
        self.refuse_if_gone()
        self._next_of_mine()

    def refuse_if_gone(self) -> None:
        """Check, without writing, that the folder is still there and that of this archive.

        Raises
        ------
        StorageError
            if it is gone: deleted, or its disk is not mounted
        LedgerCorrupt
            if it is the folder of another archive
        """
        refuse_if_gone(self._storage, self.archive_id)

    def record_starts(self, starts: Mapping[TopicPartition, int]) -> None:
        """Record the offset from which partitions are archived; known ones stay as they are."""
        while True:
            self._resolve_doubt()
            new = {at: offset for at, offset in starts.items() if at not in self._state.partitions}
            if not new or self._create("started", starts=tuple(sorted(new.items()))):
                return

    def begin_live_lanes(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record that live lanes begin at these offsets; earlier offsets are left to backfills.

        An offset that is not beyond the end of its partition in the ledger is left out.
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
        """Commit claims: when this returns all of them are in the archive for good.

        All or none are committed. After a `StorageError` it is unknown which. Call again with
        the same claims, and more if there are more: claims of the same bounds that this run has
        just committed are not entered twice.

        Parameters
        ----------
        staged
            claims; not empty. For `repaired` and `resolved` they are in the ledger already; each
            has all of its current files, and only the new ones in `staged`.
        kind
            `committed` for new claims, else what was done to them

        Returns
        -------
        int
            the number of the entry that holds the last of them

        Raises
        ------
        Fenced
            if another archive has taken the ledger over: only what that archive read is valid
        LedgerCorrupt
            if a new claim is in the ledger already, or a revised one is not: nothing was committed
        ValueError
            if a claim does not account for each of its offsets once, or a resolved one differs
            in more than its resolved dead letters: nothing was committed
        StorageError
            if the storage refuses; see above
        ClusterUnavailable
            if an earlier call committed some of the claims that share a file in this call, and not
            the others: a fresh process reads the others again
        """
        refuse_contradictions(staged, kind)
        while True:
            self._resolve_doubt()
            done = self._committed_recently(kind, staged)
            rest = [each for each in staged if each.result.claim not in done]
            if not rest:
                return self._state.last_seq
            if kind == "committed":
                refuse_files_of_committed(rest, done)
            content: dict[str, Any] = {
                "claims": tuple(each.result for each in rest),
                "staged": {final: at for each in rest for final, at in each.staged.items()},
            }
            if kind == "committed":
                self._state.refuse_overlap(each.result.claim for each in rest)
            else:
                content["superseded"] = tuple(self._current_results(rest))
                if kind == "resolved":
                    for before, each in zip(content["superseded"], rest, strict=True):
                        refuse_rewriting(before, each.result)
                content["remade"] = tuple(content["staged"])
            if self._create(kind, **content):
                return self._state.last_seq

    def mark_published(self, finals: Sequence[str]) -> None:
        """Note that files are published; the next entry records it for others."""
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
        """Compact the ledger in a separate thread, if a block of entries is complete.

        It takes a few ms in most cases, and seconds once in a hundred thousand commits. The
        process may end in the middle of it.

        Returns
        -------
        Future of int, or None
            number of files it writes; None if no block is complete, which costs nothing to see
        """
        through_seq = self._state.published_through
        if through_seq < self._compact_at_seq:
            return None
        self._compact_at_seq = through_seq + BLOCK - (through_seq + 1) % BLOCK
        return self._compactor.submit(
            _compact, self._storage, through_seq, self.staging, self.archive_id, self.epoch
        )

    def _create(self, kind: Literal["started"] | ClaimKind, **content: Any) -> bool:
        """Create the next entry; False if the number is taken: call `_resolve_doubt` then."""
        # Else a second ledger would begin in the empty folder of a disk that was unmounted, or the
        # entry would leave a hole behind the end of an older copy that was restored meanwhile.
        refuse_if_rolled_back(self._storage, self.archive_id, self._state.last_seq)
        entry = Entry(
            seq=self._state.last_seq + 1,
            epoch=self._state.epoch,
            kind=kind,
            at=datetime.now(UTC),
            writer=self._writer,
            published_through=self._state.published_through,
            archive_id=self.archive_id,
            **content,
        )
        self._in_doubt = True
        if not self._storage.create(entry.path, entry.to_bytes()):
            return False
        if undo_if_compacted(self._storage, entry):
            raise fenced(entry.seq)
        self._in_doubt = False
        self._apply(entry)
        return True

    def _resolve_doubt(self) -> None:
        """Find out whether a create succeeded whose answer was lost or negative."""
        if not self._in_doubt:
            return
        entry = self._next_of_mine()
        if entry is not None:
            self._storage.sync(LOG_FOLDER)
            self._apply(entry)
        self._in_doubt = False

    def _next_of_mine(self) -> Entry | None:
        """Return the entry after the last known one, if it exists; raise `Fenced` if not ours."""
        seq = self._state.last_seq + 1
        data = self._storage.read(log_path(seq))
        entry = None if data is None else Entry.from_bytes(data, seq)
        others = entry is not None and entry.writer != self._writer
        if others or covering(self._storage, seq) is not None:
            raise fenced(seq)
        return entry

    def _committed_recently(self, kind: ClaimKind, staged: Sequence[StagedClaim]) -> set[Claim]:
        """Return those of the claims that this run has committed in its recent entries."""
        if not any(self._state.covers(each.result.claim) for each in staged):
            return set()
        mine = [
            (result.claim, entry.staged.items())
            for entry in read_entries(self._storage, self._state.last_seq - RETRY_ENTRIES)
            if entry.writer == self._writer and entry.kind == kind
            for result in entry.claims
        ]
        # A claim is committed once, but may be revised more than once.
        return {
            each.result.claim
            for each in staged
            for claim, files in mine
            if claim == each.result.claim and (kind == "committed" or files >= each.staged.items())
        }

    def _apply(self, entry: Entry) -> None:
        self._state.apply(entry)
        if entry.staged:
            self._unpublished[entry.seq] = entry.staged
        self._note_published()

    def _note_published(self) -> None:
        first_waiting = min(self._unpublished, default=self._state.last_seq + 1)
        self._state.published_through = first_waiting - 1

    def _current_results(self, revised: Sequence[StagedClaim]) -> Iterator[ClaimResult]:
        """Yield the current results of claims that are to be revised."""
        known = read_results(self._storage, [each.result.claim for each in revised])
        for each in revised:
            before = known.get(each.result.claim)
            if before is None:
                raise LedgerCorrupt(f"{each.result.claim} is to be revised but not in the ledger")
            if unknown := each.result.paths - before.paths - set(each.staged):
                raise ValueError(
                    f"revision of {each.result.claim}: not staged and not known: {sorted(unknown)}"
                )
            yield before


def staging_folder(epoch: int) -> str:
    """Return the folder in which the archive of an epoch stages its files."""
    return f"{STAGING_FOLDER}/{epoch:08d}"


def _compact(storage: Storage, through_seq: int, staging: str, archive_id: str, epoch: int) -> int:
    try:
        raise_bounds(storage, archive_id, epoch, through_seq)
        return compact(storage, through_seq, staging)
    except FinkrayError as error:
        # No commit depends on it, and the next block triggers another attempt.
        log.warning("ledger not compacted, will retry with the next block: %s", error)
    except Exception:
        # Callers do not wait for the answer, so what it raises would be lost.
        log.exception("ledger not compacted, will retry with the next block")
    return 0
