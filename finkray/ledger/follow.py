"""Follow an archive: each new file once, in the order in which claims were committed."""

import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from finkray.claim import Claim, DataFile
from finkray.errors import LedgerReplaced
from finkray.ledger.entry import REVISIONS, Entry
from finkray.ledger.read import read_entries
from finkray.storage.contract import Storage

POLL_S = 0.2
"""Interval between two looks for new entries; a look costs two listings of small folders."""

_CURSOR_FORMAT = "1"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Durable:
    """A file of alerts that is in the archive for good.

    Attributes
    ----------
    cursor
        where to continue after this file: pass it to `follow`. Opaque; store it with your results
    claim
        the range of offsets that the file's alerts come from; the first one, if several claims
        share the file
    file
        path in the archive, rows, first and last offset (of `claim`), writer schema, hour
    uri
        where to read the file
    repaired
        whether the file was written again because it was missing: its alerts may have been seen
    resolved
        whether its alerts were dead letters before: they come late, and for the first time
    mark
        of the entry that committed it; see `mark_of`
    """

    cursor: str
    claim: Claim
    file: DataFile
    uri: str
    repaired: bool
    resolved: bool
    mark: str

    @property
    def path(self) -> str:
        """The file's path relative to the archive."""
        return self.file.path

    @property
    def rows(self) -> int:
        """How many alerts are in the file."""
        return self.file.rows


@dataclass(frozen=True, slots=True)
class Position:
    """A position after the first `files` files of entry `seq`, and all entries before it."""

    seq: int = 0
    files: int = 0

    @property
    def last_seq(self) -> int:
        """Number of the last entry of which files were taken, or that has none; -1 at the start."""
        return self.seq if self.files else self.seq - 1

    def to_cursor(self) -> str:
        """Return the cursor that callers store."""
        return f"{_CURSOR_FORMAT}:{self.seq}:{self.files}"

    @classmethod
    def from_cursor(cls, cursor: str) -> "Position":
        """Parse what `to_cursor` returned.

        Raises
        ------
        ValueError
            if it is no cursor
        """
        version, *numbers = cursor.split(":")
        if version != _CURSOR_FORMAT or len(numbers) != 2 or not all(map(str.isdigit, numbers)):
            raise ValueError(f"{cursor!r} is no cursor of an archive's `follow`")
        return cls(int(numbers[0]), int(numbers[1]))


class Follower:
    """Follows an archive from a position; see `finkray.reader.Archive.follow`.

    Parameters
    ----------
    storage
        of the archive
    at
        where to start
    mark
        of the last entry before `at`, if it is known
    recognises
        look whether the ledger was rebuilt since
    """

    def __init__(
        self, storage: Storage, at: Position, mark: str | None = None, *, recognises: bool = False
    ) -> None:
        self._storage = storage
        self._at = at
        self._mark = mark
        self._recognises = recognises

    def follow(self, wait_s: float | None) -> Iterator[Durable]:
        """Yield new files until none comes for `wait_s` seconds; None waits for ever.

        Raises
        ------
        LedgerReplaced
            if it recognises that the entry before `at` is another one
        """
        quiet_since_s = time.monotonic()
        while True:
            for durable in self._published():
                yield durable
                quiet_since_s = time.monotonic()
            if wait_s is not None and time.monotonic() - quiet_since_s >= wait_s:
                return
            time.sleep(POLL_S)

    def _published(self) -> Iterator[Durable]:
        """Yield the new files up to the first one that is not published yet."""
        before = self._at.last_seq if self._recognises else self._at.seq
        for entry in read_entries(self._storage, max(-1, before - 1)):
            if self._recognises and entry.seq == before:
                if self._mark not in (None, mark_of(entry)):
                    raise LedgerReplaced(f"entry {entry.seq} is not the one that was read before")
                if not self._at.files:
                    continue
            new = new_files(entry)
            done = self._at.files if entry.seq == self._at.seq else 0
            for number, (claim, file) in enumerate(new[done:], start=done + 1):
                exists = self._exists(file)
                if not exists and not is_published(self._storage, entry):
                    return
                end = number == len(new)
                self._at = Position(entry.seq + 1) if end else Position(entry.seq, number)
                self._remember(entry)
                # Publishing may have ended between the two checks.
                if exists or self._exists(file):
                    yield Durable(
                        cursor=self._at.to_cursor(),
                        claim=claim,
                        file=file,
                        uri=f"{self._storage.uri}/{file.path}",
                        repaired=entry.kind == "repaired",
                        resolved=entry.kind == "resolved",
                        mark=mark_of(entry),
                    )
                else:
                    log.warning("%s is missing from the archive, see `finkray audit`", file.path)
            self._at = Position(entry.seq + 1)
            self._remember(entry)

    def _remember(self, entry: Entry) -> None:
        if self._recognises:
            self._mark = mark_of(entry)

    def _exists(self, file: DataFile) -> bool:
        return self._storage.size_bytes(file.path) is not None


def is_published(storage: Storage, entry: Entry) -> bool:
    """Return whether a later entry records that all files of this one are published."""
    later = read_entries(storage, entry.seq)
    return any(after.published_through >= entry.seq for after in later)


def mark_of(entry: Entry) -> str:
    """Return what tells an entry from one of the same number in a ledger that was rebuilt."""
    text = f"{entry.seq} {entry.at.isoformat()} {entry.writer}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def new_files(entry: Entry) -> list[tuple[Claim, DataFile]]:
    """Return the files of alerts that an entry added, in its order, each once and whole.

    A file that several claims share comes with the first of them.
    """
    files: dict[str, tuple[Claim, DataFile]] = {}
    for result in entry.claims:
        for file in result.files:
            if is_new(entry, file):
                files.setdefault(file.path, (result.claim, file.whole))
    return list(files.values())


def is_new(entry: Entry, file: DataFile) -> bool:
    """Return whether an entry added a file that one of its claims names."""
    return entry.kind not in REVISIONS or file.path in entry.remade
