"""What a storage must hold to; any implementation must pass all but the last part."""

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from finkray.errors import StorageError
from finkray.storage import Published, Storage, StoredFile
from finkray.storage_local import LocalStorage


@pytest.fixture(params=[LocalStorage])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    made: Storage = request.param(tmp_path / "not" / "yet")
    return made


def put(storage: Storage, path: str, data: bytes = b"data") -> None:
    with storage.stage(path) as file:
        file.write(data)


def test_an_object_is_created_once(storage: Storage) -> None:
    assert storage.read("a/b/one") is None
    assert storage.create("a/b/one", b"first")
    assert not storage.create("a/b/one", b"second")
    assert storage.read("a/b/one") == b"first"
    assert storage.files("a/b") == [StoredFile("a/b/one", 5)]


def test_of_many_who_create_one_wins_and_nobody_sees_a_part(storage: Storage) -> None:
    size = 200_000
    start = threading.Barrier(5)
    won: list[int] = []
    seen: set[bytes | None] = set()

    def create(number: int) -> None:
        start.wait()
        data = bytes([number]) * size
        won.extend(n for n in range(20) if storage.create(f"log/{n}", data))

    def look() -> None:
        start.wait()
        while len(won) < 20:
            for file in storage.files("log"):
                seen.add(storage.read(file.path))
                assert file.size_bytes == size

    threads = [threading.Thread(target=create, args=(number,)) for number in range(4)]
    threads.append(threading.Thread(target=look))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(20))
    assert all(data is not None and len(set(data)) == 1 and len(data) == size for data in seen)


def test_replace_shows_the_old_or_the_new(storage: Storage) -> None:
    storage.replace("ledger/lease", b"1" * 10_000)
    storage.replace("ledger/lease", b"2" * 10_000)
    assert storage.read("ledger/lease") == b"2" * 10_000
    assert storage.size_bytes("ledger/lease") == 10_000
    assert [file.path for file in storage.walk("ledger")] == ["ledger/lease"]


def test_what_is_not_there(storage: Storage) -> None:
    assert storage.read("x/y") is None
    assert storage.size_bytes("x/y") is None
    assert storage.files("x") == storage.folders("x") == list(storage.walk("x")) == []
    storage.delete(["x/y"])
    storage.delete_folder("x")
    storage.sweep("x")


def test_folders_and_files(storage: Storage) -> None:
    for path in ("a/2/x", "a/1/y", "a/z", "a/1/.hidden"):
        put(storage, path)
    assert storage.folders("a") == ["a/1", "a/2"]
    assert [file.path for file in storage.files("a")] == ["a/z"]
    assert sorted(file.path for file in storage.walk("a")) == [
        "a/1/.hidden",
        "a/1/y",
        "a/2/x",
        "a/z",
    ]
    storage.delete_folder("a/1")
    storage.delete(["a/z"])
    assert [file.path for file in storage.walk("a")] == ["a/2/x"]


def test_a_staged_file_is_there_when_the_block_ends_and_not_when_it_raises(
    storage: Storage,
) -> None:
    put(storage, "staging/one", b"12345")
    assert storage.size_bytes("staging/one") == 5
    with suppress(KeyError), storage.stage("staging/two") as file:
        file.write(b"half")
        raise KeyError
    assert storage.size_bytes("staging/two") is None
    with pytest.raises(StorageError):
        put(storage, "staging/one")
    assert storage.read("staging/one") == b"12345"


def test_publishing_moves_and_may_be_done_again(storage: Storage) -> None:
    moves = {f"alerts/{n % 2}/{n}": f"staging/{n}" for n in range(4)}
    for final, staged in moves.items():
        put(storage, staged, final.encode())
    assert set(storage.publish(moves).values()) == {Published.MOVED}
    assert set(storage.publish(moves).values()) == {Published.ALREADY_THERE}
    assert {file.path for file in storage.walk("alerts")} == set(moves)
    assert all(storage.read(final) == final.encode() for final in moves)
    assert list(storage.walk("staging")) == []


def test_publishing_replaces_nothing(storage: Storage) -> None:
    put(storage, "staging/one", b"mine")
    put(storage, "alerts/one", b"another's")
    assert storage.publish({"alerts/one": "staging/one"}) == {"alerts/one": Published.TAKEN}
    assert storage.read("alerts/one") == b"another's"
    assert storage.read("staging/one") == b"mine"
    assert storage.publish({"alerts/two": "staging/two"}) == {"alerts/two": Published.LOST}


def test_two_may_publish_the_same_at_once(storage: Storage) -> None:
    moves = {f"alerts/{n}": f"staging/{n}" for n in range(200)}
    for staged in moves.values():
        put(storage, staged, staged.encode())
    outcomes: list[Published] = []
    threads = [
        threading.Thread(target=lambda: outcomes.extend(storage.publish(moves).values()))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {Published.MOVED, Published.ALREADY_THERE}
    assert len(outcomes) == 600
    assert all(storage.read(final) == staged.encode() for final, staged in moves.items())
    assert list(storage.walk("staging")) == []


def test_pyarrow_reads_the_same_paths(storage: Storage) -> None:
    put(storage, "alerts/one", b"data")
    with storage.filesystem.open_input_file("alerts/one") as file:
        assert file.read() == b"data"


# A folder of this machine.


def test_a_crash_between_link_and_unlink_is_mended(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    put(storage, "staging/one")
    (tmp_path / "alerts").mkdir()
    os.link(tmp_path / "staging/one", tmp_path / "alerts/one")
    assert storage.publish({"alerts/one": "staging/one"}) == {"alerts/one": Published.MOVED}
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


def test_what_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every new file, and every folder that got a new name, is synced before the call returns."""
    storage = LocalStorage(tmp_path / "archive")
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
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
