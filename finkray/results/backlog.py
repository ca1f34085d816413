"""The work of a service: all that the archive's ledger has and the service's sink lacks."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from finkray.claim import Claim, ClaimResult, DataFile
from finkray.errors import ServiceError
from finkray.ledger.entry import Entry
from finkray.ledger.follow import is_published, new_files
from finkray.ledger.read import read_entries, read_state
from finkray.results.store import POSITION_PATH
from finkray.storage.contract import Storage
from finkray.storage.hours import HOUR, Span

LIVE_PATH = "live.json"

_CHUNK_ENTRIES = 64
"""Number of entries that are compared with the sink at a time."""

Covered = Callable[[Sequence[Claim]], Mapping[Claim, ClaimResult]]
"""Returns what is done already of those of the claims that are known; see
`finkray.serving.sink.Sink.covered`."""


@dataclass(frozen=True, slots=True)
class WantedAlerts:
    """The alerts that a service is to process.

    Attributes
    ----------
    from_seq
        all of the archive's ledger from this entry on; None: none for that reason
    span
        and what arrived in Kafka in these hours; None: none for that reason
    """

    from_seq: int | None = None
    span: Span | None = None

    def wants(self, seq: int, file: DataFile) -> bool:
        """Return whether a file that an entry brought is wanted."""
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


def live_from(storage: Storage, archive: Storage, since: datetime | None) -> WantedAlerts:
    """Return what a live service processes; decided at its first start, and kept.

    Parameters
    ----------
    storage
        the folder of the service's sink, in which the decision is kept
    archive
        of the alerts
    since
        at the first start: also what arrived before, from this time on; None: from now on

    Raises
    ------
    ServiceError
        if what was kept is not readable
    """
    data = storage.read(LIVE_PATH)
    if data is None:
        next_seq = read_state(archive).state.last_seq + 1
        raw = {"from_seq": next_seq, "since": None if since is None else since.isoformat()}
        storage.create(LIVE_PATH, json.dumps(raw).encode())
        data = storage.read(LIVE_PATH)
    try:
        raw = json.loads(data or b"")
        begins = None if raw["since"] is None else datetime.fromisoformat(raw["since"])
        return WantedAlerts(raw["from_seq"], None if begins is None else Span(start=begins))
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(f"{LIVE_PATH} does not say what is served: {error}") from error


@dataclass(frozen=True, slots=True)
class ClaimWork:
    """A claim of the archive that has files to be processed.

    Attributes
    ----------
    seq, committed_at
        of the archive's entry
    claim
        the offsets
    files
        files of alerts that are to be processed
    before
        what the sink has of the claim already, if anything: as `Sink.covered` returned it
    """

    seq: int
    committed_at: datetime
    claim: Claim
    files: tuple[DataFile, ...]
    before: ClaimResult | None = None

    @property
    def rows(self) -> int:
        """Number of alerts."""
        return sum(file.rows for file in self.files)


class Backlog:
    """Compare the archive's ledger with a sink, entry by entry, and remember how far that went.

    Parameters
    ----------
    archive
        of the alerts
    storage
        the folder of the service's sink, in which the position is kept
    covered
        returns what the sink has of claims
    wanted
        which alerts are to be processed
    whole
        whether claims without any file are returned too, so that the sink gets every claim
    """

    def __init__(
        self,
        archive: Storage,
        storage: Storage,
        covered: Covered,
        wanted: WantedAlerts,
        *,
        whole: bool,
    ) -> None:
        self._archive = archive
        self._storage = storage
        self._covered = covered
        self._wanted = wanted
        self._whole = whole
        self._next_seq = max(_position(storage, wanted), wanted.first_seq)
        self._kept_seq = self._next_seq
        self._open: dict[Claim, int] = {}

    def more(self, claims: int) -> list[ClaimWork]:
        """Return the next claims to process: about this many, fewer if there are no more now."""
        out: list[ClaimWork] = []
        while len(out) < claims and (entries := self._next_entries()):
            found = self._compare(entries)
            self._open.update({work.claim: work.seq for work in found})
            self._next_seq = entries[-1].seq + 1
            out += found
        return out

    def done(self, claim: Claim) -> None:
        """Note that the sink has the claim now."""
        self._open.pop(claim, None)

    def keep_position(self) -> None:
        """Write down up to where all is done, so that the next start does not compare it again."""
        done_seq = min(self._open.values(), default=self._next_seq)
        if done_seq > self._kept_seq:
            raw = {"next_seq": done_seq, "wanted": _wanted_to_json(self._wanted)}
            self._storage.replace(POSITION_PATH, json.dumps(raw).encode())
            self._kept_seq = done_seq

    @property
    def open_claims(self) -> int:
        """Number of claims that were returned by `more` and are not done."""
        return len(self._open)

    def _next_entries(self) -> list[Entry]:
        """Return entries whose files are published, and in which no claim occurs twice."""
        out: list[Entry] = []
        seen = set(self._open)
        for entry in read_entries(self._archive, self._next_seq - 1):
            claims = {result.claim for result in entry.claims}
            # The repair of a claim that is in work must wait until the claim is done.
            if len(out) == _CHUNK_ENTRIES or claims & seen or not self._may_be_read(entry):
                break
            seen |= claims
            out.append(entry)
        return out

    def _may_be_read(self, entry: Entry) -> bool:
        files = [file for _, file in new_files(entry)]
        there = all(self._archive.size_bytes(file.path) is not None for file in files)
        return there or is_published(self._archive, entry)

    def _compare(self, entries: Sequence[Entry]) -> list[ClaimWork]:
        before = self._covered([result.claim for entry in entries for result in entry.claims])
        return [work for entry in entries for work in self._works(entry, before)]

    def _works(self, entry: Entry, before: Mapping[Claim, ClaimResult]) -> Iterator[ClaimWork]:
        new = new_files(entry)
        for result in entry.claims:
            known = before.get(result.claim)
            processed = set() if known is None else {file.path for file in known.files}
            files = tuple(
                file
                for claim, file in new
                if claim == result.claim
                and self._wanted.wants(entry.seq, file)
                and file.path not in processed
                and self._archive.size_bytes(file.path) is not None
            )
            if files or (self._whole and known is None and self._is_live(entry)):
                yield ClaimWork(entry.seq, entry.at, result.claim, files, known)

    def _is_live(self, entry: Entry) -> bool:
        from_seq = self._wanted.from_seq
        return from_seq is not None and entry.seq >= from_seq


def _position(storage: Storage, wanted: WantedAlerts) -> int:
    data = storage.read(POSITION_PATH)
    if data is None:
        return 0
    raw = json.loads(data)
    return int(raw["next_seq"]) if raw["wanted"] == _wanted_to_json(wanted) else 0


def _wanted_to_json(wanted: WantedAlerts) -> dict[str, object]:
    raw = asdict(wanted)
    if wanted.span is not None:
        raw["span"] = [str(wanted.span.start), str(wanted.span.end)]
    return raw
