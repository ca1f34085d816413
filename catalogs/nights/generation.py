"""A generation of a night: who builds it, what of it is done, its commit, and its end.

A build writes into a folder `g<N>` of its own, which is invisible until `collection.properties` of
the night points to it. So an interrupted build leaves nothing that a reader sees, a reader of an
earlier generation is not disturbed, and two builds never write the same file:

- `build/plan.json` is created exclusively, and gives the build its number;
- `build/owner.json` says which process works on it; another one continues a build whose process
  has ended, or has not reported for `OWNER_SILENT_S`;
- `build/leaves/<catalogue>/<order>-<number>.json` is created when a leaf is durable: a leaf
  without it is written again.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from catalogs.nights.hats_files import Pixel, parse_collection
from catalogs.nights.layout import generation_of
from finkray.errors import NightError
from finkray.host.process_id import ProcessId
from finkray.nights.layout import COLLECTION_FILE, generation_folder
from finkray.storage.contract import Storage

OWNER_SILENT_S: Final = 900.0
"""A build on another machine that reports nothing for so long is dead: a leaf, or the reading of a
run, takes seconds."""

KEEP_OLD: Final = timedelta(days=1)
"""How long a generation is kept for its readers after the next one."""

ALL: Final = "all"
ALL_TITLE: Final = "the collection of all nights"

_FORMAT: Final = 3
"""1 had fewer columns in its light curves, 2 no narrow columns."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a generation is built of; a build with another plan begins anew.

    Attributes
    ----------
    survey, night
        whose alerts; the night is `all` for the collection of all nights
    cursor
        of the ledger, after the last file with alerts of the night; of the collection of all
        nights, what stands for those of its nights
    leaf_rows
        alerts of a leaf
    object_leaf_rows
        alerts of the objects of a leaf
    format
        of the catalogues
    """

    survey: str
    night: str
    cursor: str
    leaf_rows: int
    object_leaf_rows: int
    format: int = _FORMAT

    @property
    def title(self) -> str:
        """What is built, for messages."""
        return ALL_TITLE if self.night == ALL else f"night {self.night}"


@dataclass(frozen=True, slots=True)
class Committed:
    """The generation that readers open.

    Attributes
    ----------
    generation
        its number
    plan
        cursor and format that it was built from
    alerts
        rows of its catalogue of alerts
    objects
        rows of its catalogue of objects
    without_position
        alerts of the night that are in no catalogue
    through_entry
        the last ledger entry with alerts of the night
    built_at
        time of the commit, UTC
    """

    generation: int
    cursor: str
    format: int
    survey: str
    alerts: int
    objects: int
    without_position: int
    through_entry: int
    built_at: datetime

    def to_properties(self) -> dict[str, str]:
        """Return the properties that are added to those of HATS."""
        values = asdict(self) | {"built_at": self.built_at.isoformat()}
        return {f"finkray_{name}": str(value) for name, value in values.items()}

    @classmethod
    def from_properties(cls, properties: dict[str, str]) -> "Committed":
        """Make one of the properties in a file.

        Raises
        ------
        KeyError, ValueError
            if they are not those of a night
        """
        numbers = ("generation", "format", "alerts", "objects", "without_position", "through_entry")
        return cls(
            cursor=properties["finkray_cursor"],
            survey=properties["finkray_survey"],
            built_at=datetime.fromisoformat(properties["finkray_built_at"]),
            **{name: int(properties[f"finkray_{name}"]) for name in numbers},
        )

    def is_of(self, cursor: str) -> bool:
        """Return whether it has all alerts up to a cursor, in the form of this finkray."""
        return self.cursor == cursor and self.format == _FORMAT


class Generation:
    """A generation that is being built.

    Parameters
    ----------
    storage
        of the archive
    night_folder
        of the night
    number
        of the generation
    """

    def __init__(self, storage: Storage, night_folder: str, number: int) -> None:
        self._storage = storage
        self.number = number
        self.folder = generation_folder(night_folder, number)
        self._build = f"{self.folder}/build"

    def is_done(self, catalog: str, pixel: Pixel) -> bool:
        """Return whether a leaf is durable."""
        return self._storage.size_bytes(self._leaf(catalog, pixel)) is not None

    def set_done(self, catalog: str, pixel: Pixel) -> None:
        """Record that a leaf is durable."""
        self._storage.create(self._leaf(catalog, pixel), b"{}\n")

    def report(self) -> None:
        """Record that this process works on the generation."""
        owner = {"process": ProcessId.mine().to_json(), "at": datetime.now(UTC).isoformat()}
        self._storage.replace(f"{self._build}/owner.json", json.dumps(owner).encode() + b"\n")

    def release(self) -> None:
        """Record that no process works on the generation, so that any may continue it."""
        self._storage.delete([f"{self._build}/owner.json"])

    def plan(self) -> Plan | None:
        """Return what it is built of; None if it is not being built."""
        raw = self._read("plan.json")
        try:
            return None if raw is None else Plan(**raw)
        except TypeError:
            return None  # of another version of finkray

    def is_planned(self) -> bool:
        """Return whether a build of it was begun and not committed."""
        return self._read("plan.json") is not None

    def owner(self) -> str | None:
        """Return the process that works on it; None if none does."""
        raw = self._read("owner.json")
        if raw is None:
            return None
        process = ProcessId(**raw["process"])
        if process == ProcessId.mine():
            return None
        if ProcessId.mine().can_see(process):
            return str(process) if process.is_running() else None
        # A report of the future is as old as one of the past: one of the clocks was wrong.
        silent = abs(datetime.now(UTC) - datetime.fromisoformat(raw["at"]))
        return str(process) if silent.total_seconds() < OWNER_SILENT_S else None

    def create(self, plan: Plan) -> bool:
        """Begin the generation; False if its number is taken."""
        return self._storage.create(
            f"{self._build}/plan.json", json.dumps(asdict(plan)).encode() + b"\n"
        )

    def clean(self) -> None:
        """Delete what only the build needed."""
        self._storage.delete_folder(self._build)

    def _leaf(self, catalog: str, pixel: Pixel) -> str:
        return f"{self._build}/leaves/{catalog}/{pixel[0]}-{pixel[1]}.json"

    def _read(self, name: str) -> dict[str, Any] | None:
        data = self._storage.read(f"{self._build}/{name}")
        if data is None:
            return None
        raw: dict[str, Any] = json.loads(data)
        return raw


def open_generation(storage: Storage, night_folder: str, plan: Plan) -> Generation:
    """Continue an interrupted build with this plan, or begin the next generation.

    Builds with other plans whose process has ended are deleted.

    Raises
    ------
    NightError
        if another process builds this night
    """
    current = read_committed(storage, night_folder)
    committed = current.generation if current else 0
    numbers = _generations(storage, night_folder)
    for number in numbers:
        found = Generation(storage, night_folder, number)
        if number <= committed or not found.is_planned():
            continue
        if owner := found.owner():
            raise NightError(f"{plan.title} is being built by {owner}: wait for its end")
        if found.plan() == plan:
            found.report()
            return found
        storage.delete_folder(found.folder)
    number = max([committed, *numbers], default=0) + 1
    while not (new := Generation(storage, night_folder, number)).create(plan):
        number += 1
    new.report()
    return new


def read_committed(storage: Storage, night_folder: str) -> Committed | None:
    """Return the generation that readers open; None if there is none.

    Raises
    ------
    NightError
        if the file that names it is damaged
    """
    path = f"{night_folder}/{COLLECTION_FILE}"
    data = storage.read(path)
    if data is None:
        return None
    try:
        return Committed.from_properties(parse_collection(data))
    except (KeyError, ValueError) as error:
        raise NightError(
            f"{path} is not of a night that finkray built ({type(error).__name__}: {error}): move "
            f"{night_folder} out of the way and build the night again"
        ) from error


def commit(storage: Storage, night_folder: str, committed: Committed, data: bytes) -> bool:
    """Make a generation the one that readers open, in one step.

    Parameters
    ----------
    storage, night_folder
        where
    committed
        the generation
    data
        content of `collection.properties`

    Returns
    -------
    bool
        False if a later one was committed meanwhile, which remains
    """
    path = f"{night_folder}/{COLLECTION_FILE}"
    if storage.create(path, data):
        return True
    before = read_committed(storage, night_folder)
    if before is not None and before.generation >= committed.generation:
        return False
    storage.replace(path, data)
    return True


def delete_old(storage: Storage, night_folder: str, now: datetime) -> list[int]:
    """Delete generations that were replaced more than a day ago; return their numbers."""
    current = read_committed(storage, night_folder)
    if current is None or now - current.built_at < KEEP_OLD:
        return []
    old = [n for n in _generations(storage, night_folder) if n < current.generation]
    for number in old:
        storage.delete_folder(generation_folder(night_folder, number))
    return old


def _generations(storage: Storage, night_folder: str) -> list[int]:
    numbers = map(generation_of, storage.folders(night_folder))
    return sorted(number for number in numbers if number is not None)
