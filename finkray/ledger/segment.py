"""Folded entries: which files there may be, and the order of the whole. Pure but for `covering`.

Entries fold in blocks of `BLOCK`, and `FANOUT` neighbouring files of one level into one of
the next, so that a ledger of n entries leaves about BLOCK + FANOUT · log(n) files. A file
of level k always holds the BLOCK · FANOUT^k entries from a multiple of that number on: from
the number of an entry follow the names of all files that may ever hold it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from finkray.errors import LedgerCorrupt
from finkray.ledger.entry import log_path
from finkray.storage.contract import Storage

FOLDED_FOLDER = "ledger/folded"

BLOCK = 64
"""Entries in the smallest file. Those that are not folded yet are read one by one when a
ledger is opened (about 0.1 ms each), and folding costs as much as a few commits."""

FANOUT = 16
"""Files of one level that become one of the next: each claim is written again once for each
level, and a ledger has at most this number of files of a level."""

LEVELS = 7
"""The widest file holds BLOCK · FANOUT^6, a thousand million entries."""


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """The file that holds entries `first_seq` to `last_seq`, both included."""

    first_seq: int
    last_seq: int

    @property
    def path(self) -> str:
        """Where it stands."""
        return f"{FOLDED_FOLDER}/{self.first_seq:020d}-{self.last_seq:020d}.parquet"

    @property
    def level(self) -> int:
        """0 for a block of entries, k + 1 for a file made of files of level k."""
        return _SPANS.index(self.last_seq - self.first_seq + 1)

    @property
    def parts(self) -> list["Segment"]:
        """The files of the level below that it is made of."""
        return [
            Segment.holding(first, self.level - 1)
            for first in range(self.first_seq, self.last_seq, _SPANS[self.level - 1])
        ]

    @classmethod
    def holding(cls, seq: int, level: int) -> "Segment":
        """The file of that level that holds an entry, once there is one."""
        first = seq - seq % _SPANS[level]
        return cls(first, first + _SPANS[level] - 1)

    @classmethod
    def of(cls, path: str) -> "Segment | None":
        """The segment that stands under a path, None if the path is no segment's."""
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
    """The file in which an entry is folded, None if it is not folded.

    Whenever an entry was folded *before* the call, it is found, whatever is folded meanwhile:
    a file goes away only after the one of the next level is there, and the levels are looked
    at from below, so the entry cannot slip past.
    """
    for level in range(LEVELS):
        segment = Segment.holding(seq, level)
        if storage.size_bytes(segment.path) is not None:
            return segment
    return None


@dataclass(frozen=True, slots=True)
class Order:
    """The files of a ledger, in order and each entry once.

    Attributes
    ----------
    segments
        the widest ones, dense from entry 0 on
    log_seqs
        the entries after them
    left_over
        paths of files whose entries are all in `segments` too: folding was cut short
    """

    segments: tuple[Segment, ...]
    log_seqs: range
    left_over: tuple[str, ...]

    @property
    def last_seq(self) -> int:
        """The number of the last entry, -1 if there is none."""
        return self.log_seqs.stop - 1


def put_in_order(log_seqs: Collection[int], segments: Collection[Segment]) -> Order:
    """Find out which file speaks for which entry: the widest segment that holds it.

    Raises
    ------
    LedgerCorrupt
        if an entry before the last is in no file
    """
    widest: list[Segment] = []
    left_over = []
    next_seq = 0
    for segment in sorted(segments, key=lambda one: (one.first_seq, -one.last_seq)):
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
                f"entry {expected} of the ledger is missing, the last one is {last_seq}: restore "
                f"{log_path(expected)} or the file of {FOLDED_FOLDER} that held it from a copy"
            )
    return Order(tuple(widest), range(next_seq, last_seq + 1), tuple(left_over))


def next_compaction(order: Order, through_seq: int) -> Segment | None:
    """The segment to write next, None if there is none.

    Parameters
    ----------
    order
        of the ledger's files
    through_seq
        entries after this one are not folded
    """
    there = set(order.segments)
    for segment in order.segments:
        if segment.level + 1 < LEVELS:
            whole = Segment.holding(segment.first_seq, segment.level + 1)
            if there.issuperset(whole.parts):
                return whole
    block = Segment.holding(order.log_seqs.start, 0)
    return block if block.last_seq <= min(through_seq, order.last_seq) else None
