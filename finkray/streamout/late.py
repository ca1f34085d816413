"""Alerts that still wait for answers of services: a record for each filter and file.

    {"format": 1, "filter": "bright", "version": "3f…", "path": "alerts/topic=…", "rows": 420,
     "fingerprint": "9c…", "claims": ["…"], "lacking": {"classify": [[3, 3], [17, 20]]},
     "unjudged": [[4, 9]], "needs": ["classify"], "since": "2026-11-24T01:02:03+00:00"}

`lacking` are rows that were sent without the answer of a service: an amendment follows. `unjudged`
are rows that were not judged, because a service of `needs` had not looked: they are judged when it
has. Rows are ranges, both ends included: while a service is away, whole files wait for it.

The records are in the topic of the progress, in the transaction of the messages, with filter and
file as their key. A record without a value says that no alert of the file waits any more.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np

from finkray.claim import DataFile
from finkray.errors import FinkrayError
from finkray.ledger.follow import Position
from finkray.streamout.ledger_files import LedgerFile

_FORMAT: Final = 1

KEY_MARK: Final = b"/"
"""Separator in the key of a late file; no name of a filter contains it."""

Ranges = tuple[tuple[int, int], ...]
"""Rows of a file as ranges, both ends included."""


@dataclass(frozen=True, slots=True)
class LateFile:
    """Alerts of a file that wait for answers of services; the module explains the fields."""

    filter: str
    version: str
    path: str
    rows: int
    fingerprint: str | None
    claims: tuple[str, ...]
    lacking: Mapping[str, Ranges]
    unjudged: Ranges
    needs: tuple[str, ...]
    since: datetime

    @property
    def key(self) -> bytes:
        """Key of the record."""
        return self.filter.encode() + KEY_MARK + self.path.encode()

    @property
    def services(self) -> set[str]:
        """Names of the services that are waited for."""
        return {*self.lacking, *(service_name(need) for need in self.needs if self.unjudged)}

    @property
    def awaiting(self) -> np.ndarray:
        """Rows that were sent and wait for any answer."""
        rows = [rows_of(ranges) for ranges in self.lacking.values()]
        return np.unique(np.concatenate([np.array([], np.int64), *rows]))

    @property
    def unjudged_rows(self) -> np.ndarray:
        """Rows that were not judged."""
        return rows_of(self.unjudged)

    @property
    def waits(self) -> bool:
        """Whether any alert waits."""
        return bool(self.unjudged or self.lacking)

    @property
    def item(self) -> LedgerFile:
        """The file, to be judged."""
        file = DataFile(self.path, self.rows, 0, 0, 0, schema_fingerprint=self.fingerprint)
        return LedgerFile(Position(), "", file, self.claims)

    def with_rows(self, lacking: Mapping[str, np.ndarray], unjudged: np.ndarray) -> "LateFile":
        """Return the file with other rows that wait."""
        left = {name: ranges_of(rows) for name, rows in lacking.items() if len(rows)}
        return replace(self, lacking=left, unjudged=ranges_of(unjudged))

    def to_bytes(self) -> bytes | None:
        """Return the value of the record; None if no alert waits."""
        if not self.waits:
            return None
        raw = {"format": _FORMAT, **asdict(self), "since": self.since.isoformat()}
        return json.dumps(raw).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "LateFile":
        """Parse what `to_bytes` returned.

        Raises
        ------
        FinkrayError
            if it is no late file
        """
        try:
            raw: dict[str, Any] = json.loads(data)
            if raw.pop("format") != _FORMAT:
                raise FinkrayError("the late files of a filter were written by a later finkray")
            raw["since"] = datetime.fromisoformat(raw["since"])
            raw["lacking"] = {name: _ranges(rows) for name, rows in raw["lacking"].items()}
            raw["unjudged"] = _ranges(raw["unjudged"])
            raw["claims"], raw["needs"] = tuple(raw["claims"]), tuple(raw["needs"])
            return cls(**raw)
        except (ValueError, KeyError, TypeError) as error:
            raise FinkrayError(f"a record of late alerts is damaged: {error}") from error


class LateFiles:
    """All late files of an instance, in the order in which their alerts were sent.

    Parameters
    ----------
    files
        as they are committed in Kafka
    """

    def __init__(self, files: Iterable[LateFile] = ()) -> None:
        self._files: dict[bytes, LateFile] = {}
        self._by_folder: dict[str, dict[bytes, None]] = {}
        self._by_service: Counter[str] = Counter()
        self.update(files)

    def __iter__(self) -> Iterator[LateFile]:
        return iter(self._files.values())

    def __len__(self) -> int:
        return len(self._files)

    @property
    def services(self) -> list[str]:
        """Names of the services that any alert waits for."""
        return [name for name, files in self._by_service.items() if files]

    def get(self, key: bytes) -> LateFile | None:
        """Return the late file of a key; None if no alert of it waits."""
        return self._files.get(key)

    def update(self, files: Iterable[LateFile]) -> None:
        """Take what was committed; a file of which no alert waits is forgotten."""
        for file in files:
            folder = file.path.rpartition("/")[0]
            before = self._files.pop(file.key, None)
            if before is not None:
                self._by_service.subtract(before.services)
                self._by_folder[folder].pop(file.key)
                if not self._by_folder[folder]:
                    del self._by_folder[folder]
            if file.waits:
                self._files[file.key] = file
                self._by_service.update(file.services)
                self._by_folder.setdefault(folder, {})[file.key] = None

    def in_folder(self, folder: str) -> list[LateFile]:
        """Return the late files of a folder of the archive."""
        return [self._files[key] for key in self._by_folder.get(folder, ())]


def service_name(need: str) -> str:
    """Return the name of the service in a need, which may name a version too."""
    return need.partition("/")[0]


def ranges_of(rows: np.ndarray | Sequence[int]) -> Ranges:
    """Return rows as ranges."""
    ordered = np.unique(np.asarray(rows, np.int64))
    if not len(ordered):
        return ()
    parts = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return tuple((int(part[0]), int(part[-1])) for part in parts)


def rows_of(ranges: Ranges) -> np.ndarray:
    """Return the rows of ranges, in order."""
    parts = [np.arange(first, last + 1) for first, last in ranges]
    return np.concatenate([np.array([], np.int64), *parts])


def _ranges(raw: Sequence[Sequence[int]]) -> Ranges:
    return tuple((int(first), int(last)) for first, last in raw)
