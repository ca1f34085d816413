"""The work of a service: all that the archive's ledger has and the service's sink lacks.

A service that needs results of other services gets a claim when they have it; until then the claim
waits here, and later claims are not held up by it.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from finkray.claim import Claim, ClaimResult, DataFile
from finkray.errors import ServiceError
from finkray.ledger.entry import Entry
from finkray.ledger.follow import is_new, is_published, new_files
from finkray.ledger.read import read_entries, read_state
from finkray.results.inputs import ResultsInput
from finkray.results.store import POSITION_PATH
from finkray.storage.contract import Storage
from finkray.storage.hours import HOUR, Span
from finkray.storage.layout import own_path

LIVE_PATH = "live.json"

_CHUNK_ENTRIES = 64
"""Number of entries that are compared with the sink at a time."""

_MOST_WAITING = 20_000
"""Claims that wait for their inputs at a time. Beyond it the archive's ledger is not read on: a
claim in memory takes about 2 kB, and at the peak of a night three claims a second come."""

Inputs = tuple[tuple[str, tuple[str, ...]], ...]
"""The files with the results of a file of alerts, for each name of results that a service reads."""

Covered = Callable[[Sequence[Claim]], Mapping[Claim, ClaimResult]]
"""Returns the durable results of claims that a sink has: `finkray.serving.sink.Sink.covered`."""


@dataclass(frozen=True, slots=True)
class AlertSelection:
    """The alerts that a service is to process.

    Attributes
    ----------
    from_seq
        the alerts of the archive's ledger from this entry on; None adds none
    span
        and the alerts that arrived in Kafka in these hours; None adds none
    """

    from_seq: int | None = None
    span: Span | None = None

    def includes(self, seq: int, file: DataFile) -> bool:
        """Return whether a file that an entry brought is selected."""
        if self.from_seq is not None and seq >= self.from_seq:
            return True
        if self.span is None:
            return False
        hour = datetime.fromisoformat(str(file.hour_utc))
        return self.span.meets(hour, hour + HOUR)

    @property
    def first_seq(self) -> int:
        """First entry of the ledger that may have selected alerts."""
        return 0 if self.span is not None or self.from_seq is None else self.from_seq


def live_from(storage: Storage, archive: Storage, since: datetime | None) -> AlertSelection:
    """Return the alerts that a live service processes, as decided at its first start.

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
        return AlertSelection(raw["from_seq"], None if begins is None else Span(start=begins))
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
    archived
        number of alerts that the archive has of the whole claim
    inputs
        by the key of a file, where the results of other services for its alerts are
    """

    seq: int
    committed_at: datetime
    claim: Claim
    files: tuple[DataFile, ...]
    before: ClaimResult | None = None
    archived: int = 0
    inputs: Mapping[str, Inputs] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Number of alerts."""
        return sum(file.rows for file in self.files)


