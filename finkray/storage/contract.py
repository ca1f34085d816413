"""The contract between finkray and the file system that an archive lies on.

Everything that must survive a crash goes through `Storage`: small objects that are created
once, the heartbeat that is replaced, files that are staged and then published.
`finkray.storage.opening.open_storage` is the only way to get a storage. `LocalStorage` is a
folder of a POSIX file system, local or shared; `ObjectStorage` is a prefix in an object store;
`HdfsStorage` is a folder of HDFS; `MemoryStorage` serves tests. Any other implementation must hold
to the docstrings below and pass `tests/support/storage_contract.py`, in which each guarantee is a
test.

Paths are relative to the root of the storage, with forward slashes. No caller creates folders;
one that contains nothing may be listed or not. Every method except `open` raises `StorageError`,
with a message that says what to do, when the file system refuses.

What an archive needs of a file system
--------------------------------------
1. **Exclusive create.** Of all processes that create one path, on any machine, exactly one
   succeeds, and the others learn that they did not. The ledger rests on this alone: it is the
   commit and the fence.
2. **Atomic appearance.** No reader sees a part of an object, and none sees a published file
   before it is complete.
3. **Publishing that never replaces**, and that can be repeated after a crash at any point of
   it, also by two processes at once.
4. **Read after write.** Once a write has returned, every process finds the object, by name and
   in lists. Readers of the ledger tolerate a violation for a second (they look again, see
   `finkray.ledger.read`); its writers do not.
5. **Complete lists.** A file that exists during the whole of a listing is in it.
6. **Durability.** What a call wrote survives a loss of power once the call has returned.

How the methods map
-------------------
=============  ======================  ===========================  ==========================
method         POSIX (`LocalStorage`)  hdfs://                      s3://
=============  ======================  ===========================  ==========================
`create`       write aside, fsync,     write aside, hsync, close,   PUT with ``If-None-Match:
               link, fsync the folder  then rename: it fails if     *``; on 412 and 409 read
                                       the name is taken.           whose data the object has:
                                       (``create`` without          after a lost answer it may
                                       overwrite shows a part.)     be our own
`replace`      write aside, fsync,     write aside, hsync, close,   PUT
               rename, fsync           rename with overwrite
`read`,        open                    open                         GET, with ranges
`open`
`files`,       scandir                 listStatus                   ListObjectsV2 with
`folders`                                                           delimiter /, all pages
`walk`         scandir                 listStatus, folder by        ListObjectsV2, all pages
                                       folder
`stage`        O_EXCL, fsync, fsync    create, hsync, close         PUT with ``If-None-Match:
               the folder                                           *``, whole; with a final name
                                                                    an upload that stays open,
                                                                    and PUT of its ticket
`publish`      link, fsync each        rename, which replaces       complete the upload, or
               folder once, unlink     nothing                      multipart copy, both with
                                                                    ``If-None-Match: *``; then
                                                                    delete the staged one
`sync`         fsync the folder        nothing: the name node's     nothing
                                       journal is durable
`sweep`        remove left-overs       remove left-overs            nothing; a lifecycle rule
                                                                    aborts multipart uploads
`free_bytes`   statvfs                 None                         None
`filesystem`   LocalFileSystem         ranges of `open`             ranges of `open`
=============  ======================  ===========================  ==========================

pyarrow's own file systems suffice to read data files, not for the rest: they have neither
exclusive create nor a flush to disk. A store must have conditional writes (Amazon S3 since 2024,
Ceph from Tentacle on) and strong consistency (Amazon S3 since 2020).

On s3:// a plain CopyObject with ``If-None-Match: *`` silently replaces on several servers
(versitygw, S3Proxy), and Amazon supports the condition later than on PUT. What every tested
server honours: CreateMultipartUpload, UploadPartCopy, CompleteMultipartUpload with
``If-None-Match: *``. It copies each file once inside the store. Where a file is staged with its
final name the copy is saved: an open upload is in no list and cannot be read
(`finkray.storage.object_publishing`).
"""

import enum
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.fs as pafs


class StoredFile(NamedTuple):
    """A file of a storage."""

    path: str
    size_bytes: int


class StorageCheck(NamedTuple):
    """One question of `finkray check` about a storage, and its answer."""

    name: str
    ok: bool
    detail: str
    """The result; if not ok, what is wrong and what to do."""


