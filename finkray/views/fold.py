"""The base of all views: a fold of a ledger, whose state and position are one file.

A fold takes the files of a ledger in the order of their commits, and adds each to a state. State
and cursor are written together in one atomic step, so the kept state always is that of the ledger
up to the cursor. Hence a fold may be killed at any moment, run late, or never: the state that it
comes to is the same. What was not kept is read again, and what cannot be read, or is of another
ledger, is made again from the beginning. The cursor in the file has the mark of the ledger's entry
there, by which a ledger that was rebuilt with other numbers is recognised.

    class Rows(Fold[int]):
        parse = staticmethod(…)         # bytes -> StoredState(state, cursor)
        def restore(self, state): …     # begin with this state, or with nothing
        def add(self, durable): …       # add one file, as a whole or not at all
        def dump(self, cursor): …       # the inverse of parse

    rows = Rows(storage, "rows.json", "rows of the archive")
    rows.catch_up(files=500)
    rows.keep()
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

import pyarrow as pa

from finkray.errors import LedgerReplaced, StorageError
from finkray.ledger.follow import Durable, Follower, Position, mark_of
from finkray.ledger.read import read_entries, read_state
from finkray.storage.contract import Storage

State = TypeVar("State")

START: Final = Position().to_cursor()
"""The cursor before the first file of a ledger."""

_MARK: Final = "@"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredState(Generic[State]):
    """A state, as its file has it.

    Attributes
    ----------
    state
        the state
    cursor
        the position in the ledger that it is the state of; a fold's has the mark of the entry
    """

    state: State
    cursor: str


def read_stored_state(
    storage: Storage, path: str, parse: Callable[[bytes], StoredState[State]]
) -> StoredState[State] | None:
    """Return the state that a fold wrote down, for the fold itself and for readers.

    Parameters
    ----------
    storage
        of the ledger
    path
        of the file
    parse
        makes the state of the bytes; raises ValueError if they are not readable

    Returns
    -------
    StoredState or None
        None if there is no file, it is not readable, or it is of another ledger
    """
    data = storage.read(path)
    if data is None:
        return None
    try:
        kept = parse(data)
        cursor, mark = unmarked(kept.cursor)
        position = Position.from_cursor(cursor)
    except ValueError:
        log.warning("%s in %s is not readable; it will be made again", path, storage.uri)
        return None
    if mark is None:  # of an earlier finkray, or of no entry
        same = position.seq <= read_state(storage).state.last_seq + 1
    else:
        last = next(read_entries(storage, position.last_seq - 1), None)
        same = last is not None and last.seq == position.last_seq and mark_of(last) == mark
    if not same:
        log.warning("%s in %s is of another ledger; it will be made again", path, storage.uri)
    return kept if same else None


def marked(cursor: str, mark: str | None) -> str:
    """Return a cursor with the mark of its entry."""
    return cursor if mark is None else f"{cursor}{_MARK}{mark}"


def unmarked(cursor: str) -> tuple[str, str | None]:
    """Return a cursor without its mark, and the mark; None if it has none."""
    plain, _, mark = cursor.partition(_MARK)
    return plain, mark or None


class Fold(ABC, Generic[State]):
    """Keeps a state up to date with a ledger; see the module.

    Parameters
    ----------
    storage
        of the ledger; the state is kept in it too
    path
        of the file with state and cursor
    title
        what is folded, for messages

    Attributes
    ----------
    cursor
        position in the ledger up to which the state is
    caught_up_at
        when `catch_up` last succeeded, UTC; at first the time of the start
    """

    def __init__(self, storage: Storage, path: str, title: str) -> None:
        self.storage = storage
        self._path = path
        self._title = title
        self.caught_up_at = datetime.now(UTC)
        kept = read_stored_state(storage, path, self.parse)
        self.cursor, self._mark = unmarked(START if kept is None else kept.cursor)
        self._follower = self._follow()
        self.restore(None if kept is None else kept.state)

    @staticmethod
    @abstractmethod
    def parse(data: bytes) -> StoredState[State]:
        """Return what `dump` wrote; ValueError if it is not readable."""

    @abstractmethod
    def restore(self, state: State | None) -> None:
        """Begin with a state that was kept, or with that of an empty ledger."""

    @abstractmethod
    def add(self, durable: Durable) -> None:
        """Add a file of the ledger: as a whole, or not at all if it raises.

        Raises
        ------
        OSError, ArrowException
            if the file cannot be read; it is tried again later
        """

    @abstractmethod
    def dump(self, cursor: str) -> bytes:
        """Return state and cursor as the file holds them."""

    def catch_up(self, files: int) -> int:
        """Add what is new, this many files at most; return how many there were.

        Raises
        ------
        StorageError
            if a file cannot be read now; the next call tries it again
        """
        try:
            return self._add_new(files)
        except LedgerReplaced as error:
            log.warning(
                "%s: the ledger was rebuilt (%s); folding it again from its first entry",
                self._title,
                error,
            )
            self.rebuild()
            return self._add_new(files)

    def _add_new(self, files: int) -> int:
        done = 0
        try:
            for durable in self._follower.follow(wait_s=0):
                self.add(durable)
                self.cursor, self._mark = durable.cursor, durable.mark
                done += 1
                if done == files:
                    break
        except (OSError, pa.ArrowException) as error:
            self._follower = self._follow()
            raise StorageError(f"{self._title} cannot be read: {error}") from error
        self.caught_up_at = datetime.now(UTC)
        return done

    def keep(self) -> None:
        """Write state and cursor, for readers and for the next start."""
        self.storage.replace(self._path, self.dump(marked(self.cursor, self._mark)))

    def rebuild(self) -> None:
        """Forget the state, and begin at the first file of the ledger."""
        self.cursor, self._mark = START, None
        self._follower = self._follow()
        self.restore(None)

    def _follow(self) -> Follower:
        at = Position.from_cursor(self.cursor)
        return Follower(self.storage, at, self._mark, recognises=True)
