"""Read what is readable of a ledger that is damaged, incomplete or lost. Changes nothing.

A ledger is kept from entry 0 to the last entry before the first one that is missing or damaged. Of
what follows, readable entries still tell what claims there were: `finkray.ledger.rebuild` commits
these claims again. So do the files that an interrupted rebuild has set aside.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from finkray.claim import Claim, ClaimResult
from finkray.errors import LedgerCorrupt
from finkray.ledger.entry import REVISIONS, Entry, log_path
from finkray.ledger.read import LedgerFileGone, list_ledger, segment_tables
from finkray.ledger.segment import Segment
from finkray.ledger.sharing import sharing_groups
from finkray.ledger.state import LedgerState
from finkray.ledger.table import SCHEMA, to_entries
from finkray.storage.contract import Storage

SET_ASIDE_FOLDER: Final = "ledger-replaced"
"""Below it, in a folder for each rebuild, lie the ledger files that a rebuild replaced."""


@dataclass(slots=True)
class SalvagedLedger:
    """What is readable of a ledger.

    Attributes
    ----------
    state
        the sum of the entries that are kept
    results
        the current results of the claims of the entries that are kept
    staged
        final path → path in staging, of all readable entries
    later
        readable entries after those that are kept
    damaged
        paths of files that cannot be read, or contradict what comes before
    replaced
        paths of the files that hold no entry that is kept
    max_seq
        the largest number that any file of the ledger names; -1 if there is none
    max_epoch
        the largest epoch of any readable entry
    """

    state: LedgerState = field(default_factory=LedgerState)
    results: dict[Claim, ClaimResult] = field(default_factory=dict)
    staged: dict[str, str] = field(default_factory=dict)
    later: list[Entry] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    max_seq: int = -1
    max_epoch: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every entry that any file names is kept."""
        return self.max_seq == self.state.last_seq and not self.replaced

    def _keep(self, entries: Sequence[Entry]) -> bool:
        """Add the next entries, unless they contradict what comes before."""
        state = copy.deepcopy(self.state)
        try:
            for entry in entries:
                state.apply(entry)
        except LedgerCorrupt:
            return False
        self.state = state
        for entry in entries:
            self.results |= {result.claim: result for result in entry.claims}
            self.staged |= entry.staged
            self.max_epoch = max(self.max_epoch, entry.epoch)
        return True


def salvage(storage: Storage) -> SalvagedLedger:
    """Read what is readable of the ledger in a storage.

    Raises
    ------
    StorageError
        if the storage refuses
    """
    salvaged = SalvagedLedger()
    seqs, segments = list_ledger(storage)
    salvaged.max_seq = max([-1, *seqs, *(segment.last_seq for segment in segments)])
    readings = _Readings(storage, salvaged.damaged)
    while _keep_next(salvaged, seqs, segments, readings):
        pass
    last_seq = salvaged.state.last_seq
    salvaged.replaced = sorted(
        {segment.path for segment in segments if segment.last_seq > last_seq}
        | {log_path(seq) for seq in seqs if seq > last_seq}
        | set(salvaged.damaged)
    )
    salvaged.later = readings.entries(seqs, segments, last_seq)
    for folder in storage.folders(SET_ASIDE_FOLDER):
        salvaged.later += _entries_set_aside(storage.below(folder))
    for entry in salvaged.later:
        salvaged.staged |= entry.staged
        salvaged.max_epoch = max(salvaged.max_epoch, entry.epoch)
    salvaged.damaged = sorted(set(salvaged.damaged))
    return salvaged


def replay(salvaged: SalvagedLedger) -> Iterator[Entry]:
    """Yield from the later entries what fits onto the kept ones; its numbers mean nothing.

    A claim that the ledger lacks comes as ``committed`` in its last version; a revision of a claim
    that the ledger has comes as it is, if it revises the version that the ledger has.
    """
    state, results = copy.deepcopy(salvaged.state), dict(salvaged.results)
    new: dict[Claim, ClaimResult] = {}
    for entry in salvaged.later:
        if entry.starts:
            yield _again(entry, starts=entry.starts)
        before = {result.claim: result for result in entry.superseded}
        known = new.keys() | results.keys()
        for group in sharing_groups(entry.claims):
            if known.isdisjoint(result.claim for result in group):
                _add_if_all_fit(state, new, group)
        revised = []
        for result in entry.claims:
            claim = result.claim
            current = new.get(claim) or results.get(claim)
            # Entries that were set aside come after those of the ledger, and may be older.
            if current and entry.kind in REVISIONS and before.get(claim) == current:
                if claim in new:
                    new[claim] = result
                else:
                    results[claim] = result
                    revised.append(result)
        if revised:
            yield _again(
                entry,
                claims=tuple(revised),
                superseded=tuple(before[result.claim] for result in revised),
                remade=entry.remade,
            )
    for result in new.values():
        yield Entry(0, 0, "committed", salvaged.later[-1].at, "", 0, claims=(result,))


