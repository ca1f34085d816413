"""An archive in a folder of a POSIX file system.

`finkray.storage.local_checks` checks the folder for `finkray check`.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from finkray.errors import StorageError
from finkray.host.home import expanded
from finkray.host.time_limit import returns_within
from finkray.storage.contract import PublishOutcome, StorageCheck, StoredFile
from finkray.storage.local_checks import check_folder

_LEFTOVER = ".tmp-"

ANSWER_S = 15.0
"""Longest wait for the answer whether the folder exists, which is the first question to it. One
behind a server that is gone never answers, and who asks it cannot be interrupted. The clients of
object stores and HDFS give up after 10 s."""

_DURABLE: dict[Path, tuple[int, int] | None] = {}
"""Folders that this process has made durable in their parents, by device and inode: a folder that
was deleted and made again counts as another one."""

_DURABLE_FOLDERS = 4096
"""How many of them are remembered: the hours of half a year. Then all are flushed once more."""

_NO_FOLDER = (-1, -1)

_ADVICE = {
    errno.ENOSPC: "the disk is full: make room, the archive then continues",
    errno.EDQUOT: "the quota is used up: raise it or make room, the archive then continues",
    errno.EROFS: "the file system is mounted read-only: mount it writable",
    errno.EACCES: "permission denied: give this user the right to read and write there",
    errno.EPERM: "not permitted: the file system must allow this user to write and to make "
    "hard links",
    errno.EOPNOTSUPP: "the file system has no hard links: put the archive on one that has",
    errno.EIO: "the disk reports an input/output error: look into the machine's kernel log",
    errno.ESTALE: "the network file system lost the folder: mount it again",
    errno.EMFILE: "too many open files: raise `ulimit -n`",
    errno.EXDEV: "the archive's folder spans several file systems: it must lie on one",
}


@contextmanager
def _explained(what: str, path: Path) -> Iterator[None]:
    """Turn an error of the operating system into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"cannot {what} {path}: {advice}") from error


