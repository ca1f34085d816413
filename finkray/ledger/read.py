"""Read a ledger, also while an archive appends to it and compacts it. Needs no lease.

A reader lists the entries first and the compacted files after: an entry is deleted only when
the file that holds it is durable, so what the first list lacks the second has. If the lists of
the file system are not consistent, or a listed file vanishes before it is read, the reader
starts again. Entries are never changed, so a reader gets the ledger as of one moment.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.errors import LedgerCorrupt, StorageError
from finkray.ledger.entry import LOG_FOLDER, RESTORE, Entry, log_path, seq_of
from finkray.ledger.segment import (
    FOLDED_FOLDER,
    LedgerFiles,
    Segment,
    choose_files,
    covering,
)
from finkray.ledger.state import LedgerState
from finkray.ledger.table import SCHEMA, STATE_COLUMNS, add_to_state, to_entries, to_table
from finkray.storage.contract import Storage

ATTEMPTS = 40
"""How often a reader starts again. A missing entry is reported after about a second; compaction,
once in `finkray.ledger.segment.BLOCK` commits, never interferes that often."""

_PAUSE_S = 0.025

T = TypeVar("T")

MayMatter = Callable[[pq.RowGroupMetaData], bool]
"""Tells from the bounds of a row group's columns whether a reader may need a row of it."""


def _all_matter(_: pq.RowGroupMetaData) -> bool:
    return True


class LedgerFileGone(Exception):
    """A listed file vanished because it was compacted. Handled within the ledger package."""


@dataclass(slots=True)
class LedgerReading:
    """A ledger as it was at one moment.

    Attributes
    ----------
    state
        the sum of its entries
    files
        its files
    unpublished
        ``{seq: {final: staged}}`` of the entries after `state.published_through`: their files
        may still be in staging
    """

    state: LedgerState
    files: LedgerFiles
    unpublished: dict[int, Mapping[str, str]] = field(default_factory=dict)

    def catch_up(self, storage: Storage) -> None:
        """Add the entries that were created since, without reading the others again."""
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


def read_files(storage: Storage) -> LedgerFiles:
    """Return the files of the ledger as of now."""
    return _with_retries(lambda: _files(storage))


def read_state(storage: Storage) -> LedgerReading:
    """Read the whole ledger and return the sum of its entries.

    Raises
    ------
    LedgerCorrupt
        if an entry is missing or unreadable, or entries contradict each other
    """
    return _with_retries(lambda: _state(storage))


def read_tables(
    storage: Storage,
    after_seq: int = -1,
    columns: Sequence[str] | None = None,
    may_matter: MayMatter = _all_matter,
) -> Iterator[pa.Table]:
    """Yield the rows of all entries after a number, in order; see `finkray.ledger.table`.

    Each table holds whole entries. Entries created during the call may or may not be included.
    Row groups of compacted files that `may_matter` refuses are left out, unread.
    """
    names = list(columns or SCHEMA.names)
    failures = 0
    while True:
        try:
            for table in _tables(storage, after_seq, sorted({"seq", *names}), may_matter):
                after_seq = table["seq"][-1].as_py()
                yield table.select(names)
        except (LedgerFileGone, LedgerCorrupt) as error:
            failures += 1
            _pause_or_give_up(error, failures)
        else:
            return


def read_entries(storage: Storage, after_seq: int = -1) -> Iterator[Entry]:
    """Yield the entries after a number, in order; compacted ones come without `staged`."""
    failures = 0
    while True:
        try:
            files = _files(storage)
            for segment in files.segments:
                if segment.last_seq > after_seq:
                    for table in segment_tables(storage, segment, after_seq, SCHEMA.names):
                        for entry in to_entries(table):
                            after_seq = entry.seq
                            yield entry
            wanted = range(max(files.log_seqs.start, after_seq + 1), files.log_seqs.stop)
            for entry in log_entries(storage, wanted):
                after_seq = entry.seq
                yield entry
        except (LedgerFileGone, LedgerCorrupt) as error:
            failures += 1
            _pause_or_give_up(error, failures)
        else:
            return


def list_ledger(storage: Storage) -> tuple[set[int], set[Segment]]:
    """Return the numbers of the entries of the log, and the compacted files; others do not count.

    Raises
    ------
    StorageError
        if the storage refuses
    """
    # In this order: an entry that is compacted meanwhile is in one of them at least.
    seqs = {seq for file in storage.files(LOG_FOLDER) if (seq := seq_of(file.path)) is not None}
    segments = {
        segment
        for file in storage.files(FOLDED_FOLDER)
        if (segment := Segment.of(file.path)) is not None
    }
    return seqs, segments


