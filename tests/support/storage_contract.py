"""Tests of the contract `finkray.storage.contract.Storage`, which every implementation must pass.

    class TestMyStorage(SharedStorageContract):
        @pytest.fixture
        def make(self, tmp_path: Path) -> MakeStorage:
            return functools.partial(MyStorage, location)

Each call of `make` opens the same location, as a second process or another machine would. `make`
is pickled, and called in other processes too. The location is empty, and need not exist yet. A
storage that only one process can see passes `StorageContract` alone.
"""

import multiprocessing
import os
import pickle
import signal
import threading
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from finkray.storage.contract import PublishOutcome, Storage, StoredFile
from finkray.storage.opening import StorageLocation, open_storage
from tests.support.publishing_contract import PublishingContract
from tests.support.two_storages import MakeStorage, put, run_concurrently


class StorageContract(PublishingContract):
    """Promises of a storage within a process: `storage` and `other` open the same location."""

    # Small objects.

    def test_an_object_is_created_once(self, storage: Storage, other: Storage) -> None:
        assert storage.read("a/b/one") is None
        assert storage.create("a/b/one", b"first")
        assert not storage.create("a/b/one", b"second")
        assert not other.create("a/b/one", b"third")
        assert other.read("a/b/one") == b"first"
        assert other.files("a/b") == [StoredFile("a/b/one", 5)]

    def test_an_empty_object_exists(self, storage: Storage) -> None:
        assert storage.create("a/empty", b"")
        assert storage.read("a/empty") == b""
        assert not storage.create("a/empty", b"full")

    def test_one_of_many_creators_wins_and_readers_see_whole_objects(
        self, make: MakeStorage, storage: Storage
    ) -> None:
        size = 200_000
        won: list[int] = []
        seen: set[bytes | None] = set()

        def create(number: int) -> None:
            mine = make()
            data = bytes([number]) * size
            won.extend(n for n in range(20) if mine.create(f"log/{n}", data))

        def look() -> None:
            while len(won) < 20:
                for file in storage.files("log"):
                    seen.add(storage.read(file.path))
                    assert file.size_bytes == size

        run_concurrently(*(lambda number=number: create(number) for number in range(4)), look)
        assert sorted(won) == list(range(20))
        assert all(data is not None and len(set(data)) == 1 and len(data) == size for data in seen)

    def test_replace_shows_the_old_or_the_new(self, storage: Storage, other: Storage) -> None:
        storage.replace("ledger/lease", b"1" * 10_000)
        seen: set[bytes | None] = set()

        def replace() -> None:
            for number in range(2, 60):
                storage.replace("ledger/lease", bytes([number]) * 10_000)

        def look() -> None:
            data = None
            while data != bytes([59]) * 10_000:
                data = other.read("ledger/lease")
                seen.add(data)

        run_concurrently(replace, look)
        assert all(data is not None and len(set(data)) == 1 for data in seen)
        assert {len(data) for data in seen if data is not None} == {10_000}
        assert [file.path for file in storage.walk("ledger")] == ["ledger/lease"]

    # Lists.

    def test_missing_files_and_folders_read_as_none_or_empty(self, storage: Storage) -> None:
        assert storage.read("x/y") is None
        assert storage.size_bytes("x/y") is None
        assert (storage.files("x"), storage.folders("x"), list(storage.walk("x"))) == ([], [], [])
        storage.delete(["x/y"])
        storage.delete_folder("x")
        storage.sweep("x")

    def test_folders_and_files(self, storage: Storage, other: Storage) -> None:
        for path in ("a/2/x", "a/1/y", "a/z", "a/b", "a/1/.hidden", "ab/c"):
            put(storage, path)
        assert other.folders("") == ["a", "ab"]
        assert other.folders("a") == ["a/1", "a/2"]
        assert [file.path for file in other.files("a")] == ["a/b", "a/z"]
        assert other.files("") == []
        assert sorted(file.path for file in other.walk("a")) == [
            "a/1/.hidden",
            "a/1/y",
            "a/2/x",
            "a/b",
            "a/z",
        ]
        storage.delete_folder("a/1")
        storage.delete(["a/z", "a/b"])
        assert [file.path for file in other.walk("a")] == ["a/2/x"]
        assert len(list(other.walk(""))) == 2

    def test_a_list_of_many_files_is_complete(self, storage: Storage) -> None:
        """More files than object stores return in one page of a list."""
        wanted = {f"log/{number:05d}" for number in range(1200)}
        for path in wanted:
            put(storage, path, b"1")
        assert {file.path for file in storage.files("log")} == wanted
        assert {file.path for file in storage.walk("")} == wanted

    def test_what_stays_is_listed_while_others_come_and_go(
        self, storage: Storage, other: Storage
    ) -> None:
        stays = [f"log/{number:03d}-stays" for number in range(0, 300, 3)]
        for path in stays:
            storage.create(path, b"stays")
        done = threading.Event()

        def come_and_go() -> None:
            for number in range(150):
                storage.create(f"log/{number:03d}-comes", b"comes")
                storage.delete([f"log/{number - 1:03d}-comes"])
            done.set()

        def look() -> None:
            while not done.is_set():
                paths = [file.path for file in other.files("log")]
                assert set(paths).issuperset(stays)
                assert paths == sorted(paths)
                assert {file.path for file in other.walk("log")}.issuperset(stays)

        run_concurrently(come_and_go, look)

    # The location, and reading from it.

    def test_free_bytes_are_positive_or_not_bounded(self, storage: Storage) -> None:
        storage.free_bytes()  # also before the location exists
        put(storage, "a/one")
        free = storage.free_bytes()
        assert free is None or free > 0

    def test_pyarrow_reads_the_same_paths(self, storage: Storage, other: Storage) -> None:
        table = pa.table({"kafka_offset": [1, 2, 3]})
        with storage.stage("staging/one") as file:
            pq.write_table(table, file)
        storage.publish({"alerts/topic=a b/one.parquet": "staging/one"})
        with other.filesystem.open_input_file("alerts/topic=a b/one.parquet") as source:
            assert pq.read_table(source) == table
        with pytest.raises(FileNotFoundError):
            other.filesystem.open_input_file("alerts/none.parquet")

    def test_a_file_is_opened_at_any_position(self, storage: Storage, other: Storage) -> None:
        put(storage, "alerts/one", b"0123456789")
        with other.open("alerts/one") as file, other.open("alerts/one") as second:
            assert file.size() == 10
            file.seek(4)
            assert file.read(3) == b"456"
            assert second.read() == b"0123456789"
        for path in ("alerts/none", "none/one"):
            with pytest.raises(FileNotFoundError):
                other.open(path)

    def test_a_storage_below_sees_the_folder_as_its_root(
        self, storage: Storage, other: Storage
    ) -> None:
        below = storage.below("science/a b/1")
        assert not below.exists()
        assert below.create("ledger/one", b"1")
        put(below, "staging/two", b"22")
        below.publish({"results/two": "staging/two"})
        assert below.exists()
        assert other.read("science/a b/1/ledger/one") == b"1"
        assert below.uri == f"{other.uri}/science/a b/1"
        assert below.files("") == []
        assert below.folders("ledger") == []
        assert set(below.folders("")) - {"staging"} == {"ledger", "results"}
        assert sorted(below.walk("")) == [
            StoredFile("ledger/one", 1),
            StoredFile("results/two", 2),
        ]
        with below.below("results").open("two") as file:
            assert file.read() == b"22"
        table = pa.table({"n": [1]})
        with below.stage("table") as sink:
            pq.write_table(table, sink)
        with below.filesystem.open_input_file("table") as source:
            assert pq.read_table(source) == table

    def test_it_exists_when_something_is_stored(self, storage: Storage, other: Storage) -> None:
        assert not storage.exists()
        put(other, "a/one")
        assert storage.exists()

    def test_the_uri_opens_the_same_location(self, storage: Storage) -> None:
        put(storage, "a/one", b"1")
        assert open_storage(StorageLocation(storage.uri)).read("a/one") == b"1"

    def test_a_pickled_copy_opens_the_same_location(self, storage: Storage) -> None:
        put(storage, "a/one", b"1")
        copy: Storage = pickle.loads(pickle.dumps(storage))
        assert copy.read("a/one") == b"1"

    def test_checks_leave_nothing_behind(self, storage: Storage) -> None:
        assert all(check.detail for check in storage.checks(1))
        assert list(storage.walk("")) == []


