"""An archive in a folder of a POSIX file system."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow.fs as pafs

from finkray.errors import StorageError
from finkray.storage.contract import PublishOutcome, StoredFile

_LEFTOVER = ".tmp-"

_ADVICE = {
    errno.ENOSPC: "the disk is full: make room, the archive goes on by itself",
    errno.EDQUOT: "the quota is used up: raise it or make room, the archive goes on by itself",
    errno.EROFS: "the file system is mounted read-only: mount it writable",
    errno.EACCES: "permission denied: give the archive's user the right to write there",
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
    """Turn what the operating system says into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        raise StorageError(f"cannot {what} {path}: {advice}") from error


class LocalStorage:
    """The storage that is a folder.

    The file system must have hard links, and its `fsync` must mean what it says. Shared
    ones (NFS 4, Lustre, CephFS) do; then all nodes see the folder under the same path.

    Parameters
    ----------
    root
        the archive's folder; made by the first file that is written into it
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

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

    def free_bytes(self) -> int | None:
        """See `Storage.free_bytes`. A quota that is smaller than the disk is not seen."""
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
            found = [
                StoredFile(prefix + entry.name, _size_bytes(entry))
                for entry in _entries(self.root / folder)
                if not entry.is_dir(follow_symlinks=False) and not entry.name.startswith(_LEFTOVER)
            ]
        return sorted(file for file in found if file.size_bytes >= 0)

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
            at = waiting.pop()
            with _explained("list", self.root / at):
                entries = _entries(self.root / at)
                for entry in entries:
                    path = f"{at}/{entry.name}" if at else entry.name
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
    def stage(self, path: str) -> Iterator[BinaryIO]:
        """See `Storage.stage`."""
        target = self.root / path
        with _explained("write", target):
            _make_folder(target.parent)
            with target.open("xb") as file:
                try:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                    # It is on disk, and the next file may have its pages: an archive that keeps
                    # them drives Kafka's log out of the memory, and takes pages that nobody has
                    # touched, which on a virtual machine cost it 80 us for an alert and not 15.
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                except BaseException:
                    target.unlink(missing_ok=True)
                    raise
            _sync_folder(target.parent)

    def publish(self, moves: Mapping[str, str]) -> dict[str, PublishOutcome]:
        """See `Storage.publish`.

        1. link every staged file to its final name: appears at once, replaces nothing
        2. make the final folders durable, each once
        3. only now forget the staged names: a crash in between leaves two names of one file
        """
        outcomes = {}
        for final, staged in moves.items():
            with _explained("publish", self.root / final):
                outcomes[final] = _link(self.root / staged, self.root / final)
        # A file that is there already may have been linked just now by another process.
        there = [
            final
            for final, outcome in outcomes.items()
            if outcome in (PublishOutcome.MOVED, PublishOutcome.ALREADY_THERE)
        ]
        for folder in {(self.root / final).parent for final in there}:
            with _explained("publish into", folder):
                _sync_folder(folder)
        self.delete(moves[final] for final in there)
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
        """A durable file with a name of its own beside the target; gone after the block."""
        _make_folder(target.parent)
        aside = target.parent / f"{_LEFTOVER}{secrets.token_hex(8)}"
        try:
            with aside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield aside
        finally:
            aside.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> PublishOutcome:
    try:
        _make_folder(target.parent)
        os.link(source, target)
    except FileNotFoundError:
        return PublishOutcome.ALREADY_THERE if target.exists() else PublishOutcome.LOST
    except FileExistsError:
        # Two names of one file: a crash came between the link and the unlink.
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
    """Size, or -1 for a file that vanished since it was listed."""
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return -1


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each durable in the one above."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
