"""Names and levels of compacted files, and which file holds which entry. Pure except `covering`.

Entries are compacted in blocks of `BLOCK`, and `FANOUT` neighbouring files of one level into one
of the next, so that a ledger of n entries has about BLOCK + FANOUT · log(n) files. A file of
level k always holds the BLOCK · FANOUT^k entries from a multiple of that number on: the number of
an entry determines the names of all files that may ever hold it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from finkray.errors import LedgerCorrupt
from finkray.ledger.entry import RESTORE, log_path
from finkray.storage.contract import Storage

FOLDED_FOLDER = "ledger/folded"

BLOCK = 64
"""Entries in the smallest file. Entries that are not compacted are read one by one when a ledger
is opened (about 0.1 ms each), and compacting a block costs as much as a few commits."""

FANOUT = 16
"""Files of one level that are merged into one of the next: each claim is rewritten once per level,
and a ledger has at most this number of files of a level."""

LEVELS = 7
"""Number of levels: the widest file holds BLOCK · FANOUT^6, a thousand million entries."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """The file that holds entries `first_seq` to `last_seq`, both included."""

    first_seq: int
    last_seq: int

    @property
    def path(self) -> str:
        """Path of the file."""
        return f"{FOLDED_FOLDER}/{self.first_seq:020d}-{self.last_seq:020d}.parquet"

    @property
    def level(self) -> int:
        """0 for a block of entries, k + 1 for a file merged of files of level k."""
        return _SPANS.index(self.last_seq - self.first_seq + 1)

    @property
    def parts(self) -> list["Segment"]:
        """The files of the level below that it replaces."""
        return [
            Segment.holding(first, self.level - 1)
            for first in range(self.first_seq, self.last_seq, _SPANS[self.level - 1])
        ]

    @classmethod
    def holding(cls, seq: int, level: int) -> "Segment":
        """Return the file of that level that holds an entry, whether it exists or not."""
        first = seq - seq % _SPANS[level]
        return cls(first, first + _SPANS[level] - 1)

    @classmethod
    def of(cls, path: str) -> "Segment | None":
        """Return the segment of a path, None if the path is not one of a segment."""
        stem, _, suffix = path.rpartition("/")[2].partition(".")
        first, _, last = stem.partition("-")
        if suffix != "parquet" or not (first.isdigit() and last.isdigit()):
            return None
        segment = cls(int(first), int(last))
        span = segment.last_seq - segment.first_seq + 1
        known = span in _SPANS and segment.first_seq % span == 0 and segment.path == path
        return segment if known else None


_SPANS = tuple(BLOCK * FANOUT**level for level in range(LEVELS))


def covering(storage: Storage, seq: int) -> Segment | None:
    """Return the file into which an entry is compacted, None if it is not compacted.

    An entry that was compacted *before* the call is always found, even if more is compacted
    during the call: a file is deleted only after that of the next level exists, and the levels are
    checked from below.
    """
    for level in range(LEVELS):
        segment = Segment.holding(seq, level)
        if storage.size_bytes(segment.path) is not None:
            return segment
    return None


@dataclass(frozen=True, slots=True)
class LedgerFiles:
    """The files that make up a ledger, in order, with each entry once.

    Attributes
    ----------
    segments
        the widest files, without a gap from entry 0 on
    log_seqs
        the entries after the segments
    left_over
        paths of files whose entries are all in `segments` too, after a crash in compaction
    """

    segments: tuple[Segment, ...]
    log_seqs: range
    left_over: tuple[str, ...]

    @property
    def last_seq(self) -> int:
        """Number of the last entry, -1 if there is none."""
        return self.log_seqs.stop - 1


def choose_files(log_seqs: Collection[int], segments: Collection[Segment]) -> LedgerFiles:
    """Choose the file for each entry: the widest segment that holds it.

    Raises
    ------
    LedgerCorrupt
        if an entry before the last is in no file
    """
    widest: list[Segment] = []
    left_over = []
    next_seq = 0
    for segment in sorted(segments, key=lambda each: (each.first_seq, -each.last_seq)):
        if segment.last_seq < next_seq:
            left_over.append(segment.path)
            continue
        if segment.first_seq != next_seq:
            break
        widest.append(segment)
        next_seq = segment.last_seq + 1
    left_over += [log_path(seq) for seq in sorted(log_seqs) if seq < next_seq]
    after = sorted(seq for seq in log_seqs if seq >= next_seq)
    last_seq = max([next_seq - 1, *after, *(segment.last_seq for segment in segments)])
    for expected, seq in zip(range(next_seq, last_seq + 1), [*after, -1], strict=False):
        if expected != seq:
            raise LedgerCorrupt(
                f"entry {expected} of the ledger is missing, the last one is {last_seq} "
                f"({log_path(expected)}, or the file of {FOLDED_FOLDER} that held it): {RESTORE}"
            )
    return LedgerFiles(tuple(widest), range(next_seq, last_seq + 1), tuple(left_over))


def next_compaction(files: LedgerFiles, through_seq: int) -> Segment | None:
    """Return the segment to write next, None if none is due.

    Parameters
    ----------
    files
        of the ledger
    through_seq
        entries after this one are not compacted
    """
    existing = set(files.segments)
    for segment in files.segments:
        if segment.level + 1 < LEVELS:
            whole = Segment.holding(segment.first_seq, segment.level + 1)
            if existing.issuperset(whole.parts):
                return whole
    block = Segment.holding(files.log_seqs.start, 0)
    return block if block.last_seq <= min(through_seq, files.last_seq) else None
