"""The folder of the catalogues: descriptions, versions, and which version is used.

<folder>/<name>/description.json      as it was added last
<folder>/<name>/current               the version that is used: replaced in one step
<folder>/<name>/versions/<version>/   a HATS collection: main/, margin/, collection.properties
                              …/built.json   how it was built
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from catalogs.description import NAME, Description, from_json
from finkray.errors import CatalogError
from finkray.versions import VersionedFolder

_DESCRIPTION: Final = "description.json"
_BUILT: Final = "built.json"


@dataclass(frozen=True, slots=True)
class Built:
    """The counts of a build.

    Attributes
    ----------
    rows_read, rows
        sources in the files, and in the shards
    dropped_null_positions, dropped_duplicate_ids
        sources that were left out, as the description allows
    shards
        their number, without those of empty sky that have a margin alone
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
    """The catalogues of a folder: which there are, in which versions, and which version is used.

    Every method raises `CatalogError` for a name or a version that cannot be one, and for a file
    that cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, description: Description) -> None:
        """Keep a description, in place of an earlier one of the same name."""
        self._versions(description.catalog.name).replace(_DESCRIPTION, description.to_json())

    def description(self, name: str) -> Description:
        """Return the description that was added last under a name.

        Raises
        ------
        CatalogError
            If there is none.
        """
        text = self._versions(name).read(_DESCRIPTION)
        if text is None:
            known = ", ".join(self.names()) or "none"
            raise CatalogError(
                f"there is no catalogue {name} in {self.folder}; there are: {known}. "
                "`finkray catalog add FILE` adds one"
            )
        return from_json(text)

    def names(self) -> list[str]:
        """Return the names of the catalogues that were added."""
        found = (path.parent.name for path in self.folder.glob(f"*/{_DESCRIPTION}"))
        return sorted(name for name in found if NAME.fullmatch(name))

    def versions(self, name: str) -> list[str]:
        """Return the versions that are built."""
        return self._versions(name).versions()

    def current(self, name: str) -> str | None:
        """Return the version that is used; None if none is built."""
        return self._versions(name).current()

    def use(self, name: str, version: str) -> None:
        """Make a version the one that is used, from the next batch of alerts on."""
        self._versions(name).use(version)

    def version_folder(self, name: str, version: str) -> Path:
        """Return the folder of a version."""
        return self._versions(name).path(version)

    def built(self, name: str, version: str) -> tuple[Description, Built]:
        """Return the description that a version was built with, and what was found.

        Raises
        ------
        CatalogError
            If there is no such version.
        """
        record = self._versions(name).record(version)
        if record is None:
            raise CatalogError(f"{name} has no version {version}: `finkray catalog build {name}`")
        return from_json(json.dumps(record["description"])), Built(**record["built"])

    @contextmanager
    def building(self, name: str, version: str) -> Iterator[Path]:
        """Yield a folder to build a version in; it is removed if the block raises.

        Raises
        ------
        CatalogError
            If the version is built already, or another process builds one of this catalogue now.
        """
        if self.version_folder(name, version).exists():
            raise CatalogError(
                f"{name} {version} is built already: give the new edition another version, or "
                f"remove this one: finkray catalog remove {name} --version {version}"
            )
        with self._versions(name).building(version) as draft:
            yield draft

    def publish(self, draft: Path, description: Description, built: Built) -> None:
        """Give a draft the name of its version."""
        record = {"built": asdict(built), "description": json.loads(description.to_json())}
        catalog = description.catalog
        self._versions(catalog.name).publish(draft, catalog.version, record)

    def remove(self, name: str, version: str | None = None) -> None:
        """Remove a version that is not used, or the whole catalogue."""
        self.description(name)
        versions = self._versions(name)
        if version is None:
            versions.remove_all()
            return
        if version == self.current(name):
            raise CatalogError(
                f"{name} {version} is the version that is used: choose another first, finkray "
                f"catalog use {name} VERSION, or remove the whole catalogue"
            )
        versions.remove(version)

    def _versions(self, name: str) -> VersionedFolder:
        if not NAME.fullmatch(name):
            raise CatalogError(f"{name!r} cannot be the name of a catalogue")
        return VersionedFolder(self.folder / name, name, record=_BUILT, error=CatalogError)
