"""The folder that catalogues live in.

<folder>/<name>/description.json      as it was added last
<folder>/<name>/current               the version that is used: replaced in one step
<folder>/<name>/versions/<version>/   a HATS collection: main/, margin/, collection.properties
                              …/built.json   how it was built
"""

import fcntl
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from catalogs.description import NAME, VERSION, Description, from_json
from finkray.errors import CatalogError


@dataclass(frozen=True, slots=True)
class Built:
    """What a version was built of, and what was found.

    Attributes
    ----------
    rows_read, rows
        sources in the files, and in the shards
    dropped_null_positions, dropped_duplicate_ids
        sources that were left out, as the description allows
    shards
        how many there are, those of empty sky with a margin not counted
    margin_arcsec
        how far the margins reach at least
    fastest_mas_yr
        the largest proper motion; 0 if there are none
    data_bytes
        size of the files on disk
    at_unix_s
        when it was built
    """

    rows_read: int
    rows: int
    dropped_null_positions: int
    dropped_duplicate_ids: int
    shards: int
    margin_arcsec: float
    fastest_mas_yr: float
    data_bytes: int
    at_unix_s: float


class CatalogStore:
    """Knows which catalogues there are, in which versions, and which version is used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, description: Description) -> None:
        """Keep a description, in place of an earlier one of the same name."""
        path = self._place(description.catalog.name) / "description.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, description.to_json())

    def description(self, name: str) -> Description:
        """What was added under a name.

        Raises
        ------
        CatalogError
            Nothing was.
        """
        text = _read(self._place(name) / "description.json")
        if text is None:
            known = ", ".join(self.names()) or "none"
            raise CatalogError(
                f"there is no catalogue {name} in {self.folder}; there are: {known}. "
                "`finkray catalog add FILE` adds one"
            )
        return from_json(text)

    def names(self) -> list[str]:
        """Every catalogue that was added."""
        return sorted(path.parent.name for path in self.folder.glob("*/description.json"))

    def versions(self, name: str) -> list[str]:
        """The versions that are built."""
        return sorted(path.parent.name for path in self._place(name).glob("versions/*/built.json"))

    def current(self, name: str) -> str | None:
        """The version that is used; None if none is built."""
        text = _read(self._place(name) / "current")
        return text.strip() if text else None

    def use(self, name: str, version: str) -> None:
        """Let a version be the one that is used, from the next batch of alerts on."""
        if version not in self.versions(name):
            have = ", ".join(self.versions(name)) or "none"
            raise CatalogError(f"{name} has no version {version}; built are: {have}")
        _replace(self._place(name) / "current", version)

    def version_folder(self, name: str, version: str) -> Path:
        """Where a version lies."""
        if not VERSION.fullmatch(version):
            raise CatalogError(f"{version!r} cannot be a version")
        return self._place(name) / "versions" / version

    def built(self, name: str, version: str) -> tuple[Description, Built]:
        """With what description a version was built, and what was found.

        Raises
        ------
        CatalogError
            There is no such version.
        """
        text = _read(self.version_folder(name, version) / "built.json")
        if text is None:
            raise CatalogError(f"{name} has no version {version}: `finkray catalog build {name}`")
        record = json.loads(text)
        return from_json(json.dumps(record["description"])), Built(**record["built"])

    @contextmanager
    def building(self, name: str, version: str) -> Iterator[Path]:
        """A folder to build a version in; it is removed if the block raises.

        Raises
        ------
        CatalogError
            The version is there already, or somebody else builds one of this catalogue now.
        """
        final = self.version_folder(name, version)
        if final.exists():
            raise CatalogError(
                f"{name} {version} is built already: give the new edition another version, or "
                f"remove this one: finkray catalog remove {name} --version {version}"
            )
        place = self._place(name)
        place.mkdir(parents=True, exist_ok=True)
        with (place / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CatalogError(f"{name} is being built by another process") from None
            # Nobody else builds: what is left here was cut short.
            for left in place.glob("building-*"):
                shutil.rmtree(left, ignore_errors=True)
            draft = place / f"building-{version}"
            draft.mkdir()
            try:
                yield draft
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def publish(self, draft: Path, description: Description, built: Built) -> None:
        """Give a draft the name of its version."""
        record: dict[str, Any] = {
            "built": asdict(built),
            "description": json.loads(description.to_json()),
        }
        (draft / "built.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        final = self.version_folder(description.catalog.name, description.catalog.version)
        final.parent.mkdir(exist_ok=True)
        try:
            draft.rename(final)
        except OSError as error:
            raise CatalogError(f"{final}: cannot be made: {error.strerror}") from error

    def remove(self, name: str, version: str | None = None) -> None:
        """Remove a version that is not used, or the whole catalogue."""
        self.description(name)
        if version is None:
            (self._place(name) / "current").unlink(missing_ok=True)
            shutil.rmtree(self._place(name))
            return
        if version not in self.versions(name):
            raise CatalogError(f"{name} has no version {version}")
        if version == self.current(name):
            raise CatalogError(
                f"{name} {version} is the version that is used: say another first, finkray "
                f"catalog use {name} VERSION, or remove the whole catalogue"
            )
        shutil.rmtree(self.version_folder(name, version))

    def _place(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise CatalogError(f"{name!r} cannot be the name of a catalogue")
        return self.folder / name


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror}") from error


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise CatalogError(f"{path}: cannot be written: {error.strerror}") from error
