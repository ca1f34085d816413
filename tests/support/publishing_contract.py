"""The part of the contract of storages that is about files which are staged and published."""

from contextlib import suppress

import pytest

from finkray.errors import Fenced, StorageError
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, recover
from finkray.ledger.read import read_state
from finkray.storage.contract import PublishOutcome, Storage
from tests.support.ledgers import ZTF, content, result, stage
from tests.support.two_storages import MakeStorage, TwoStorages, put, run_concurrently


class PublishingContract(TwoStorages):
    """A file appears whole, once, and after its ledger entry."""

    def test_a_staged_file_is_there_when_the_block_ends_and_not_when_it_raises(
        self, storage: Storage, other: Storage
    ) -> None:
        put(storage, "staging/one", b"12345")
        assert other.size_bytes("staging/one") == 5
        with suppress(KeyError), storage.stage("staging/two") as file:
            file.write(b"half")
            raise KeyError
        assert other.size_bytes("staging/two") is None
        with pytest.raises(StorageError):
            put(storage, "staging/one")
        assert storage.read("staging/one") == b"12345"

    def test_publishing_moves_and_may_be_done_again(self, storage: Storage, other: Storage) -> None:
        moves = {f"alerts/{n % 2}/{n}": f"staging/{n}" for n in range(4)}
        for final, staged in moves.items():
            put(storage, staged, final.encode())
        assert set(storage.publish(moves).values()) == {PublishOutcome.MOVED}
        assert set(other.publish(moves).values()) == {PublishOutcome.ALREADY_THERE}
        assert {file.path for file in other.walk("alerts")} == set(moves)
        assert all(other.read(final) == final.encode() for final in moves)
        assert list(storage.walk("staging")) == []

    def test_a_file_staged_with_its_final_name_is_unseen_until_it_is_published(
        self, storage: Storage, other: Storage
    ) -> None:
        moves = {f"alerts/a=1/{n}": f"staging/7/{n}" for n in range(4)}
        for final, staged in moves.items():
            put(storage, staged, final.encode(), final)
            assert other.size_bytes(staged) == len(final)
            assert other.size_bytes(final) is None
            assert other.read(final) is None
        assert list(other.walk("alerts")) == []
        assert set(other.publish(moves).values()) == {PublishOutcome.MOVED}
        assert set(storage.publish(moves).values()) == {PublishOutcome.ALREADY_THERE}
        assert {file.path for file in other.walk("")} == set(moves)
        assert all(other.read(final) == final.encode() for final in moves)

        (final, *_) = moves
        put(storage, "staging/7/later", b"another's", final)
        assert storage.publish({final: "staging/7/later"}) == {final: PublishOutcome.TAKEN}
        assert other.read(final) == final.encode()
        put(storage, "staging/7/never", b"never published", "alerts/a=1/never")
        storage.delete(["staging/7/later"])
        other.delete_folder("staging/7")
        assert {file.path for file in other.walk("")} == set(moves)
        assert storage.publish({"alerts/a=1/never": "staging/7/never"}) == {
            "alerts/a=1/never": PublishOutcome.LOST
        }

    def test_publishing_replaces_nothing(self, storage: Storage) -> None:
        put(storage, "staging/one", b"mine")
        put(storage, "alerts/one", b"another's")
        assert storage.publish({"alerts/one": "staging/one"}) == {
            "alerts/one": PublishOutcome.TAKEN
        }
        assert storage.read("alerts/one") == b"another's"
        assert storage.read("staging/one") == b"mine"
        assert storage.publish({"alerts/two": "staging/two"}) == {"alerts/two": PublishOutcome.LOST}

    def test_the_same_files_may_be_published_concurrently(
        self, make: MakeStorage, storage: Storage
    ) -> None:
        moves = {f"alerts/{n}": f"staging/{n}" for n in range(200)}
        for staged in moves.values():
            put(storage, staged, staged.encode())
        outcomes: list[PublishOutcome] = []
        run_concurrently(*[lambda: outcomes.extend(make().publish(moves).values())] * 3)
        assert set(outcomes) <= {PublishOutcome.MOVED, PublishOutcome.ALREADY_THERE}
        assert len(outcomes) == 600
        assert all(storage.read(final) == staged.encode() for final, staged in moves.items())
        assert list(storage.walk("staging")) == []

    def test_published_files_are_seen_whole(self, storage: Storage, other: Storage) -> None:
        size = 1_000_000
        moves = {f"alerts/{n}": f"staging/{n}" for n in range(20)}
        for staged in moves.values():
            put(storage, staged, b"x" * size)

        def look() -> None:
            seen = 0
            while seen < len(moves):
                files = list(other.walk("alerts"))
                assert all(file.size_bytes == size for file in files)
                seen = len(files)

        run_concurrently(look, lambda: storage.publish(moves))

    # Ledger and commits on the storage.

    def test_an_archive_that_was_taken_over_commits_nothing_more(
        self, storage: Storage, other: Storage
    ) -> None:
        older = Ledger.take_over(storage)
        commit(older, storage, [stage(storage, older.staging, result(0, 9))])
        newer = Ledger.take_over(other)
        recover(newer, other)
        with pytest.raises(Fenced):
            older.append([stage(storage, older.staging, result(10, 19))])
        commit(newer, other, [stage(other, newer.staging, result(10, 29, dead=3))])
        reading = read_state(storage)
        assert reading.state.frontier(ZTF) == 30
        assert (reading.state.balance().archived, reading.state.balance().difference) == (27, 0)

    def test_a_commit_that_was_cut_short_is_finished_by_the_next_archive(
        self, storage: Storage, other: Storage
    ) -> None:
        claim = result(0, 9)
        first = Ledger.take_over(storage)
        first.append([stage(storage, first.staging, claim)])  # and never published
        assert list(other.walk("alerts")) == []
        recover(Ledger.take_over(other), other)
        (file,) = claim.files
        assert other.read(file.path) == content(file.path, file.rows)
        assert list(other.walk("staging")) == []