def _files(storage: Storage) -> LedgerFiles:
    return choose_files(*list_ledger(storage))


def _state(storage: Storage) -> LedgerReading:
    files = _files(storage)
    state = LedgerState()
    for segment in files.segments:
        # One row group at a time: memory does not grow with the ledger.
        for table in segment_tables(storage, segment, -1, STATE_COLUMNS):
            add_to_state(state, table, state.last_seq + 1, table["seq"][-1].as_py())
        if state.last_seq != segment.last_seq:
            raise LedgerCorrupt(f"{segment.path} ends with entry {state.last_seq}")
    reading = LedgerReading(state, files)
    for entry in log_entries(storage, files.log_seqs):
        reading.add(entry)
    return reading


def _tables(
    storage: Storage, after_seq: int, names: Sequence[str], may_matter: MayMatter
) -> Iterator[pa.Table]:
    files = _files(storage)
    for segment in files.segments:
        if segment.last_seq > after_seq:
            yield from segment_tables(storage, segment, after_seq, names, may_matter)
    wanted = range(max(files.log_seqs.start, after_seq + 1), files.log_seqs.stop)
    if wanted:
        yield to_table(log_entries(storage, wanted)).select(names)


def segment_tables(
    storage: Storage,
    segment: Segment,
    after_seq: int,
    names: Sequence[str],
    may_matter: MayMatter = _all_matter,
) -> Iterator[pa.Table]:
    """Yield the row groups of a segment, each of whole entries; `LedgerFileGone` if it vanished."""
    try:
        source = storage.open(segment.path)
    except FileNotFoundError as error:
        raise LedgerFileGone(segment.path) from error
    try:
        with source, pq.ParquetFile(source, page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                about = file.metadata.row_group(group)
                if about.column(0).statistics.max <= after_seq or not may_matter(about):
                    continue
                table = file.read_row_group(group, columns=list(names))
                yield _complete(table, names).filter(pc.field("seq") > after_seq)
    except pa.ArrowInvalid as error:
        raise _damaged(segment, error) from error
    except OSError as error:
        # Arrow reports a page whose checksum differs, or that does not unpack, as one of these.
        if error.errno is None:
            raise _damaged(segment, error) from error
        raise StorageError(f"cannot read {segment.path}: {error}") from error


def _damaged(segment: Segment, error: Exception) -> LedgerCorrupt:
    return LedgerCorrupt(f"{segment.path} cannot be read ({error}): {RESTORE}")


def _complete(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return the columns in that order, with nulls for what was added to format 1 later."""
    for name in set(names).difference(table.column_names):
        field = SCHEMA.field(name)
        table = table.append_column(field, pa.nulls(len(table), field.type))
    return table.select(list(names)).cast(pa.schema([SCHEMA.field(name) for name in names]))


def log_entries(storage: Storage, seqs: range) -> list[Entry]:
    """Return entries from the log; raise `LedgerFileGone` if one of them is compacted."""
    entries = []
    for seq in seqs:
        data = storage.read(log_path(seq))
        if data is None:
            raise LedgerFileGone(log_path(seq))
        entries.append(Entry.from_bytes(data, seq))
    # An archive that lost the ledger may have created an entry again that was compacted and
    # deleted; see `finkray.ledger.log`. Such an entry is covered, and void.
    for seq in {Segment.holding(seq, 0).first_seq for seq in seqs}:
        if covering(storage, seq) is not None:
            raise LedgerFileGone(log_path(seq))
    return entries


def _with_retries(read: Callable[[], T]) -> T:
    failures = 0
    while True:
        try:
            return read()
        except (LedgerFileGone, LedgerCorrupt) as error:
            failures += 1
            _pause_or_give_up(error, failures)


def _pause_or_give_up(error: LedgerFileGone | LedgerCorrupt, failures: int) -> None:
    """Wait before another attempt; after the last one raise its error."""
    if failures < ATTEMPTS:
        time.sleep(_PAUSE_S)
    elif isinstance(error, LedgerCorrupt):
        raise error
    else:
        raise StorageError(f"{error} is listed but not there: is the folder really one folder?")
