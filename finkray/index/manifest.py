"""What the index consists of after a step: its runs, and how far in the ledger they reach.

Each step of a follower is a small object that is created exclusively under the next number, and
holds the whole list of runs and the position in the ledger. So of two followers that take the same
step at once one wins, and runs and position never differ. The highest number counts; a reader needs
no other. A run that no step names and whose number is not above the highest was written by a
follower that lost or was killed: it can be deleted, because its step can never become the highest.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from finkray.errors import StorageError
from finkray.ledger.entry import Entry
from finkray.storage.contract import Storage

INDEX_FOLDER: Final = "index"
STEPS_FOLDER: Final = f"{INDEX_FOLDER}/steps"
RUNS_FOLDER: Final = f"{INDEX_FOLDER}/runs"

RETIRED_FOR: Final = timedelta(hours=1)
"""How long a merged run stays for readers that opened it."""

KEPT_STEPS: Final = 20

_FORMAT: Final = 1
_ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True)
class Run:
    """An immutable part of the index.

    Attributes
    ----------
    name
        of its folder in `RUNS_FOLDER`: the number of its step, and a random token
    level
        0 for a run of new files; a merge makes one of the next level
    first_seq, last_seq
        the ledger entries that it covers
    first_file, end_file
        the range of the numbers of its files; the end is not included
    files, alerts, size_bytes
        what it has
    """

    name: str
    level: int
    first_seq: int
    last_seq: int
    first_file: int
    end_file: int
    files: int
    alerts: int
    size_bytes: int

    @property
    def folder(self) -> str:
        """Its folder."""
        return f"{RUNS_FOLDER}/{self.name}"


@dataclass(frozen=True, slots=True)
class Retired:
    """A run that was merged into another one, for readers that opened it before."""

    name: str
    at: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """The last ledger entry that is indexed, by which another ledger is recognised."""

    seq: int
    at: str
    writer: str

    @classmethod
    def of(cls, entry: Entry) -> "Anchor":
        """Return the anchor at an entry."""
        return cls(entry.seq, entry.at.isoformat(), entry.writer)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The index after a step.

    Attributes
    ----------
    number
        of the step; 0 before the first
    anchor
        the last entry that is indexed; None before the first
    next_file
        number of the next file
    runs
        in order of the ledger
    void
        numbers of files that the ledger replaced: their rows in a run do not count
    skipped
        paths of files that could not be read; readers try them directly
    retired
        runs that stay for a while
    """

    number: int = 0
    anchor: Anchor | None = None
    next_file: int = 0
    runs: tuple[Run, ...] = ()
    void: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()
    retired: tuple[Retired, ...] = ()

    @property
    def next_seq(self) -> int:
        """Number of the first ledger entry that is not indexed."""
        return 0 if self.anchor is None else self.anchor.seq + 1

    @property
    def alerts(self) -> int:
        """Number of alerts in the runs."""
        return sum(run.alerts for run in self.runs)

    def retire(self, runs: tuple[Run, ...], now: datetime) -> "Manifest":
        """Return the same without some runs, which stay for their readers until later."""
        kept = [each for each in self.retired if _age(each, now) < RETIRED_FOR]
        retired = [*kept, *(Retired(run.name, now.isoformat()) for run in runs)]
        left = tuple(run for run in self.runs if run not in runs)
        return replace(self, runs=left, retired=tuple(retired))

    def to_bytes(self) -> bytes:
        """Return the content of the step's object."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """Parse what `to_bytes` returned.

        Raises
        ------
        StorageError
            if it is none, or of a later format
        """
        try:
            raw: Mapping[str, Any] = json.loads(data, object_hook=_of_our_format)
            return cls(
                number=raw["number"],
                anchor=None if raw["anchor"] is None else Anchor(**raw["anchor"]),
                next_file=raw["next_file"],
                runs=tuple(Run(**run) for run in raw["runs"]),
                void=tuple(raw["void"]),
                skipped=tuple(raw["skipped"]),
                retired=tuple(Retired(**each) for each in raw["retired"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"a step of the object index is not readable ({error}): delete the folder "
                f"{INDEX_FOLDER}/ of the archive, and the index is made again"
            ) from error


def read_manifest(storage: Storage) -> Manifest:
    """Return the index after the newest step; the empty one if there is none.

    Raises
    ------
    StorageError
        if it cannot be read
    """
    for _ in range(_ATTEMPTS):
        numbers = step_numbers(storage)
        if not numbers:
            return Manifest()
        data = storage.read(step_path(numbers[-1]))
        if data is not None:  # else newer steps were taken, and it was deleted
            return Manifest.from_bytes(data)
    raise StorageError(f"steps of the object index in {storage.uri} are listed but not there")


def create_step(storage: Storage, manifest: Manifest) -> bool:
    """Make a manifest the newest one; False if another follower took the step."""
    return storage.create(step_path(manifest.number), manifest.to_bytes())


def sweep(storage: Storage) -> None:
    """Delete old steps, and the runs that no reader can need."""
    # Listed before the newest step is read: a run that is written later is not in this list.
    folders = storage.folders(RUNS_FOLDER)
    newest = read_manifest(storage)
    named = {run.name for run in newest.runs} | {each.name for each in newest.retired}
    for folder in folders:
        name = folder.rpartition("/")[2]
        if name not in named and int(name.partition("-")[0]) <= newest.number:
            storage.delete_folder(folder)
    old = [number for number in step_numbers(storage) if number <= newest.number - KEPT_STEPS]
    storage.delete(map(step_path, old))


def step_numbers(storage: Storage) -> list[int]:
    """Return the numbers of the steps that are kept, in order."""
    stems = (file.path.rpartition("/")[2].partition(".")[0] for file in storage.files(STEPS_FOLDER))
    return sorted(int(stem) for stem in stems if stem.isdigit())


def step_path(number: int) -> str:
    """Return the path of a step."""
    return f"{STEPS_FOLDER}/{number:020d}.json"


def _of_our_format(raw: dict[str, Any]) -> dict[str, Any]:
    if raw.get("format", _FORMAT) != _FORMAT:
        raise ValueError(f"it is of format {raw['format']}, this finkray reads {_FORMAT}")
    return raw


def _age(retired: Retired, now: datetime) -> timedelta:
    return now - datetime.fromisoformat(retired.at)
