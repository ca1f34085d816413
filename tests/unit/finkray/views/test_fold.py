"""A fold of a ledger comes to the same state, however often it is cut short."""

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.errors import StorageError
from finkray.ledger.entry import log_path
from finkray.ledger.follow import Durable
from finkray.ledger.rebuild import rebuild
from finkray.storage.contract import Storage
from finkray.views.fold import START, Fold, StoredState, read_stored_state, unmarked
from tests.support.examples import examples
from tests.support.ledgers import Topics, quick_storage
from tests.support.small_archives import SmallArchive

PATH = "views/offsets.json"


class Offsets(Fold[list[int]]):
    """All offsets of an archive, in the order in which they became durable."""

    def __init__(self, storage: Storage) -> None:
        self.offsets: list[int] = []
        super().__init__(storage, PATH, "offsets")

    @staticmethod
    def parse(data: bytes) -> StoredState[list[int]]:
        raw = json.loads(data)
        return StoredState(raw["offsets"], raw["cursor"])

    def restore(self, state: list[int] | None) -> None:
        self.offsets = list(state or ())

    def add(self, durable: Durable) -> None:
        with self.storage.open(durable.path) as source:
            self.offsets += pq.read_table(source, partitioning=None)["kafka_offset"].to_pylist()

    def dump(self, cursor: str) -> bytes:
        return json.dumps({"offsets": self.offsets, "cursor": cursor}).encode()


@pytest.fixture
def small() -> Iterator[SmallArchive]:
    with quick_storage() as storage:
        yield SmallArchive(storage)


steps = st.lists(st.sampled_from(["put", "catch up", "one file", "keep", "die", "rebuild"]))


@settings(max_examples=examples(20), deadline=None)
@given(steps)
def test_whenever_it_dies_each_file_is_added_once(order: list[str]) -> None:
    with quick_storage() as storage:
        small = SmallArchive(storage)
        fold, offset = Offsets(storage), 0
        for step in order:
            match step:
                case "put":
                    small.put(offset, offset + 79)  # two files
                    offset += 80
                case "catch up":
                    fold.catch_up(100)
                case "one file":
                    fold.catch_up(1)
                case "keep":
                    fold.keep()
                case "die":
                    fold = Offsets(storage)
                case _:
                    fold.rebuild()
        fold.catch_up(1000)
        assert fold.offsets == list(range(offset))


def test_a_file_that_cannot_be_read_now_is_added_later(
    small: SmallArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.put(0, 9)
    fold = Offsets(small.storage)
    with monkeypatch.context() as patch:

        def refuse(_: object, durable: Durable) -> None:
            raise pa.ArrowInvalid(f"{durable.path} is cut short")

        patch.setattr(Offsets, "add", refuse)
        with pytest.raises(StorageError, match=r"offsets cannot be read: .* is cut short"):
            fold.catch_up(10)
    assert fold.catch_up(10) == 1
    assert fold.offsets == list(range(10))


@pytest.mark.parametrize("data", [b"half of", b'{"offsets": [], "cursor": "x"}'])
def test_what_is_not_readable_is_made_anew(small: SmallArchive, data: bytes) -> None:
    small.put(0, 9)
    small.storage.replace(PATH, data)
    fold = Offsets(small.storage)
    assert fold.cursor == START
    fold.catch_up(10)
    fold.keep()
    kept = read_stored_state(small.storage, PATH, Offsets.parse)
    assert kept is not None
    assert kept.state == list(range(10))
    assert unmarked(kept.cursor)[0] == fold.cursor


def test_a_state_of_another_ledger_does_not_count(small: SmallArchive) -> None:
    small.put(0, 9)
    small.storage.replace(PATH, b'{"offsets": [7], "cursor": "1:99:0"}')
    assert read_stored_state(small.storage, PATH, Offsets.parse) is None
    assert Offsets(small.storage).offsets == []


@pytest.mark.parametrize("restarts", [False, True])
def test_a_ledger_that_was_rebuilt_with_other_numbers_is_read_again(
    small: SmallArchive, *, restarts: bool
) -> None:
    for first in range(0, 50, 10):
        small.put(first, first + 9)
    fold = Offsets(small.storage)
    fold.catch_up(3)
    fold.keep()
    # Of the second entry nothing is left but its files, which come last in the new ledger.
    small.storage.delete([log_path(2)])
    rebuild(small.storage, Topics(), lease_ttl_s=60.0)
    if restarts:
        fold = Offsets(small.storage)
        assert fold.cursor == START
    fold.catch_up(100)
    assert sorted(fold.offsets) == list(range(50))
    fold.keep()
    again = Offsets(small.storage)
    assert again.catch_up(100) == 0
    assert again.offsets == fold.offsets


def test_a_state_of_an_earlier_finkray_without_a_mark_counts(small: SmallArchive) -> None:
    small.put(0, 9)
    fold = Offsets(small.storage)
    fold.catch_up(100)
    small.storage.replace(PATH, fold.dump(fold.cursor))
    assert Offsets(small.storage).offsets == list(range(10))
