"""Take a ledger over: begin a new epoch, from which on every earlier writer is fenced.

`finkray.ledger.log` explains why an earlier writer cannot commit any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from finkray.errors import Fenced
from finkray.ledger.entry import LOG_FOLDER, Entry
from finkray.ledger.identity import (
    establish,
    newest_files,
    raise_bounds,
    read_identity,
    refuse_older_ledger,
)
from finkray.ledger.read import LedgerReading, read_state
from finkray.ledger.segment import FOLDED_FOLDER, covering
from finkray.storage.contract import Storage


class Holder(Protocol):
    """The holder of a ledger; `finkray.ledger.lease.Lease` implements it."""

    def describe(self) -> Mapping[str, Any]:
        """Return host, process and the like, for people."""

    def begin_epoch(self, epoch: int) -> None:
        """Take note of the epoch that the ledger assigned."""


@dataclass(frozen=True, slots=True)
class OpenedLedger:
    """A ledger whose new epoch has begun.

    Attributes
    ----------
    archive_id
        of the archive
    before
        the ledger before the new epoch
    entry
        the entry ``opened``, the next one after `before`
    """

    archive_id: str
    before: LedgerReading
    entry: Entry


def open_epoch(storage: Storage, writer: str, holder: Holder | None = None) -> OpenedLedger:
    """Read a ledger and append the entry that begins a new epoch; see `Ledger.take_over`."""
    # The ledger is read last: it may be ahead of identity and files, but must not be behind them.
    found, files = read_identity(storage), newest_files(storage, datetime.now(UTC))
    reading = read_state(storage)
    state = reading.state
    refuse_older_ledger(found, state, files, storage.uri)
    archive_id = establish(storage, found, state).archive_id
    while True:
        entry = Entry(
            seq=state.last_seq + 1,
            epoch=state.epoch + 1,
            kind="opened",
            at=datetime.now(UTC),
            writer=writer,
            published_through=state.published_through,
            holder=None if holder is None else dict(holder.describe()),
            archive_id=archive_id,
        )
        if storage.create(entry.path, entry.to_bytes()):
            break
        # The previous writer still commits: read its new entries first. Only the new ones,
        # so that this loop is faster than its commits.
        reading.catch_up(storage)
    if undo_if_compacted(storage, entry):
        raise fenced(entry.seq)
    raise_bounds(storage, archive_id, entry.epoch, entry.seq)
    storage.delete(reading.files.left_over)
    for folder in (LOG_FOLDER, FOLDED_FOLDER):
        storage.sweep(folder)
    if holder is not None:
        holder.begin_epoch(entry.epoch)
    return OpenedLedger(archive_id, reading, entry)


def undo_if_compacted(storage: Storage, entry: Entry) -> bool:
    """Delete a created entry if its number was compacted before; return whether it was."""
    if covering(storage, entry.seq) is None:
        return False
    storage.delete([entry.path])
    return True


def fenced(seq: int) -> Fenced:
    """Return the error of a writer that finds the entry of another one."""
    return Fenced(
        f"entry {seq} of the ledger is another archive's: that archive has taken this folder over, "
        "and this one writes nothing more"
    )
