"""The files that the archive's ledger names, from a position on, one after the other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from finkray.claim import Claim, DataFile
from finkray.errors import LedgerReplaced
from finkray.ledger.entry import Entry
from finkray.ledger.follow import Position, is_published, mark_of, new_files
from finkray.ledger.read import read_entries, read_state
from finkray.storage.contract import Storage
from finkray.storage.layout import own_path

STEP_ALERTS: Final = 2000
"""A step has no more alerts, but one file at least: new filters and stops are seen soon. Filters
get them as one batch, see `streamout.batch_rows`."""


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """A file of alerts of an entry, or the end of an entry without files.

    Attributes
    ----------
    after
        the position behind it
    mark
        of its entry; see `finkray.ledger.follow.mark_of`
    file
        None of an entry without files
    claims
        names of the claims with rows in the file
    repaired
        whether the file was written again because it was missing
    exists
        whether it is there; one that is missing may be repaired later
    committed_at
        when its entry was written, UTC: from then on its alerts are durable; None if not known
    own_paths
        for each claim the path that its alerts would have alone: under that name are its results
    """

    after: Position
    mark: str
    file: DataFile | None
    claims: tuple[str, ...] = ()
    repaired: bool = False
    exists: bool = True
    committed_at: datetime | None = None
    own_paths: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of alerts."""
        return 0 if self.file is None else self.file.rows


def end_of_ledger(archive: Storage) -> Position:
    """Return the position behind all entries there are."""
    return Position(read_state(archive).state.last_seq + 1)


def files_from(archive: Storage, at: Position, mark: str | None) -> Iterator[LedgerFile]:
    """Yield the files behind a position, up to the first that is not published yet.

    Raises
    ------
    LedgerReplaced
        if the entry before the position is not the one with that mark
    """
    for entry in read_entries(archive, max(-1, at.last_seq - 1)):
        if entry.seq == at.last_seq:
            if mark not in (None, mark_of(entry)):
                raise LedgerReplaced(
                    f"entry {entry.seq} of the ledger is not the one that was read before: the "
                    "ledger was rebuilt. Publish the filters again under other names"
                )
            if not at.files:
                continue
        new = new_files(entry)
        done = at.files if entry.seq == at.seq else 0
        for number, (_, file) in enumerate(new[done:], start=done + 1):
            exists = archive.size_bytes(file.path) is not None
            if not exists and not is_published(archive, entry):
                return
            is_last = number == len(new)
            claims = list(_claims_of(entry, file))
            yield LedgerFile(
                Position(entry.seq + 1) if is_last else Position(entry.seq, number),
                mark_of(entry),
                file,
                tuple(claim_name(claim) for claim, _ in claims),
                repaired=entry.kind == "repaired",
                # Publishing may have ended between the two checks.
                exists=exists or archive.size_bytes(file.path) is not None,
                committed_at=entry.at,
                own_paths=tuple(own_path(claim.source, own) for claim, own in claims),
            )
        if not new:
            yield LedgerFile(Position(entry.seq + 1), mark_of(entry), None)


def some_files(files: Iterable[LedgerFile]) -> Iterator[LedgerFile]:
    """Yield the first files: with `STEP_ALERTS` alerts at most, but one at least."""
    alerts = 0
    for item in files:
        if alerts and alerts + item.rows > STEP_ALERTS:
            return
        alerts += item.rows
        yield item


def _claims_of(entry: Entry, file: DataFile) -> Iterator[tuple[Claim, DataFile]]:
    """Yield the claims with alerts in a file, and what each has there."""
    for result in entry.claims:
        for own in result.files:
            if own.path == file.path:
                yield result.claim, own


def claim_name(claim: Claim) -> str:
    """Return a text that no other claim has, also after its topic was created again."""
    return f"{claim.source.topic_id}/{claim}"
