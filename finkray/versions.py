"""Versions of something that is built as a folder of files, and which of them is used.

<folder>/current               the version that is used: replaced in one step
<folder>/versions/<version>/   the files of a version, and a record of how it was built
<folder>/building-<version>/   a version that is being built; removed by the next build

A version appears whole, by the rename of its folder, and is never changed. The folder must lie on a
POSIX file system (`flock`, rename) that all processes see.
"""

import fcntl
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from finkray.errors import FinkrayError
from finkray.whole_file import whole_file

VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""What a version may be called: it is the name of a folder."""


class VersionedFolder:
    """Builds, lists, selects and removes the versions of something.

    Parameters
    ----------
    folder
        of the thing
    name
        of the thing, for messages
    record
        name of the file in a version's folder that says how it was built
    error
        class of the errors that are raised
    """

    def __init__(self, folder: Path, name: str, *, record: str, error: type[FinkrayError]) -> None:
        self.folder = folder
        self._name = name
        self._record = record
        self._error = error

    def versions(self) -> list[str]:
        """Return the versions that are built."""
        return sorted(path.parent.name for path in self.folder.glob(f"versions/*/{self._record}"))

    def current(self) -> str | None:
        """Return the current version; None if there is none."""
        text = self.read("current")
        return text.strip() if text else None

    def use(self, version: str) -> None:
        """Make a version the current version.

        Raises
        ------
        FinkrayError
            of the class given: if there is no such version
        """
        if version not in self.versions():
            have = ", ".join(self.versions()) or "none"
            raise self._error(f"{self._name} has no version {version}; built are: {have}")
        self.replace("current", version)

    def path(self, version: str) -> Path:
        """Return the folder of a version, whether it is built or not."""
        if not VERSION.fullmatch(version):
            raise self._error(f"{version!r} cannot be a version")
        return self.folder / "versions" / version

    def record(self, version: str) -> dict[str, Any] | None:
        """Return how a version was built, as recorded by `publish`; None without a record."""
        text = _read(self.path(version) / self._record, self._error)
        return None if text is None else json.loads(text)

    @contextmanager
    def building(self, version: str) -> Iterator[Path]:
        """Yield a folder to build a version in; it is removed when the block ends.

        Raises
        ------
        FinkrayError
            of the class given: if the version is built already, or another process builds a
            version of this thing now
        """
        if self.path(version).exists():
            raise self._error(f"{self._name} {version} is built already")
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._error(f"{self._name} is being built by another process") from None
            # No other process builds: what is left here was cut short.
            for left in self.folder.glob("building-*"):
                shutil.rmtree(left, ignore_errors=True)
            draft = self.folder / f"building-{version}"
            draft.mkdir()
            try:
                yield draft
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def publish(self, draft: Path, version: str, record: Mapping[str, Any]) -> None:
        """Make a draft the version, with a record of how it was built.

        Raises
        ------
        FinkrayError
            of the class given: if the folder cannot be renamed
        """
        (draft / self._record).write_text(json.dumps(record, indent=2), encoding="utf-8")
        final = self.path(version)
        final.parent.mkdir(exist_ok=True)
        try:
            draft.rename(final)
        except OSError as error:
            raise self._error(f"{final}: cannot be made: {error.strerror}") from error

    def remove(self, version: str) -> None:
        """Remove a version that is not the current version.

        Raises
        ------
        FinkrayError
            of the class given: if there is no such version, or it is the current version
        """
        if version not in self.versions():
            raise self._error(f"{self._name} has no version {version}")
        if version == self.current():
            raise self._error(f"{self._name} {version} is the version that is used")
        shutil.rmtree(self.path(version))

    def remove_all(self) -> None:
        """Remove all versions, and what else is in the folder."""
        (self.folder / "current").unlink(missing_ok=True)  # readers stop before files go
        shutil.rmtree(self.folder)

    def read(self, file: str) -> str | None:
        """Return the text of a small file in the folder; None if there is none."""
        return _read(self.folder / file, self._error)

    def replace(self, file: str, text: str) -> None:
        """Create or replace a small file in the folder: readers see the old or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / file
        try:
            with whole_file(path) as out:
                out.write(text.encode())
        except OSError as error:
            raise self._error(f"{path}: cannot be written: {error.strerror}") from error


def _read(path: Path, error_class: type[FinkrayError]) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise error_class(f"{path}: cannot be read: {error.strerror}") from error
