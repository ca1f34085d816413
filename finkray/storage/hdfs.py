"""An archive in HDFS: ``hdfs://host:port/folder``.

Calls are made by hdfs-native, each within a limit of time (`finkray.storage.hdfs_time`). What is
written appears by a rename (`finkray.storage.hdfs_writing`). `finkray.storage.hdfs_checks` tries a
store before an archive trusts it.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from finkray.errors import StorageError
from finkray.storage.contract import PublishOutcome, StorageCheck, StoredFile
from finkray.storage.hdfs_checks import Room, check_hdfs
from finkray.storage.hdfs_client import (
    Option,
    make_client,
    shared_connection,
    timeout_of,
)
from finkray.storage.hdfs_errors import explained
from finkray.storage.hdfs_reading import read_range
from finkray.storage.hdfs_time import CallLimit
from finkray.storage.hdfs_uri import HdfsUri
from finkray.storage.hdfs_writing import (
    LEFTOVER,
    create_file,
    publish_file,
    replace_file,
    status,
    write_file,
)
from finkray.storage.odd_paths import HDFS_ODD, refuse_odd_path
from finkray.storage.ranged_file import TAIL_BYTES, ranged_file
from finkray.storage.read_only import read_only_filesystem
from finkray.storage.store_checks import refuse_unfit_store

if TYPE_CHECKING:
    from hdfs_native import Client, FileStatus

T = TypeVar("T")


class HdfsStorage:
    """A storage in a folder of HDFS.

    Parameters
    ----------
    uri
        name node and folder
    options
        see `finkray.storage.hdfs_client.make_client`
    """

    def __init__(self, uri: HdfsUri, options: Mapping[str, Option]) -> None:
        self._uri = uri
        self._options = dict(options)

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, Option]) -> "HdfsStorage":
        """Return the storage of a URI.

        Raises
        ------
        ValueError
            if the URI is malformed, its name service or an option is unknown, or the client library
            is not installed
        """
        parsed = HdfsUri.parse(uri)
        make_client(parsed, options)
        return cls(parsed, options)

    def __repr__(self) -> str:
        return f"HdfsStorage({self.uri!r})"

    def __reduce__(self) -> tuple[type["HdfsStorage"], tuple[HdfsUri, dict[str, Option]]]:
        return HdfsStorage, (self._uri, self._options)

    @property
    def uri(self) -> str:
        """See `Storage.uri`."""
        return str(self._uri)

    @property
    def filesystem(self) -> pafs.FileSystem:
        """See `Storage.filesystem`. It can only read."""
        return read_only_filesystem(self)

    def below(self, folder: str) -> "HdfsStorage":
        """See `Storage.below`."""
        return HdfsStorage(self._uri.below(folder), self._options)

    def exists(self) -> bool:
        """See `Storage.exists`. An empty folder does not."""

        def look(client: "Client", _: CallLimit) -> bool:
            try:
                return next(iter(client.list_status(self._full(""))), None) is not None
            except FileNotFoundError:
                return False

        return self._call("list", "", look)

    def checks(self, needed_bytes: int) -> Iterator[StorageCheck]:
        """See `Storage.checks`."""
        return check_hdfs(self, self._room, needed_bytes)

    def refuse_unfit(self) -> None:
        """See `Storage.refuse_unfit`."""
        refuse_unfit_store(self)

    def free_bytes(self) -> int | None:
        """See `Storage.free_bytes`: not known.

        The library cannot ask for the room of a cluster, and the quota of a folder comes with a
        count of its files, which would cost the name node too much every few seconds.
        """
        return None

    def create(self, path: str, data: bytes) -> bool:
        """See `Storage.create`."""
        full = self._full(path)
        return self._call(
            "create", path, lambda client, limit: create_file(client, full, data, limit)
        )

    def replace(self, path: str, data: bytes) -> None:
        """See `Storage.replace`."""
        full = self._full(path)
        self._call("replace", path, lambda client, limit: replace_file(client, full, data, limit))

    def read(self, path: str) -> bytes | None:
        """See `Storage.read`."""
        full = self._full(path)

        def read(client: "Client", limit: CallLimit) -> bytes | None:
            try:
                return read_range(client, full, None, limit)
            except FileNotFoundError:
                return None

        return self._call("read", path, read)

    def open(self, path: str) -> pa.NativeFile:
        """See `Storage.open`. Its size and its end are read at once."""
        full = self._full(path)

        def begin(client: "Client", limit: CallLimit) -> pa.NativeFile | None:
            found = status(client, full)
            if found is None or found.isdir:
                return None
            size = found.length
            tail = read_range(client, full, (max(0, size - TAIL_BYTES), size), limit)
            return ranged_file(size, tail, lambda start, end: self._range(path, start, end))

        try:
            file = self._call("open", path, begin)
        except StorageError as error:
            raise OSError(str(error)) from error
        if file is None:
            raise FileNotFoundError(f"{self.uri}/{path}")
        return file

    def size_bytes(self, path: str) -> int | None:
        """See `Storage.size_bytes`."""
        full = self._full(path)
        found = self._call("look at", path, lambda client, _: status(client, full))
        return None if found is None or found.isdir else found.length

    def files(self, folder: str) -> list[StoredFile]:
        """See `Storage.files`."""
        return sorted(
            self._stored(each)
            for each in self._list(folder)
            if not each.isdir and not _is_leftover(each)
        )

    def folders(self, folder: str) -> list[str]:
        """See `Storage.folders`."""
        return sorted(self._path(each) for each in self._list(folder) if each.isdir)

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """See `Storage.walk`."""
        waiting = [folder]
        while waiting:
            for each in self._list(waiting.pop()):
                if each.isdir:
                    waiting.append(self._path(each))
                else:
                    yield self._stored(each)

    def delete(self, paths: Iterable[str]) -> None:
        """See `Storage.delete`."""
        full = [self._full(path) for path in paths]

        def delete(client: "Client", limit: CallLimit) -> None:
            for path in full:
                client.delete(path, recursive=False)
                limit.moved()

        if full:
            self._call("delete", full[0], delete)

    def delete_folder(self, folder: str) -> None:
        """See `Storage.delete_folder`."""
        full = self._full(folder)
        self._call("delete", folder, lambda client, _: client.delete(full, recursive=True))

    @contextmanager
    def stage(self, path: str, final: str | None = None) -> Iterator[BinaryIO]:  # noqa: ARG002 - is renamed
        """See `Storage.stage`. The file is held in memory until the block ends."""
        full = self._full(path)
        file = io.BytesIO()
        yield file

        def write(client: "Client", limit: CallLimit) -> bool:
            try:
                write_file(client, full, file.getbuffer(), limit)
            except FileExistsError:
                return False
            return True

        if not self._call("write", path, write):
            raise StorageError(f"cannot write {self.uri}/{path}: the name is taken")

    def publish(self, moves: Mapping[str, str]) -> dict[str, PublishOutcome]:
        """See `Storage.publish`: a rename each, which the name node's journal makes durable."""
        if not moves:
            return {}
        full = {final: (self._full(staged), self._full(final)) for final, staged in moves.items()}

        def publish(client: "Client", limit: CallLimit) -> dict[str, PublishOutcome]:
            for folder in {target.rpartition("/")[0] for _, target in full.values()}:
                client.mkdirs(folder, 0o755, create_parent=True)
                limit.moved()
            outcomes = {}
            for final, (staged, target) in full.items():
                outcomes[final] = publish_file(client, staged, target, limit)
                limit.moved()
            return outcomes

        return self._call("publish", next(iter(moves)), publish)

    def sync(self, folder: str) -> None:
        """See `Storage.sync`: what the name node has answered for is in its journal."""

    def sweep(self, folder: str) -> None:
        """See `Storage.sweep`. A leftover that is still open for writing is deleted too."""
        self.delete([self._path(each) for each in self._list(folder) if _is_leftover(each)])

    def _range(self, path: str, start: int, end: int) -> bytes:
        full = self._full(path)
        try:
            return self._call(
                "read",
                path,
                lambda client, limit: read_range(client, full, (start, end), limit),
            )
        except StorageError as error:
            raise OSError(str(error)) from error

    def _room(self) -> Room:
        """Return what the quotas of the folder leave, for the checks."""
        full = self._full("")
        found = self._call("look at", "", lambda client, _: client.get_content_summary(full))
        names = found.file_count + found.directory_count
        return Room.of(found.quota, names, found.space_quota, found.space_consumed)

    def _list(self, folder: str) -> list["FileStatus"]:
        """List a folder; [] if there is none."""
        full = self._full(folder)

        def look(client: "Client", limit: CallLimit) -> list["FileStatus"]:
            found = []
            try:
                for each in client.list_status(full):
                    limit.moved()
                    # A file is listed as its own content.
                    if each.path != full:
                        found.append(each)
            except FileNotFoundError:
                return []
            return found

        return self._call("list", folder, look)

    def _stored(self, found: "FileStatus") -> StoredFile:
        return StoredFile(self._path(found), found.length)

    def _path(self, found: "FileStatus") -> str:
        return found.path[len(self._uri.full("")) :].lstrip("/")

    def _full(self, path: str) -> str:
        try:
            refuse_odd_path(path, HDFS_ODD)
        except ValueError as error:
            raise StorageError(f"{self.uri} cannot hold {path!r}: {error}") from error
        return self._uri.full(path)

    def _call(self, what: str, path: str, call: Callable[["Client", CallLimit], T]) -> T:
        """Make a call within the limit of time; a StorageError says what to do."""
        target = f"{self.uri}/{path}" if path else self.uri
        with explained(what, target, self._uri.server):
            connection = shared_connection(self._uri, self._options)
            return connection.call(timeout_of(self._options), call)


def _is_leftover(found: "FileStatus") -> bool:
    return found.path.rpartition("/")[2].startswith(LEFTOVER)