class SharedStorageContract(StorageContract):
    """Promises of a storage within a process and across processes."""

    def test_one_of_many_creating_processes_wins(self, make: MakeStorage) -> None:
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(3) as pool:
            won = pool.starmap(_create_many, [(make, number, 200) for number in range(3)])
        assert sorted(chain.from_iterable(won)) == list(range(200))

    def test_another_process_finishes_what_a_killed_one_published_in_part(
        self, make: MakeStorage, storage: Storage
    ) -> None:
        moves = {f"alerts/{n % 7}/{n}": f"staging/{n}" for n in range(300)}
        for staged in moves.values():
            put(storage, staged, staged.encode())
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(target=_publish, args=(make, moves))
        process.start()
        while process.is_alive() and not storage.folders("alerts"):
            pass
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        outcomes = storage.publish(moves)
        assert set(outcomes.values()) <= {PublishOutcome.MOVED, PublishOutcome.ALREADY_THERE}
        assert all(storage.read(final) == staged.encode() for final, staged in moves.items())
        assert {file.path for file in storage.walk("")} == set(moves)


def _create_many(make: MakeStorage, number: int, objects: int) -> list[int]:
    storage = make()
    return [n for n in range(objects) if storage.create(f"log/{n}", bytes([number]))]


def _publish(make: MakeStorage, moves: dict[str, str]) -> None:
    make().publish(moves)
