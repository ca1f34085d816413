"""Reading a ledger, also while an archive appends to it and folds it. Needs no lease.

A reader lists the entries first and the folded files after: an entry is deleted only when
the file that holds it is durable, so what the first list lacks the second has. Where the
file system's lists are not of one moment, or a listed file goes away before it is read, it
starts again. Entries are never changed, so a reader gets the ledger as it was at one moment.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.errors import LedgerCorrupt, StorageError
from finkray.ledger.entry import LOG_FOLDER, Entry, log_path, seq_of
from finkray.ledger.segment import (
    FOLDED_FOLDER,
    Order,
    Segment,
    covering,
    put_in_order,
)
from finkray.ledger.state import LedgerState
from finkray.ledger.table import SCHEMA, STATE_COLUMNS, add_to_state, to_entries, to_table
from finkray.storage.contract import Storage

ATTEMPTS = 40
"""How often a reader starts again. A missing entry is reported after about a second; folding,
which happens once in `ledger_segment.BLOCK` commits, is never in the way so often."""

_PAUSE_S = 0.025

T = TypeVar("T")


class Compacted(Exception):
    """A file that was listed went away: it has been folded meanwhile. Never leaves finkray."""


@dataclass(slots=True)
class LedgerReading:
    """A ledger as it was at one moment.

    Attributes
    ----------
    state
        the sum of its entries
    order
        its files
    unpublished
        ``{seq: {final: staged}}`` of the entries after `state.published_through`: their files
        may still be in staging
    """

    state: LedgerState
    order: Order
    unpublished: dict[int, Mapping[str, str]] = field(default_factory=dict)

    def catch_up(self, storage: Storage) -> None:
        """Add the entries that have come since, without reading the others again."""
        for entry in read_entries(storage, self.state.last_seq):
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
        self.state.apply(entry)
        self.unpublished[entry.seq] = entry.staged
        self.unpublished = {
            seq: staged
            for seq, staged in self.unpublished.items()
            if staged and seq > self.state.published_through
        }


def read_order(storage: Storage) -> Order:
    """The ledger's files at this moment."""
    return _patiently(lambda: _order(storage))


def read_state(storage: Storage) -> LedgerReading:
    """Sum the whole ledger up.

    Raises
    ------
    LedgerCorrupt
        if an entry is missing or unreadable, or entries contradict each other
    """
    return _patiently(lambda: _state(storage))


def read_tables(
    storage: Storage, after_seq: int = -1, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """The rows of all entries after a number, in order; see `finkray.ledger.table`.

    Each table holds whole entries. Entries that come while it runs may or may not be given.
    """
    names = list(columns or SCHEMA.names)
    failures = 0
    while True:
        try:
            for table in _tables(storage, after_seq, sorted({"seq", *names})):
                after_seq = table["seq"][-1].as_py()
                yield table.select(names)
        except (Compacted, LedgerCorrupt) as error:
            failures += 1
            _pause_or_give_up(error, failures)
        else:
            return


def read_entries(storage: Storage, after_seq: int = -1) -> Iterator[Entry]:
    """The entries after a number, in order. Folded ones have lost `staged`: it is done."""
    failures = 0
    while True:
        try:
            order = _order(storage)
            for segment in order.segments:
                if segment.last_seq > after_seq:
                    for table in segment_tables(storage, segment, after_seq, SCHEMA.names):
                        for entry in to_entries(table):
                            after_seq = entry.seq
                            yield entry
            wanted = range(max(order.log_seqs.start, after_seq + 1), order.log_seqs.stop)
            for entry in log_entries(storage, wanted):
                after_seq = entry.seq
                yield entry
        except (Compacted, LedgerCorrupt) as error:
            failures += 1
            _pause_or_give_up(error, failures)
        else:
            return


def _order(storage: Storage) -> Order:
    seqs = [seq for file in storage.files(LOG_FOLDER) if (seq := seq_of(file.path)) is not None]
    segments = [
        segment
        for file in storage.files(FOLDED_FOLDER)
        if (segment := Segment.of(file.path)) is not None
    ]
    return put_in_order(seqs, segments)


def _state(storage: Storage) -> LedgerReading:
    order = _order(storage)
    state = LedgerState()
    for segment in order.segments:
        # One row group after the other: memory does not grow with the ledger.
        for table in segment_tables(storage, segment, -1, STATE_COLUMNS):
            add_to_state(state, table, state.last_seq + 1, table["seq"][-1].as_py())
        if state.last_seq != segment.last_seq:
            raise LedgerCorrupt(f"{segment.path} ends with entry {state.last_seq}")
    reading = LedgerReading(state, order)
    for entry in log_entries(storage, order.log_seqs):
        reading.add(entry)
    return reading


def _tables(storage: Storage, after_seq: int, names: Sequence[str]) -> Iterator[pa.Table]:
    order = _order(storage)
    for segment in order.segments:
        if segment.last_seq > after_seq:
            yield from segment_tables(storage, segment, after_seq, names)
    wanted = range(max(order.log_seqs.start, after_seq + 1), order.log_seqs.stop)
    if wanted:
        yield to_table(log_entries(storage, wanted)).select(names)


def segment_tables(
    storage: Storage, segment: Segment, after_seq: int, names: Sequence[str]
) -> Iterator[pa.Table]:
    """The row groups of a segment, each of which holds whole entries; `Compacted` if it is gone."""
    try:
        source = storage.open(segment.path)
    except FileNotFoundError as error:
        raise Compacted(segment.path) from error
    try:
        with source, pq.ParquetFile(source) as file:
            for group in range(file.num_row_groups):
                last = file.metadata.row_group(group).column(0).statistics.max
                if last <= after_seq:
                    continue
                table = file.read_row_group(group, columns=list(names))
                yield _complete(table, names).filter(pc.field("seq") > after_seq)
    except pa.ArrowInvalid as error:
        raise LedgerCorrupt(
            f"{segment.path} cannot be read ({error}): restore it from a copy"
        ) from error
    except OSError as error:
        raise StorageError(f"cannot read {segment.path}: {error}") from error


def _complete(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """The columns in that order, with nulls for those that came into format 1 later."""
    for name in set(names).difference(table.column_names):
        field = SCHEMA.field(name)
        table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(list(names))


def log_entries(storage: Storage, seqs: range) -> list[Entry]:
    """Entries that are not folded; `Compacted` if one of them is."""
    entries = []
    for seq in seqs:
        data = storage.read(log_path(seq))
        if data is None:
            raise Compacted(log_path(seq))
        entries.append(Entry.from_bytes(data, seq))
    # An archive that lost the ledger may have created an entry anew that had been folded
    # and deleted; see `finkray.ledger.log`. Such an entry is covered, and none of the ledger's.
    for seq in {Segment.holding(seq, 0).first_seq for seq in seqs}:
        if covering(storage, seq) is not None:
            raise Compacted(log_path(seq))
    return entries


def _patiently(read: Callable[[], T]) -> T:
    failures = 0
    while True:
        try:
            return read()
        except (Compacted, LedgerCorrupt) as error:
            failures += 1
            _pause_or_give_up(error, failures)


def _pause_or_give_up(error: Compacted | LedgerCorrupt, failures: int) -> None:
    """Wait before another attempt, or raise what the last one met."""
    if failures < ATTEMPTS:
        time.sleep(_PAUSE_S)
    elif isinstance(error, LedgerCorrupt):
        raise error
    else:
        raise StorageError(f"{error} is listed but not there: is the folder really one folder?")
