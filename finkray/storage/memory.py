"""A storage in the memory of one process: the second implementation of the contract, for tests.

``memory://NAME`` is the same place for all of one process that open it, and for no other process;
nothing survives the process. Code that works on it does not depend on a local folder.

fsspec's memory file system would not do: all readers of a file share one position in it, and
its create is not exclusive.
"""

import io
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from finkray.errors import StorageError
from finkray.storage.contract import PublishOutcome, StorageCheck, StoredFile
from finkray.storage.native_buffer import native_buffer
from finkray.storage.read_only import read_only_filesystem


class _Objects:
    """The objects of one name, by folder and file name, and the lock for changes."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.folders: dict[str, dict[str, bytes]] = {}

    def get(self, path: str) -> bytes | None:
        folder, _, name = path.rpartition("/")
        return self.folders.get(folder, {}).get(name)

    def put(self, path: str, data: bytes) -> None:
        folder, _, name = path.rpartition("/")
        self.folders.setdefault(folder, {})[name] = data

    def pop(self, path: str) -> bytes | None:
        folder, _, name = path.rpartition("/")
        files = self.folders.get(folder, {})
        data = files.pop(name, None)
        if not files:
            self.folders.pop(folder, None)
        return data


_STORAGES: dict[str, _Objects] = {}
_STORAGES_LOCK = threading.Lock()


class MemoryStorage:
    """A storage in the memory of this process.

    Parameters
    ----------
    name
        all storages of one name in a process share their objects
    folder
        the storage's root in it
    """

    def __init__(self, name: str, folder: str = "") -> None:
        with _STORAGES_LOCK:
            self._objects = _STORAGES.setdefault(name, _Objects())
        self._name = name
        self._root = folder

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, object]) -> "MemoryStorage":
        """Return the storage of ``memory://NAME``.

        Raises
        ------
        ValueError
            if there is no name, or there are options: this storage takes none
        """
        if options:
            raise ValueError(f"memory:// takes no options, found {', '.join(sorted(options))}")
        parts = urlsplit(uri)
        if not parts.netloc:
            raise ValueError("expected a name: memory://NAME")
        return cls(parts.netloc, parts.path.strip("/"))

    def __repr__(self) -> str:
        return f"MemoryStorage({self._name!r}, {self._root!r})"

    def __reduce__(self) -> tuple[type["MemoryStorage"], tuple[str, str]]:
        return MemoryStorage, (self._name, self._root)

    @property
    def uri(self) -> str:
        """See `Storage.uri`."""
        return f"memory://{self._name}" + (f"/{self._root}" if self._root else "")

    @property
    def filesystem(self) -> pafs.FileSystem:
        """See `Storage.filesystem`. It can only read."""
        return read_only_filesystem(self)

    def below(self, folder: str) -> "MemoryStorage":
        """See `Storage.below`."""
        return MemoryStorage(self._name, self._full(folder))

    def exists(self) -> bool:
        """See `Storage.exists`."""
        return any(True for _ in self.walk(""))

    def checks(self, needed_bytes: int) -> Iterator[StorageCheck]:  # noqa: ARG002 - has no bound
        """See `Storage.checks`: an archive that must survive its process cannot lie here."""
        detail = f"{self.uri} is lost with this process: give a folder, this is for tests"
        yield StorageCheck("storage", ok=False, detail=detail)

    def refuse_unfit(self) -> None:
        """See `Storage.refuse_unfit`: `checks` says what it is for."""

    def free_bytes(self) -> int | None:
        """See `Storage.free_bytes`."""
        return None

    def create(self, path: str, data: bytes) -> bool:
        """See `Storage.create`."""
        with self._objects.lock:
            if self._objects.get(self._full(path)) is not None:
                return False
            self._objects.put(self._full(path), data)
            return True

    def replace(self, path: str, data: bytes) -> None:
        """See `Storage.replace`."""
        with self._objects.lock:
            self._objects.put(self._full(path), data)

    def read(self, path: str) -> bytes | None:
        """See `Storage.read`."""
        with self._objects.lock:
            return self._objects.get(self._full(path))

    def open(self, path: str) -> pa.NativeFile:
        """See `Storage.open`."""
        data = self.read(path)
        if data is None:
            raise FileNotFoundError(f"{self.uri}/{path}")
        return pa.BufferReader(native_buffer(data))

    def size_bytes(self, path: str) -> int | None:
        """See `Storage.size_bytes`."""
        data = self.read(path)
        return None if data is None else len(data)

    def files(self, folder: str) -> list[StoredFile]:
        """See `Storage.files`."""
        prefix = f"{folder}/" if folder else ""
        with self._objects.lock:
            objects = self._objects.folders.get(self._full(folder), {})
            return sorted(StoredFile(prefix + name, len(data)) for name, data in objects.items())

    def folders(self, folder: str) -> list[str]:
        """See `Storage.folders`."""
        prefix = f"{folder}/" if folder else ""
        return sorted({prefix + path.partition("/")[0] for path in self._folders_below(folder)})

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """See `Storage.walk`."""
        yield from self.files(folder)
        prefix = f"{folder}/" if folder else ""
        for path in self._folders_below(folder):
            yield from self.files(prefix + path)

    def delete(self, paths: Iterable[str]) -> None:
        """See `Storage.delete`."""
        for path in paths:
            with self._objects.lock:
                self._objects.pop(self._full(path))

    def delete_folder(self, folder: str) -> None:
        """See `Storage.delete_folder`."""
        self.delete([file.path for file in self.walk(folder)])

    @contextmanager
    def stage(self, path: str, final: str | None = None) -> Iterator[BinaryIO]:  # noqa: ARG002 - is renamed
        """See `Storage.stage`."""
        taken = StorageError(f"cannot write {self.uri}/{path}: the name is taken")
        if self.read(path) is not None:
            raise taken
        file = io.BytesIO()
        yield file
        if not self.create(path, file.getvalue()):
            raise taken

    def publish(self, moves: Mapping[str, str]) -> dict[str, PublishOutcome]:
        """See `Storage.publish`."""
        return {final: self._publish(staged, final) for final, staged in moves.items()}

    def sync(self, folder: str) -> None:
        """See `Storage.sync`: nothing is durable here."""

    def sweep(self, folder: str) -> None:
        """See `Storage.sweep`: an interrupted call leaves nothing."""

    def _publish(self, staged: str, final: str) -> PublishOutcome:
        with self._objects.lock:
            taken = self._objects.get(self._full(final)) is not None
            data = self._objects.get(self._full(staged))
            if data is None:
                return PublishOutcome.ALREADY_THERE if taken else PublishOutcome.LOST
            if taken:
                return PublishOutcome.TAKEN
            self._objects.put(self._full(final), data)
            self._objects.pop(self._full(staged))
            return PublishOutcome.MOVED

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}".strip("/")

    def _folders_below(self, folder: str) -> list[str]:
        """List the folders with files below a folder at any depth, relative to it."""
        full = self._full(folder)
        prefix = f"{full}/" if full else ""
        with self._objects.lock:
            return [
                path.removeprefix(prefix)
                for path in self._objects.folders
                if path.startswith(prefix) and path != full
            ]