def _again(entry: Entry, **content: object) -> Entry:
    return Entry(0, 0, entry.kind, entry.at, "", 0, **content)  # type: ignore[arg-type]


def _add_if_all_fit(
    state: LedgerState, new: dict[Claim, ClaimResult], group: Sequence[ClaimResult]
) -> None:
    """Add claims that share files, unless some of their offsets are there already."""
    try:
        state.refuse_overlap(result.claim for result in group)
    except LedgerCorrupt:
        return
    state.add_claims(group)
    new |= {result.claim: result for result in group}


class _Readings:
    """Reads files of a ledger, each once; notes those that cannot be read."""

    def __init__(self, storage: Storage, damaged: list[str]) -> None:
        self._storage = storage
        self._damaged = damaged
        self._read: dict[str, list[Entry]] = {}

    def segment(self, segment: Segment) -> list[Entry]:
        """Return the entries of a compacted file; [] if it cannot be read."""
        if segment.path not in self._read:
            try:
                tables = segment_tables(self._storage, segment, -1, SCHEMA.names)
                entries = [entry for table in tables for entry in to_entries(table)]
            except (LedgerCorrupt, LedgerFileGone, ValueError, KeyError, TypeError):
                entries = []
            wanted = list(range(segment.first_seq, segment.last_seq + 1))
            if [entry.seq for entry in entries] != wanted:
                entries = self.note(segment.path)
            self._read[segment.path] = entries
        return self._read[segment.path]

    def log_entry(self, seq: int) -> list[Entry]:
        """Return an entry of the log; [] if it cannot be read."""
        path = log_path(seq)
        if path not in self._read:
            try:
                self._read[path] = [Entry.from_bytes(self._storage.read(path) or b"", seq)]
            except LedgerCorrupt:
                self._read[path] = self.note(path)
        return self._read[path]

    def note(self, path: str) -> list[Entry]:
        """Note a damaged file."""
        self._damaged.append(path)
        return []

    def entries(
        self, seqs: Iterable[int], segments: Iterable[Segment], after_seq: int
    ) -> list[Entry]:
        """Return all readable entries after a number, each once, in order."""
        found: dict[int, Entry] = {}
        for segment in segments:
            if segment.last_seq > after_seq:
                found |= {entry.seq: entry for entry in self.segment(segment)}
        for seq in seqs:
            # An entry that a compacted file covers does not count.
            if seq > after_seq and seq not in found:
                found |= {entry.seq: entry for entry in self.log_entry(seq)}
        return [found[seq] for seq in sorted(found) if seq > after_seq]


def _keep_next(
    salvaged: SalvagedLedger, seqs: set[int], segments: set[Segment], readings: _Readings
) -> bool:
    """Keep the entries of the next file; False if there is none, or it is damaged."""
    seq = salvaged.state.last_seq + 1
    candidates = (segment for segment in segments if segment.first_seq == seq)
    for segment in sorted(candidates, key=lambda each: -each.last_seq):
        entries = readings.segment(segment)
        if entries:
            if salvaged._keep(entries):  # noqa: SLF001 - of this module
                return True
            readings.note(segment.path)
    if seq in seqs:
        entries = readings.log_entry(seq)
        if entries:
            if salvaged._keep(entries):  # noqa: SLF001 - the same
                return True
            readings.note(log_path(seq))
    return False


def _entries_set_aside(storage: Storage) -> list[Entry]:
    """Return the readable entries that an earlier rebuild has set aside."""
    return _Readings(storage, []).entries(*list_ledger(storage), -1)
