"""The filters that are published: what each is, where it writes, and whether it runs.

    streamout/<name>.json        in the archive; replaced in one step

A filter begins at the position in the archive's ledger at which it was published. A new version of
it goes on where the old one was.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, get_args

from finkray.errors import FilterError
from finkray.storage.contract import Storage
from finkray.streamout.filter_file import FilterFile, filter_of_text
from finkray.streamout.projection import Projection
from finkray.streamout.wire import Wire

FOLDER: Final = "streamout"
_FORMAT: Final = 1

State = Literal["active", "paused", "retired"]


@dataclass(frozen=True, slots=True)
class PublishedFilter:
    """A filter and its topic.

    Attributes
    ----------
    definition
        the filter
    file_name
        of its file
    source
        text of its file
    topic
        where the alerts go that pass
    projection, wire
        the form of the messages
    cursor
        where in the ledger its first version began; see `finkray.ledger.follow`
    state
        paused: it goes on later where it was; retired: it does not go on
    published_at
        when this version was published, UTC
    quota_per_h
        most alerts of one hour that are sent; None is `streamout.quota_per_h`
    """

    definition: FilterFile
    file_name: str
    source: str
    topic: str
    projection: Projection
    wire: Wire
    cursor: str
    state: State
    published_at: datetime
    quota_per_h: int | None = None

    @property
    def name(self) -> str:
        """Name of the filter."""
        return self.definition.name

    def to_json(self) -> dict[str, Any]:
        """Return what is stored."""
        raw = asdict(self)
        del raw["definition"]
        return raw | {
            "format": _FORMAT,
            "name": self.name,
            "version": self.definition.version,
            "projection": self.projection.text,
            "wire": self.wire.value,
            "published_at": self.published_at.isoformat(),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "PublishedFilter":
        """Parse what `to_json` returned.

        Raises
        ------
        FilterError
            if it is not a published filter
        """
        try:
            if raw["format"] != _FORMAT or raw["state"] not in get_args(State):
                raise FilterError("it was written by a later version of finkray")
            return cls(
                definition=filter_of_text(raw["file_name"], raw["source"]),
                file_name=raw["file_name"],
                source=raw["source"],
                topic=raw["topic"],
                projection=Projection(raw["projection"]),
                wire=Wire(raw["wire"]),
                cursor=raw["cursor"],
                state=raw["state"],
                published_at=datetime.fromisoformat(raw["published_at"]),
                quota_per_h=raw.get("quota_per_h"),  # older files lack it
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FilterError(f"it does not describe a filter: {error}") from error


class FilterStore:
    """The published filters of an archive.

    Parameters
    ----------
    archive
        the archive
    """

    def __init__(self, archive: Storage) -> None:
        self._archive = archive
        self._parsed: dict[str, tuple[bytes, PublishedFilter]] = {}

    def all(self) -> list[PublishedFilter]:
        """Return all filters, by name.

        Raises
        ------
        FilterError
            if a file does not describe a filter
        """
        found = map(self._read, self._paths())
        return [each for each in found if each is not None]

    def readable(self) -> tuple[list[PublishedFilter], dict[str, str]]:
        """Return the filters that can be read, and by name what is wrong with the others."""
        found, problems = [], {}
        for path in self._paths():
            try:
                published = self._read(path)
            except FilterError as error:
                problems[path.rpartition("/")[2].removesuffix(".json")] = str(error)
                continue
            if published is not None:
                found.append(published)
        return found, problems

    def find(self, name: str) -> PublishedFilter:
        """Return the filter of a name.

        Raises
        ------
        FilterError
            if there is none: names those that there are
        """
        found = self._read(_path(name))
        if found is None:
            known = ", ".join(each.name for each in self.all()) or "none"
            raise FilterError(f"no filter {name!r} is published; there are: {known}")
        return found

    def publish(self, new: PublishedFilter) -> PublishedFilter:
        """Store a filter, or a new version of one; return it as it is stored.

        Raises
        ------
        FilterError
            if another filter writes to the topic, or the filter writes to another one
        """
        for other in self.all():
            if other.name == new.name:
                if other.state == "retired":
                    raise FilterError(
                        f"filter {new.name} is retired: publish it under another name, so that its "
                        "counts stay apart"
                    )
                if other.topic != new.topic:
                    raise FilterError(
                        f"filter {new.name} writes to {other.topic}: publish it under another name "
                        f"to write to {new.topic}"
                    )
                new = replace(new, cursor=other.cursor)
            elif other.topic == new.topic:
                raise FilterError(
                    f"topic {new.topic} is that of the filter {other.name}: choose another topic"
                )
        self._write(new)
        return new

    def set_state(self, name: str, state: State) -> PublishedFilter:
        """Pause, resume or retire a filter; return it.

        Raises
        ------
        FilterError
            if there is no such filter, or it is retired
        """
        found = self.find(name)
        if found.state == "retired" and state != "retired":
            raise FilterError(f"filter {name} is retired: publish it under another name")
        found = replace(found, state=state)
        self._write(found)
        return found

    def _paths(self) -> list[str]:
        paths = (file.path for file in self._archive.files(FOLDER))
        return sorted(path for path in paths if path.endswith(".json"))

    def _read(self, path: str) -> PublishedFilter | None:
        data = self._archive.read(path)
        if data is None:
            return None
        known = self._parsed.get(path)
        if known is not None and known[0] == data:  # streaming out asks several times a second
            return known[1]
        try:
            found = PublishedFilter.from_json(json.loads(data))
        except (ValueError, FilterError) as error:
            raise FilterError(f"{path}: {error}") from error
        self._parsed[path] = data, found
        return found

    def _write(self, published: PublishedFilter) -> None:
        data = json.dumps(published.to_json(), indent=1).encode() + b"\n"
        self._archive.replace(_path(published.name), data)


def _path(name: str) -> str:
    return f"{FOLDER}/{name}.json"