class PublishOutcome(enum.Enum):
    """The outcome of `Storage.publish` for a file."""

    MOVED = "moved"
    ALREADY_THERE = "already there"
    """The staged file is gone and the final file exists: it was published before."""
    LOST = "lost"
    """Neither the staged nor the final file exists."""
    TAKEN = "taken"
    """Another file has the final name; nothing was replaced."""


class Storage(Protocol):
    """What finkray requires of a file system; the module says what the guarantees are for.

    A storage may be used by several threads at a time. Any number of processes, on any machine,
    may use the same files, each through its own storage.
    """

    @property
    def uri(self) -> str:
        """Absolute URI, which any process can open in any working directory."""

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The storage for pyarrow, to read data files with paths relative to the root."""

    def below(self, folder: str) -> "Storage":
        """Return the storage of a folder of this one; its paths are relative to that folder."""

    def exists(self) -> bool:
        """Return whether anything is stored here: a folder, or in an object store any object."""

    def checks(self, needed_bytes: int) -> Iterator[StorageCheck]:
        """Check what an archive needs of this storage, for `finkray check`.

        Leaves nothing behind. May be called before anything exists.

        Parameters
        ----------
        needed_bytes
            how much must fit at least
        """

    def refuse_unfit(self) -> None:
        """Check, before a first archive is begun here, that the promises above are kept.

        A file system keeps them; of object stores some do not.

        Raises
        ------
        SettingsError
            if they are not kept, a right is missing, or the storage does not answer
        """

    def free_bytes(self) -> int | None:
        """Return how much can still be written; None if unbounded or not known now."""

    def create(self, path: str, data: bytes) -> bool:
        """Create a small object, unless the path is taken.

        Of all processes on all machines that create the same path, exactly one succeeds.
        No reader ever sees a part of the object. It is durable when the call returns.

        Returns
        -------
        bool
            False if there is an object already; it is left as it is

        Raises
        ------
        StorageError
            if the file system refuses. The object may exist all the same (the answer was
            lost): a caller that needs to know must read it.
        """

    def replace(self, path: str, data: bytes) -> None:
        """Create or replace a small object: readers see the old or the new one, whole.

        If two processes replace it at once, the later one wins. Use `create` for exclusion.
        """

    def read(self, path: str) -> bytes | None:
        """Return the content of an object, None if it does not exist."""

    def open(self, path: str) -> pa.NativeFile:
        """Open a file for reading at any position, for pyarrow.

        Raises
        ------
        FileNotFoundError
            if the file does not exist
        OSError
            if the file system refuses, as reading from the opened file does later
        """

    def size_bytes(self, path: str) -> int | None:
        """Return the size of an object, None if it does not exist."""

    def files(self, folder: str) -> list[StoredFile]:
        """List the files directly in a folder, sorted by name; [] if there is no such folder.

        Files that exist throughout the call are listed, with their true size; a file that is
        created or deleted during the call may or may not be. Leftovers of an interrupted `create`
        are not listed.
        """

    def folders(self, folder: str) -> list[str]:
        """List the folders directly in a folder, as paths, sorted by name."""

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """List every file below a folder at any depth, of any name, in no order.

        Lists folder after folder while it is consumed: a million files need no memory.
        """

    def delete(self, paths: Iterable[str]) -> None:
        """Delete files; a file that does not exist is no error."""

    def delete_folder(self, folder: str) -> None:
        """Delete a folder with its content, if it exists."""

    def stage(self, path: str, final: str | None = None) -> AbstractContextManager[BinaryIO]:
        """Write a new file in a `with` block; it is durable under its name when the block ends.

        When the block raises, the file is removed. A crash may leave part of a file: stage only
        where no reader looks. A name that is taken is refused, and its file left as it is.

        Parameters
        ----------
        path
            name of the staged file
        final
            the name under which it will be published, if that is known. The storage may keep the
            file there, unseen, until `publish`: only `size_bytes`, `publish`, `delete` and
            `delete_folder` are promised for the staged name then, and no other final name
        """

    def publish(self, moves: Mapping[str, str]) -> dict[str, PublishOutcome]:
        """Rename staged files to their final names: ``{final: staged}`` -> ``{final: outcome}``.

        Each file appears whole and at once, and never replaces another. All are durable under
        their final names when the call returns. Repeating the call is harmless, also from two
        processes at the same time.
        """

    def sync(self, folder: str) -> None:
        """Make durable what any process created in a folder."""

    def sweep(self, folder: str) -> None:
        """Delete leftovers in a folder of interrupted calls of `create` and `replace`."""
