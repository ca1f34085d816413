"""The storage in memory against the contract."""

import functools
import uuid

import pyarrow.fs as pafs
import pytest

from finkray.storage.memory import MemoryStorage
from tests.support.storage_contract import StorageContract
from tests.support.two_storages import MakeStorage, put


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def make(self) -> MakeStorage:
        return functools.partial(MemoryStorage, uuid.uuid4().hex)


def test_names_are_places_of_their_own() -> None:
    here, there = MemoryStorage(uuid.uuid4().hex), MemoryStorage(uuid.uuid4().hex)
    put(here, "one")
    assert list(there.walk("")) == []


def test_pyarrow_lists_it_and_cannot_write() -> None:
    storage = MemoryStorage(uuid.uuid4().hex)
    put(storage, "a/b/one", b"1")
    put(storage, "a/two", b"22")
    files = storage.filesystem
    listed = files.get_file_info(pafs.FileSelector("a", recursive=True))
    assert {(info.path, info.size) for info in listed if info.is_file} == {
        ("a/b/one", 1),
        ("a/two", 2),
    }
    direct = files.get_file_info(pafs.FileSelector("a"))
    assert {(info.path, info.type) for info in direct} == {
        ("a/b", pafs.FileType.Directory),
        ("a/two", pafs.FileType.File),
    }
    kinds = [info.type for info in files.get_file_info(["a", "a/two", "none"])]
    assert kinds == [pafs.FileType.Directory, pafs.FileType.File, pafs.FileType.NotFound]
    with pytest.raises(OSError, match="read-only"):
        files.delete_file("a/two")


def test_the_checks_refuse_it_for_an_archive_that_is_to_last() -> None:
    (check,) = MemoryStorage("any").checks(1)
    assert not check.ok
    assert "is lost with this process" in check.detail