class Backlog:
    """Compares the archive's ledger with a sink, entry by entry, and keeps its position.

    Parameters
    ----------
    archive
        of the alerts
    storage
        the folder of the service's sink, in which the position is kept
    covered
        returns what the sink has of claims
    selection
        the alerts to process
    whole
        whether claims without any file are returned too, so that the sink gets every claim
    inputs
        results of other services that the service reads

    Attributes
    ----------
    is_held_up
        whether `more` stopped at the repair of a claim that is in work: call it again when the
        claim is done
    """

    def __init__(
        self,
        archive: Storage,
        storage: Storage,
        covered: Covered,
        selection: AlertSelection,
        *,
        whole: bool,
        inputs: Sequence[ResultsInput] = (),
    ) -> None:
        self._archive = archive
        self._storage = storage
        self._covered = covered
        self._selection = selection
        self._whole = whole
        self._next_seq = max(_position(storage, selection), selection.first_seq)
        self._kept_seq = self._next_seq
        self._open: dict[Claim, int] = {}
        self._inputs = inputs
        self.is_held_up = False
        self._waiting: dict[Claim, ClaimWork] = {}
        self._recheck: dict[Claim, None] = {}

    def more(self, claims: int) -> list[ClaimWork]:
        """Return the next claims to process: about this many, fewer if there are no more now."""
        for other in self._inputs:
            self._recheck.update(dict.fromkeys(other.refresh(self._waiting)))
        out = self._release(claims)
        self.is_held_up = False
        while (
            len(out) < claims
            and len(self._waiting) < _MOST_WAITING
            and (entries := self._next_entries())
        ):
            works = self._compare(entries)
            self._next_seq = entries[-1].seq + 1
            for work in works:
                self._wait(work)
            out += self._release(len(works))
        return out

    def _wait(self, work: ClaimWork) -> None:
        """Let a claim wait for its inputs, together with its files of earlier entries that wait."""
        earlier = self._waiting.get(work.claim)
        if earlier is not None:
            keys = {file.key for file in work.files}
            kept = [file for file in earlier.files if file.key not in keys]
            work = replace(
                work,
                seq=earlier.seq,
                committed_at=earlier.committed_at,
                files=(*(file for file in kept if self._is_there(file)), *work.files),
            )
        self._waiting[work.claim] = work
        self._recheck[work.claim] = None

    def _release(self, claims: int) -> list[ClaimWork]:
        """Remove and return claims whose inputs are there, among those that may have changed."""
        needed = [other for other in self._inputs if other.waits]
        ready: list[ClaimWork] = []
        for claim in list(self._recheck):
            work = self._waiting[claim]
            if work.files and not all(other.covers(claim) for other in needed):
                del self._recheck[claim]  # an entry of that ledger brings it back
            elif len(ready) < claims:
                ready.append(work)
        out = []
        for work, inputs in zip(ready, self._find_inputs(ready), strict=True):
            del self._recheck[work.claim]
            if inputs is None:  # committed there, and not published yet: look again, after others
                self._recheck[work.claim] = None
                continue
            del self._waiting[work.claim]
            self._open[work.claim] = work.seq
            out.append(replace(work, inputs=inputs))
        return out

    def _find_inputs(self, works: Sequence[ClaimWork]) -> Iterator[dict[str, Inputs] | None]:
        """Yield for each claim the inputs of its files, or None if a needed input is missing."""
        files_of_claims = {work.claim: (work.archived, work.files) for work in works if work.files}
        results = (
            [(other, other.files(files_of_claims)) for other in self._inputs]
            if files_of_claims
            else []
        )
        for work in works:
            inputs = {
                file.key: tuple(
                    (other.name, files.get(work.claim, {}).get(file.key, ()))
                    for other, files in results
                )
                for file in work.files
            }
            lacks = any(
                other.waits and not all(files.get(work.claim, {"": ()}).values())
                for other, files in results
            )
            yield None if lacks and work.files else inputs

    def done(self, claim: Claim) -> None:
        """Note that the sink has the claim now."""
        self._open.pop(claim, None)

    def keep_position(self) -> None:
        """Write the position up to which all is done: the next start compares from there."""
        waiting = (work.seq for work in self._waiting.values())
        done_seq = min((*self._open.values(), *waiting), default=self._next_seq)
        if done_seq > self._kept_seq:
            raw = {"next_seq": done_seq, "wanted": _selection_to_json(self._selection)}
            self._storage.replace(POSITION_PATH, json.dumps(raw).encode())
            self._kept_seq = done_seq

    @property
    def open_claims(self) -> int:
        """Number of claims that were returned by `more` and are not done."""
        return len(self._open)

    @property
    def rows_without_inputs(self) -> int:
        """Number of alerts that wait for results of other services."""
        return sum(work.rows for work in self._waiting.values())

    def _next_entries(self) -> list[Entry]:
        """Return entries whose files are published, and in which no claim occurs twice."""
        out: list[Entry] = []
        seen = set(self._open)
        self.is_held_up = False
        for entry in read_entries(self._archive, self._next_seq - 1):
            claims = {result.claim for result in entry.claims}
            # The repair of a claim that is in work must wait until the claim is done.
            self.is_held_up = not out and bool(claims & seen)
            if len(out) == _CHUNK_ENTRIES or claims & seen or not self._may_be_read(entry):
                break
            seen |= claims
            out.append(entry)
        return out

    def _may_be_read(self, entry: Entry) -> bool:
        files = [file for _, file in new_files(entry)]
        return all(map(self._is_there, files)) or is_published(self._archive, entry)

    def _is_there(self, file: DataFile) -> bool:
        return self._archive.size_bytes(file.path) is not None

    def _compare(self, entries: Sequence[Entry]) -> list[ClaimWork]:
        before = self._covered([result.claim for entry in entries for result in entry.claims])
        return [work for entry in entries for work in self._works(entry, before)]

    def _works(self, entry: Entry, before: Mapping[Claim, ClaimResult]) -> Iterator[ClaimWork]:
        for result in entry.claims:
            known = before.get(result.claim)
            processed = set() if known is None else {file.path for file in known.files}
            files = tuple(
                file
                for file in result.files
                if is_new(entry, file)
                and self._selection.includes(entry.seq, file)
                and own_path(result.claim.source, file) not in processed
                and self._is_there(file)
            )
            if files or (self._whole and known is None and self._is_live(entry)):
                yield ClaimWork(entry.seq, entry.at, result.claim, files, known, result.archived)

    def _is_live(self, entry: Entry) -> bool:
        from_seq = self._selection.from_seq
        return from_seq is not None and entry.seq >= from_seq


def _position(storage: Storage, selection: AlertSelection) -> int:
    data = storage.read(POSITION_PATH)
    if data is None:
        return 0
    raw = json.loads(data)
    return int(raw["next_seq"]) if raw["wanted"] == _selection_to_json(selection) else 0


def _selection_to_json(selection: AlertSelection) -> dict[str, object]:
    raw = asdict(selection)
    if selection.span is not None:
        raw["span"] = [str(selection.span.start), str(selection.span.end)]
    return raw
