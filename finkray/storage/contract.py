"""The seam between the archive and the file system it lies on: a contract.

Everything that must survive a crash goes through `Storage`: small objects that are created
once, the heartbeat that is replaced, files that are written aside and then published.
`LocalStorage` is a folder of a POSIX file system, local or shared; `storage_open` chooses.
Any other must hold to what stands in the docstrings below, and pass
`tests/support/storage_contract.py`, in which each promise is a test.

Paths are relative to the archive's root, with forward slashes; folders come and go with what
is in them, so nobody makes one. Every method raises `StorageError`, with a message that says
what to do, when the file system refuses.

What the archive needs of a file system
---------------------------------------
1. **Exclusive create.** Of all who create one path, on whatever machine, exactly one succeeds,
   and the others are told. The ledger stands on this alone: it is the commit and the fence.
2. **Atomic appearance.** Nobody sees a part of an object, and nobody sees a published file
   before all of it is there.
3. **Publishing that never replaces**, and that can be done again after a crash at any point of
   it, also by two processes at once.
4. **Read after write.** What one process was told is there, every other finds from then on, by
   name and in lists. The ledger's readers stand this being broken for a second (they look
   again, see `ledger_read`), its writers do not.
5. **Complete lists.** A file that is there during the whole of a listing is in it.
6. **Durability.** What a call made survives a loss of power once the call has returned.

How they map
------------
=============  ======================  ===========================  ==========================
method         POSIX (`LocalStorage`)  hdfs://                      s3://
=============  ======================  ===========================  ==========================
`create`       write aside, fsync,     write aside, hsync, then     PUT with ``If-None-Match:
               link, fsync the folder  rename: it fails if there    *``; 412 is False. 409 and
                                       is one. (``create`` without  lost answers: read, and
                                       overwrite shows a part.)     compare
`replace`      write aside, fsync,     rename with OVERWRITE        PUT
               rename, fsync           (FileContext)
`read`         open                    open                         GET
`files`,       scandir                 listStatus                   ListObjectsV2 with
`folders`                                                           delimiter /, all pages
`walk`         scandir                 listFiles, recursive         ListObjectsV2, all pages
`stage`        O_EXCL, fsync, fsync    create, hsync, close         multipart upload: nothing
               the folder                                           is there until completed
`publish`      link, fsync each        rename, which replaces       CopyObject with
               folder once, unlink     nothing                      ``If-None-Match: *``, then
                                                                    delete the staged one
`sync`         fsync the folder        nothing: the name node's     nothing
                                       journal is durable
`sweep`        remove left-overs       remove left-overs            abort multipart uploads
`free_bytes`   statvfs                 getStatus                    None
`filesystem`   LocalFileSystem         HadoopFileSystem             S3FileSystem
=============  ======================  ===========================  ==========================

pyarrow's own file systems are enough to read data files, not for the rest: they have neither
exclusive create nor a flush to disk. On s3:// publishing copies each file once inside the
store; whoever wants to spare that may stage under the final name in a prefix that readers do
not list, since there a file appears at once anyway. The store must have conditional writes
(Amazon S3 since 2024, MinIO, Ceph from Tentacle on) and strong consistency (Amazon S3 since
2020).
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


class PublishOutcome(enum.Enum):
    """What `Storage.publish` found and did with one file."""

    MOVED = "moved"
    ALREADY_THERE = "already there"
    """Its source is gone and the final file stands: it was published before."""
    LOST = "lost"
    """Neither its source nor the final file is there."""
    TAKEN = "taken"
    """Another file stands under the final name; nothing was replaced."""


class Storage(Protocol):
    """What the archive asks of a file system; see the module for what it rests on.

    A storage may be used by several threads at a time, and by any number of processes on any
    machine through storages of their own.
    """

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
        """Create or replace a small object: readers see the old or the new one, whole.

        Of two who replace at once the later one wins; who needs more uses `create`.
        """

    def free_bytes(self) -> int | None:
        """How much can still be written; None if that has no bound, or is not known now."""

    def read(self, path: str) -> bytes | None:
        """The object, None if there is none."""

    def size_bytes(self, path: str) -> int | None:
        """Its size, None if there is none."""

    def files(self, folder: str) -> list[StoredFile]:
        """The files that stand directly in a folder, by name; [] if there is no such folder.

        Files that stay throughout the call are listed, with their true size; one that comes or
        goes meanwhile may or may not be. Left-overs of a `create` that was cut short are not
        listed.
        """

    def folders(self, folder: str) -> list[str]:
        """The folders that stand directly in a folder, as paths, by name."""

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """Every file below a folder at any depth, whatever its name, in no order.

        Lists folder after folder while it is consumed: a million files need no room.
        """

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; one that is not there is none the less deleted."""

    def delete_folder(self, folder: str) -> None:
        """Delete a folder with all that is in it, if it is there."""

    def stage(self, path: str) -> AbstractContextManager[BinaryIO]:
        """A new file to write in a `with` block; durable, under that name, when the block ends.

        When the block raises, the file is removed. A crash may leave part of a file: stage
        only where nobody reads. A name that is taken is refused, and left as it is.
        """

    def publish(self, moves: Mapping[str, str]) -> dict[str, PublishOutcome]:
        """Give staged files their final names: ``{final: staged}`` -> ``{final: outcome}``.

        Each file appears whole and at once, and never in place of another. All are durable
        under their final names when the call returns. Doing it again is harmless, also from
        two processes at the same time.
        """

    def sync(self, folder: str) -> None:
        """Make durable what was created in a folder, by whomever."""

    def sweep(self, folder: str) -> None:
        """Delete left-overs in a folder of `create` and `replace` that were cut short."""
