"""What is to be served: all that the archive's ledger has, and the science store's lacks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from finkray.claim import Claim, ClaimResult, DataFile
from finkray.errors import ServiceError
from finkray.ledger.claims import read_results
from finkray.ledger.entry import Entry
from finkray.ledger.follow import is_published, new_files
from finkray.ledger.read import read_entries, read_state
from finkray.ledger.state import LedgerState
from finkray.results.store import POSITION_PATH, result_path
from finkray.storage.contract import Storage
from finkray.storage.hours import HOUR, Span

LIVE_PATH = "live.json"

_CHUNK = 64
"""Entries that are compared with the store at a time."""


@dataclass(frozen=True, slots=True)
class WantedAlerts:
    """Which alerts are to be served.

    Attributes
    ----------
    from_seq
        all of the archive's ledger from this entry on; None: none for that reason
    span
        and what came into Kafka in these hours; None: none for that reason
    """

    from_seq: int | None = None
    span: Span | None = None

    def wants(self, seq: int, file: DataFile) -> bool:
        """Whether a file that an entry brought is to be served."""
        if self.from_seq is not None and seq >= self.from_seq:
            return True
        if self.span is None:
            return False
        hour = datetime.fromisoformat(str(file.hour_utc))
        return self.span.meets(hour, hour + HOUR)

    @property
    def first_seq(self) -> int:
        """No entry before this one has anything that is wanted."""
        return 0 if self.span is not None or self.from_seq is None else self.from_seq


def live_from(store: Storage, archive: Storage, since: datetime | None) -> WantedAlerts:
    """What a service that runs live serves; decided at its first start and kept.

    Parameters
    ----------
    store, archive
        of the results, of the alerts
    since
        at the first start: also what came before, from this time on; None: from now on
    """
    data = store.read(LIVE_PATH)
    if data is None:
        next_seq = read_state(archive).state.last_seq + 1
        raw = {"from_seq": next_seq, "since": None if since is None else since.isoformat()}
        store.create(LIVE_PATH, json.dumps(raw).encode())
        data = store.read(LIVE_PATH)
    try:
        raw = json.loads(data or b"")
        begins = None if raw["since"] is None else datetime.fromisoformat(raw["since"])
        return WantedAlerts(raw["from_seq"], None if begins is None else Span(start=begins))
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(f"{LIVE_PATH} does not say what is served: {error}") from error


@dataclass(frozen=True, slots=True)
class ClaimWork:
    """A claim of the archive that has files to be served.

    Attributes
    ----------
    seq, committed_at
        of the archive's entry
    claim
        the offsets
    files
        to be served
    before
        what the store has of the claim already, if anything
    """

    seq: int
    committed_at: datetime
    claim: Claim
    files: tuple[DataFile, ...]
    before: ClaimResult | None = None

    @property
    def rows(self) -> int:
        """How many alerts."""
        return sum(file.rows for file in self.files)


class Backlog:
    """Compares the two ledgers, entry by entry, and remembers how far it is.

    Parameters
    ----------
    archive, store
        where the ledgers are
    state
        of the store's ledger, which whoever writes it keeps up to date
    wanted
        what is to be served
    whole
        whether claims without any file are given too, so that the store has every claim
    """

    def __init__(
        self,
        archive: Storage,
        store: Storage,
        state: LedgerState,
        wanted: WantedAlerts,
        *,
        whole: bool,
    ) -> None:
        self._archive = archive
        self._store = store
        self._state = state
        self._wanted = wanted
        self._whole = whole
        self._next_seq = max(_position(store, wanted), wanted.first_seq)
        self._kept_seq = self._next_seq
        self._open: dict[Claim, int] = {}

    def more(self, claims: int) -> list[ClaimWork]:
        """The next that are to be served: about so many, fewer if there are no more now."""
        out: list[ClaimWork] = []
        while len(out) < claims and (entries := self._next_entries()):
            found = self._compare(entries)
            self._open.update({work.claim: work.seq for work in found})
            self._next_seq = entries[-1].seq + 1
            out += found
        return out

    def done(self, claim: Claim) -> None:
        """The store has the claim now."""
        self._open.pop(claim, None)

    def keep_position(self) -> None:
        """Write down how far all is done, so that the next start need not look at it again."""
        done_seq = min(self._open.values(), default=self._next_seq)
        if done_seq > self._kept_seq:
            raw = {"next_seq": done_seq, "wanted": _words(self._wanted)}
            self._store.replace(POSITION_PATH, json.dumps(raw).encode())
            self._kept_seq = done_seq

    @property
    def open_claims(self) -> int:
        """How many were given out and are not done."""
        return len(self._open)

    def _next_entries(self) -> list[Entry]:
        """Entries whose files are published, and in which no claim comes twice."""
        out: list[Entry] = []
        seen = set(self._open)
        for entry in read_entries(self._archive, self._next_seq - 1):
            claims = {result.claim for result in entry.claims}
            # A repair of what is being served: first the one, then the other.
            if len(out) == _CHUNK or claims & seen or not self._may_be_read(entry):
                break
            seen |= claims
            out.append(entry)
        return out

    def _may_be_read(self, entry: Entry) -> bool:
        files = [file for _, file in new_files(entry)]
        there = all(self._archive.size_bytes(file.path) is not None for file in files)
        return there or is_published(self._archive, entry)

    def _compare(self, entries: Sequence[Entry]) -> list[ClaimWork]:
        known = [
            result.claim
            for entry in entries
            for result in entry.claims
            if self._state.covers(result.claim)
        ]
        before = read_results(self._store, known) if known else {}
        return [work for entry in entries for work in self._works(entry, before)]

    def _works(self, entry: Entry, before: dict[Claim, ClaimResult]) -> Iterator[ClaimWork]:
        new = new_files(entry)
        for result in entry.claims:
            stands = before.get(result.claim)
            served = set() if stands is None else {file.path for file in stands.files}
            files = tuple(
                file
                for claim, file in new
                if claim == result.claim
                and self._wanted.wants(entry.seq, file)
                and result_path(file.path) not in served
                and self._archive.size_bytes(file.path) is not None
            )
            if files or (self._whole and stands is None and self._is_live(entry)):
                yield ClaimWork(entry.seq, entry.at, result.claim, files, stands)

    def _is_live(self, entry: Entry) -> bool:
        from_seq = self._wanted.from_seq
        return from_seq is not None and entry.seq >= from_seq


def _position(store: Storage, wanted: WantedAlerts) -> int:
    data = store.read(POSITION_PATH)
    if data is None:
        return 0
    raw = json.loads(data)
    return int(raw["next_seq"]) if raw["wanted"] == _words(wanted) else 0


def _words(wanted: WantedAlerts) -> dict[str, object]:
    raw = asdict(wanted)
    if wanted.span is not None:
        raw["span"] = [str(wanted.span.start), str(wanted.span.end)]
    return raw
