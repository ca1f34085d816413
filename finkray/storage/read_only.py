"""A storage as pyarrow reads it: the same paths, and nothing can be written."""

from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from finkray.storage.contract import Storage, StoredFile


def read_only_filesystem(storage: Storage) -> pafs.FileSystem:
    """Return a storage as a file system of pyarrow that can only read."""
    return pafs.PyFileSystem(_ReadOnlyFileSystem(storage))


class _ReadOnlyFileSystem(pafs.FileSystemHandler):
    """A storage as pyarrow reads it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ReadOnlyFileSystem) and other._storage.uri == self._storage.uri

    def __hash__(self) -> int:
        return hash(self._storage.uri)

    def get_type_name(self) -> str:
        return "finkray"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        folder = selector.base_dir.strip("/")
        if selector.recursive:
            return [_file_info(file) for file in self._storage.walk(folder)]
        below = [
            pafs.FileInfo(path, pafs.FileType.Directory) for path in self._storage.folders(folder)
        ]
        return [*below, *(_file_info(file) for file in self._storage.files(folder))]

    def open_input_file(self, path: str) -> pa.NativeFile:
        return self._storage.open(path)

    open_input_stream = open_input_file

    def _info(self, path: str) -> pafs.FileInfo:
        size_bytes = self._storage.size_bytes(path)
        if size_bytes is not None:
            return _file_info(StoredFile(path, size_bytes))
        is_folder = bool(self._storage.files(path) or self._storage.folders(path))
        return pafs.FileInfo(path, pafs.FileType.Directory if is_folder else pafs.FileType.NotFound)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise OSError("read-only: write through the storage")

    copy_file = create_dir = delete_dir = delete_dir_contents = delete_file = _refuse
    delete_root_dir_contents = move = open_append_stream = open_output_stream = _refuse


def _file_info(file: StoredFile) -> pafs.FileInfo:
    return pafs.FileInfo(file.path, pafs.FileType.File, size=file.size_bytes)
