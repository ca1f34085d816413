"""The seam between the archive and the file system it lies on.

Everything that must survive a crash goes through `Storage`: small objects that are created
once, the heartbeat that is replaced, files that are written aside and then published.
`LocalStorage` is a folder of a POSIX file system, local or shared. What another one
(hdfs://, s3://) must hold to stands in the docstrings of `Storage`; the figures behind each
word are in `tests/unit/finkray/test_storage.py`, which any implementation must pass.

Paths are relative to the archive's root, with forward slashes. Every method raises
`StorageError`, with a message that says what to do, when the file system refuses.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

import pyarrow.fs as pafs


class StoredFile(NamedTuple):
    """A file that is there."""

    path: str
    size_bytes: int


class Published(enum.Enum):
    """What `Storage.publish` found and did with one file."""

    MOVED = "moved"
    ALREADY_THERE = "already there"
    """Its source is gone and the final file stands: it was published before."""
    LOST = "lost"
    """Neither its source nor the final file is there."""
    TAKEN = "taken"
    """Another file stands under the final name; nothing was replaced."""


class Storage(Protocol):
    """What the archive asks of a file system."""

    @property
    def uri(self) -> str:
        """Where it is, for people."""

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The same folder for pyarrow, to read data files with paths like ours."""

    def create(self, path: str, data: bytes) -> bool:
        """Create a small object, unless there is one.

        Of all processes on all machines that create the same path, exactly one succeeds.
        Nobody ever sees a part of the object. It is durable when the call returns.

        Returns
        -------
        bool
            False if there is an object already, which is left as it is

        Raises
        ------
        StorageError
            if the file system refuses. The object may exist all the same (the answer was
            lost): who needs to know must read it.
        """

    def replace(self, path: str, data: bytes) -> None:
        """Create or replace a small object: readers see the old or the new one, whole."""

    def read(self, path: str) -> bytes | None:
        """The object, None if there is none."""

    def size_bytes(self, path: str) -> int | None:
        """Its size, None if there is none."""

    def files(self, folder: str) -> list[StoredFile]:
        """The files that stand directly in a folder, by name; [] if there is no such folder.

        Files that stay throughout the call are listed; one that comes or goes meanwhile may
        or may not be. Left-overs of a `create` that was cut short are not listed.
        """

    def folders(self, folder: str) -> list[str]:
        """The folders that stand directly in a folder, as paths, by name."""

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """Every file below a folder at any depth, whatever its name, in no order."""

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; one that is not there is none the less deleted."""

    def delete_folder(self, folder: str) -> None:
        """Delete a folder with all that is in it, if it is there."""

    def stage(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A new file to write in a `with` block; durable, under that name, when the block ends.

        When the block raises, the file is removed. A crash may leave part of a file: stage
        only where nobody reads.
        """

    def publish(self, moves: Mapping[str, str]) -> dict[str, Published]:
        """Give staged files their final names: ``{final: staged}`` -> ``{final: outcome}``.

        Each file appears whole and at once, and never in place of another. All are durable
        under their final names when the call returns. Doing it again is harmless, also from
        two processes at the same time.
        """

    def sync(self, folder: str) -> None:
        """Make durable what was created in a folder, by whomever."""

    def sweep(self, folder: str) -> None:
        """Delete left-overs in a folder of `create` and `replace` that were cut short."""
