"""Storages against the contract, and what is true of a folder alone."""

import ctypes
import errno
import functools
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from finkray.errors import StorageError
from finkray.storage import local
from finkray.storage.contract import PublishOutcome
from finkray.storage.local import LocalStorage
from tests.support.storage_contract import SharedStorageContract
from tests.support.torn_storage import TornStorage
from tests.support.two_storages import MakeStorage, put


class TestLocalStorage(SharedStorageContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> MakeStorage:
        return functools.partial(LocalStorage, tmp_path / "not" / "yet")


class TestTornStorage(SharedStorageContract):
    """The double that other tests let fail must be a true one as long as it does not."""

    @pytest.fixture
    def make(self, tmp_path: Path) -> MakeStorage:
        return functools.partial(_untorn, tmp_path / "archive")


def _untorn(root: Path) -> TornStorage:
    return TornStorage(LocalStorage(root))


# A folder of this machine.


def test_the_room_is_that_of_the_disk(tmp_path: Path) -> None:
    assert LocalStorage(tmp_path / "not" / "yet").free_bytes() is None
    free = LocalStorage(tmp_path).free_bytes()
    assert free is not None
    assert free == pytest.approx(
        os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize, rel=0.1
    )


def test_a_staged_file_leaves_the_memory_to_others(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    with storage.stage("alone") as file:
        file.write(os.urandom(1 << 22))
    kept = tmp_path / "kept"
    kept.write_bytes(os.urandom(1 << 22))
    assert share_in_memory(kept) == 1.0
    assert share_in_memory(tmp_path / "alone") < 0.1


def share_in_memory(path: Path) -> float:
    """How much of a file the kernel holds in memory, by mincore(2)."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as whole:
        first = ctypes.c_char.from_buffer(whole)
        pages = -(-len(whole) // mmap.PAGESIZE)
        found = (ctypes.c_ubyte * pages)()
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.mincore(ctypes.byref(first), ctypes.c_size_t(len(whole)), found)
        del first
        assert done == 0, os.strerror(ctypes.get_errno())
    return sum(flags & 1 for flags in found) / pages


def test_a_crash_between_link_and_unlink_is_mended(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    put(storage, "staging/one")
    (tmp_path / "alerts").mkdir()
    os.link(tmp_path / "staging/one", tmp_path / "alerts/one")
    assert storage.publish({"alerts/one": "staging/one"}) == {"alerts/one": PublishOutcome.MOVED}
    assert list(storage.walk("staging")) == []


def test_left_overs_of_a_create_are_not_listed_and_are_swept(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.create("log/1", b"one")
    (tmp_path / "log/.tmp-0123").write_bytes(b"half")
    assert [file.path for file in storage.files("log")] == ["log/1"]
    storage.sweep("log")
    assert [file.path for file in storage.walk("log")] == ["log/1"]


CALLS: list[Callable[[LocalStorage], object]] = [
    lambda storage: storage.create("a/new", b""),
    lambda storage: storage.replace("a/b", b""),
    lambda storage: storage.publish({"a/new": "a/b"}),
    lambda storage: put(storage, "a/new"),
    lambda storage: storage.sync("a"),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "the disk is full: make room"),
        (errno.EROFS, "mounted read-only: mount it writable"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "input/output error"),
    ],
)
def test_the_error_says_what_to_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[LocalStorage], object],
    number: int,
    advice: str,
) -> None:
    storage = LocalStorage(tmp_path)
    put(storage, "a/b")

    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    # The one step that all of them take and that a test can make fail without a disk of its own.
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=advice):
        call(storage)
    assert not list(tmp_path.glob("a/.tmp-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(StorageError, match="permission denied"):
        LocalStorage(tmp_path).create("a", b"")


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file/a"):
        LocalStorage(tmp_path / "file").create("a", b"")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files and folders that this process flushes, in order."""
    paths: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return paths


def test_what_is_durable(tmp_path: Path, synced: list[str]) -> None:
    """Every new file, and every folder that got a new name, is synced before the call returns."""
    storage = LocalStorage(tmp_path / "archive")
    root = storage.root
    storage.create("ledger/log/1", b"one")
    assert synced[:3] == [str(tmp_path), str(root), str(root / "ledger")]
    assert ".tmp-" in synced[3]
    assert synced[4:] == [str(root / "ledger/log")]
    moves = {f"alerts/hour={n % 2}/{n}": f"staging/{n}" for n in range(10)}
    for staged in moves.values():
        put(storage, staged)
    assert str(root / "staging/9") in synced
    assert str(root / "staging") in synced
    synced.clear()
    storage.publish(moves)
    for folder in (root / "alerts/hour=0", root / "alerts/hour=1"):
        assert synced.count(str(folder)) == 1


_DIES_BEFORE_FLUSHING = """
import os, sys
from pathlib import Path
from finkray.storage.local import LocalStorage

storage = LocalStorage(Path(sys.argv[1]))
with storage.stage("staging/1") as file:
    file.write(b"1")
os.fsync = lambda _: os._exit(9)
storage.publish({"alerts/hour=05/1": "staging/1"})
"""


def test_folders_of_a_process_that_died_are_flushed_by_the_next_one(
    tmp_path: Path, synced: list[str]
) -> None:
    root = tmp_path / "archive"
    died = subprocess.run(
        [sys.executable, "-c", _DIES_BEFORE_FLUSHING, str(root)], check=False, timeout=60
    )
    assert died.returncode == 9
    assert (root / "alerts").is_dir()
    storage = LocalStorage(root)
    moves = {"alerts/hour=05/1": "staging/1"}
    assert storage.publish(moves) == {"alerts/hour=05/1": PublishOutcome.MOVED}
    # From the one that holds the root down: none of them is durable by what this process has done.
    assert synced == [
        str(path) for path in (tmp_path, root, root / "alerts", root / "alerts/hour=05")
    ]
    synced.clear()
    put(storage, "staging/2")
    storage.publish({"alerts/hour=05/2": "staging/2"})
    assert str(root) in synced  # `staging` is of that process too
    assert synced.count(str(root / "alerts")) == 0


def test_a_folder_that_was_deleted_and_made_again_is_flushed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = LocalStorage(tmp_path)
    storage.create("a/b/1", b"1")
    (tmp_path / "a").rename(tmp_path / "old")  # keeps the inode
    (tmp_path / "a/b").mkdir(parents=True)
    synced: list[Path] = []
    flush = local._sync_folder
    monkeypatch.setattr(local, "_sync_folder", lambda at: (synced.append(at), flush(at)))
    storage.create("a/b/1", b"1")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a/b"]