class LocalStorage:
    """A storage in a folder.

    The file system must have hard links, and its `fsync` must make data durable. Shared file
    systems (NFS 4, Lustre, CephFS) do; all nodes must see the folder under the same path.

    Parameters
    ----------
    root
        the folder; created by the first file that is written into it
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, object]) -> "LocalStorage":
        """Return the storage of a path or of ``file:///path``.

        Raises
        ------
        ValueError
            if the URI is malformed, or there are options: a folder takes none
        """
        if options:
            raise ValueError(f"a folder takes no options, found {', '.join(sorted(options))}")
        parts = urlsplit(uri)
        if parts.scheme and (parts.netloc or not parts.path.startswith("/")):
            raise ValueError("expected three slashes and an absolute path: file:///folder")
        return cls(expanded(unquote(parts.path) if parts.scheme else uri))

    def __repr__(self) -> str:
        return f"LocalStorage({str(self.root)!r})"

    @property
    def uri(self) -> str:
        """The folder's absolute path."""
        return str(self.root)

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The folder for pyarrow."""
        return pafs.SubTreeFileSystem(str(self.root), pafs.LocalFileSystem())

    def below(self, folder: str) -> "LocalStorage":
        """See `Storage.below`."""
        return LocalStorage(self.root / folder)

    def exists(self) -> bool:
        """See `Storage.exists`. An empty folder exists too."""
        with _explained("look for", self.root):
            return self._is_folder()

    def _is_folder(self) -> bool:
        found: list[bool] = []
        if not returns_within(lambda: found.append(self.root.is_dir()), ANSWER_S):
            raise StorageError(
                f"{self.root} does not answer: is its disk, or the server behind it, up? "
                "(mount, dmesg)"
            )
        return found[0]

    def checks(self, needed_bytes: int) -> Iterator[StorageCheck]:
        """See `Storage.checks`."""
        try:
            self._is_folder()
        except StorageError as error:
            yield StorageCheck("storage", ok=False, detail=str(error))
            return
        except OSError:
            pass  # each check says why it fails
        yield from check_folder(self.root, needed_bytes)

    def refuse_unfit(self) -> None:
        """See `Storage.refuse_unfit`: a POSIX file system is trusted."""

    def free_bytes(self) -> int | None:
        """See `Storage.free_bytes`. A quota below the disk's size is not taken into account."""
        with suppress(OSError):
            return shutil.disk_usage(self.root).free
        return None

    def create(self, path: str, data: bytes) -> bool:
        """See `Storage.create`. A link never replaces, and appears with all its content."""
        target = self.root / path
        with _explained("create", target), self._written_aside(target, data) as aside:
            try:
                os.link(aside, target)
            except FileExistsError:
                return False
            _sync_folder(target.parent)
        return True

    def replace(self, path: str, data: bytes) -> None:
        """See `Storage.replace`."""
        target = self.root / path
        with _explained("replace", target), self._written_aside(target, data) as aside:
            aside.replace(target)
            _sync_folder(target.parent)

    def read(self, path: str) -> bytes | None:
        """See `Storage.read`."""
        target = self.root / path
        with _explained("read", target):
            try:
                return target.read_bytes()
            except FileNotFoundError:
                return None

    def open(self, path: str) -> pa.NativeFile:
        """See `Storage.open`."""
        return pa.OSFile(str(self.root / path))

    def size_bytes(self, path: str) -> int | None:
        """See `Storage.size_bytes`."""
        target = self.root / path
        with _explained("look at", target):
            try:
                return target.stat().st_size
            except FileNotFoundError:
                return None

    def files(self, folder: str) -> list[StoredFile]:
        """See `Storage.files`."""
        prefix = f"{folder}/" if folder else ""
        with _explained("list", self.root / folder):
            files = [
                StoredFile(prefix + entry.name, _size_bytes(entry))
                for entry in _entries(self.root / folder)
                if not entry.is_dir(follow_symlinks=False) and not entry.name.startswith(_LEFTOVER)
            ]
        return sorted(file for file in files if file.size_bytes >= 0)

    def folders(self, folder: str) -> list[str]:
        """See `Storage.folders`."""
        prefix = f"{folder}/" if folder else ""
        with _explained("list", self.root / folder):
            return sorted(
                prefix + entry.name
                for entry in _entries(self.root / folder)
                if entry.is_dir(follow_symlinks=False)
            )

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """See `Storage.walk`."""
        waiting = [folder]
        while waiting:
            parent = waiting.pop()
            with _explained("list", self.root / parent):
                entries = _entries(self.root / parent)
                for entry in entries:
                    path = f"{parent}/{entry.name}" if parent else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif (size_bytes := _size_bytes(entry)) >= 0:
                        yield StoredFile(path, size_bytes)

    def delete(self, paths: Iterable[str]) -> None:
        """See `Storage.delete`."""
        for path in paths:
            target = self.root / path
            with _explained("delete", target):
                target.unlink(missing_ok=True)

    def delete_folder(self, folder: str) -> None:
        """See `Storage.delete_folder`."""
        target = self.root / folder
        with _explained("delete", target), suppress(FileNotFoundError):
            shutil.rmtree(target)

    @contextmanager
    def stage(self, path: str, final: str | None = None) -> Iterator[BinaryIO]:  # noqa: ARG002 - a link suffices
        """See `Storage.stage`."""
        target = self.root / path
        with _explained("write", target):
            _make_folder(target.parent, self.root)
            with target.open("xb") as file:
                try:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    # The file is on disk; release its pages for the next file. An archive that
                    # keeps them evicts Kafka's log from the page cache, and takes untouched pages,
                    # which on a virtual machine cost 80 us for an alert instead of 15.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                except BaseException:
                    target.unlink(missing_ok=True)
                    raise
            _sync_folder(target.parent)

    def publish(self, moves: Mapping[str, str]) -> dict[str, PublishOutcome]:
        """See `Storage.publish`.

        1. link every staged file to its final name: it appears whole and replaces nothing
        2. make the final folders durable, each once
        3. only then delete the staged names: a crash in between leaves two names of one file
        """
        outcomes = {}
        for final, staged in moves.items():
            with _explained("publish", self.root / final):
                outcomes[final] = _link(self.root / staged, self.root / final, self.root)
        # A file that exists already may have been linked just now by another process.
        final_paths = [
            final
            for final, outcome in outcomes.items()
            if outcome in (PublishOutcome.MOVED, PublishOutcome.ALREADY_THERE)
        ]
        for folder in {(self.root / final).parent for final in final_paths}:
            with _explained("publish into", folder):
                _sync_folder(folder)
        self.delete(moves[final] for final in final_paths)
        return outcomes

    def sync(self, folder: str) -> None:
        """See `Storage.sync`."""
        with _explained("make durable", self.root / folder):
            _sync_folder(self.root / folder)

    def sweep(self, folder: str) -> None:
        """See `Storage.sweep`."""
        with _explained("tidy", self.root / folder):
            for entry in _entries(self.root / folder):
                if entry.name.startswith(_LEFTOVER):
                    Path(entry.path).unlink(missing_ok=True)

    @contextmanager
    def _written_aside(self, target: Path, data: bytes) -> Iterator[Path]:
        """Write a durable file beside the target under a unique name; delete it after the block."""
        _make_folder(target.parent, self.root)
        aside = target.parent / f"{_LEFTOVER}{secrets.token_hex(8)}"
        try:
            with aside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield aside
        finally:
            aside.unlink(missing_ok=True)


def _link(source: Path, target: Path, root: Path) -> PublishOutcome:
    try:
        _make_folder(target.parent, root)
        os.link(source, target)
    except FileNotFoundError:
        return PublishOutcome.ALREADY_THERE if target.exists() else PublishOutcome.LOST
    except FileExistsError:
        # Two names of one file: a crash happened between the link and the unlink.
        try:
            same = source.samefile(target)
        except FileNotFoundError:
            return PublishOutcome.ALREADY_THERE if target.exists() else PublishOutcome.LOST
        return PublishOutcome.MOVED if same else PublishOutcome.TAKEN
    return PublishOutcome.MOVED


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _size_bytes(entry: os.DirEntry[str]) -> int:
    """Return the size, or -1 for a file that vanished after it was listed."""
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return -1


def _make_folder(folder: Path, root: Path) -> None:
    """Create a folder and its parents, each durable in its parent.

    A folder that exists is made durable too, up to the root and once in this process: the process
    that made it may have died before, or may not have come to it yet.
    """
    if _DURABLE.get(folder, _NO_FOLDER) == _folder_id(folder):
        return
    made = not folder.is_dir()
    if folder != root:
        _make_folder(folder.parent, root)
    elif not folder.parent.is_dir():
        _make_folder(folder.parent, folder.parent)
    folder.mkdir(exist_ok=True)
    try:
        _sync_folder(folder.parent)
    except PermissionError:
        # The folder that holds the root may be closed to it.
        if made or folder != root:
            raise
    if len(_DURABLE) >= _DURABLE_FOLDERS:
        _DURABLE.clear()
    _DURABLE[folder] = _folder_id(folder)


def _folder_id(folder: Path) -> tuple[int, int] | None:
    """Return device and inode of a folder, None if it does not exist."""
    try:
        found = folder.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
