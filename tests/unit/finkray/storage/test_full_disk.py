"""A real disk that is full or read-only, and a storage on it that says so and gets well again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from finkray.errors import StorageError
from finkray.storage.local import LocalStorage
from tests.support.small_disk import Obstructed, SmallDisk, small_disk

PLENTY = b"x" * 2_000_000


@pytest.fixture(params=["as real as can be", "stand-in"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    if request.param == "stand-in":
        (tmp_path / "disk").mkdir()
        yield Obstructed(tmp_path / "disk")
    else:
        with small_disk(tmp_path / "disk") as made:
            yield made


def stage(storage: LocalStorage, name: str) -> None:
    with storage.stage(f"staging/{name}") as file:
        file.write(PLENTY)


def test_a_full_disk_is_told_and_leaves_nothing_behind(disk: SmallDisk) -> None:
    storage = LocalStorage(disk.root / "archive")
    stage(storage, "one")
    disk.fill()
    with pytest.raises(StorageError) as refused:
        stage(storage, "two")
    if disk.real:
        assert "make room" in str(refused.value)
        with pytest.raises(StorageError, match="make room"):
            storage.create("ledger/log/1.json", PLENTY)
        assert storage.read("ledger/log/1.json") is None
        assert [file.path for file in storage.walk("")] == ["staging/one"]
        assert storage.free_bytes() is not None
    disk.make_room()
    stage(storage, "two")
    assert storage.create("ledger/log/1.json", PLENTY)
    assert storage.size_bytes("staging/two") == len(PLENTY)


def test_a_read_only_disk_is_told_and_waited_for(disk: SmallDisk) -> None:
    storage = LocalStorage(disk.root / "archive")
    stage(storage, "one")
    disk.refuse_writing()
    with pytest.raises(StorageError) as refused:
        stage(storage, "two")
    if disk.real:
        assert "mount it writable" in str(refused.value)
        with pytest.raises(StorageError, match="mount it writable"):
            storage.publish({"alerts/one": "staging/one"})
        assert storage.size_bytes("staging/one") == len(PLENTY)
    disk.allow_writing()
    storage.publish({"alerts/one": "staging/one"})
    assert storage.size_bytes("alerts/one") == len(PLENTY)
