"""An archive compares its ledger with its folder: "not there" is not "new"."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from finkray.errors import LedgerCorrupt, StorageError
from finkray.ledger.entry import Entry, log_path
from finkray.ledger.identity import IDENTITY_PATH, Identity, read_identity
from finkray.ledger.lease import LEASE_PATH, Lease
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, recover
from finkray.ledger.read import read_entries, read_state
from finkray.ledger.segment import BLOCK
from finkray.storage.contract import Storage
from finkray.storage.layout import alerts_path, dead_letters_path
from finkray.storage.local import LocalStorage
from tests.support.ledgers import ZTF, append_a_block, compact_now, result, stage, unstaged


def archive(storage: Storage, claims: int) -> Ledger:
    """Take an archive over and add claims of ten offsets, with their files."""
    ledger = Ledger.take_over(storage)
    recover(ledger, storage)
    for _ in range(claims):
        first = ledger.frontier(ZTF) or 0
        commit(ledger, storage, [stage(storage, ledger.staging, result(first, first + 9, dead=1))])
    return ledger


def entries(storage: Storage) -> list[str]:
    return [file.path for file in storage.files("ledger/log")]


def refused(storage: Storage, message: str) -> None:
    """Assert that a start is refused and writes no entry."""
    before, identity = entries(storage), storage.read(IDENTITY_PATH)
    with pytest.raises(LedgerCorrupt, match=message):
        Ledger.take_over(storage)
    assert entries(storage) == before
    assert storage.read(IDENTITY_PATH) == identity


@pytest.mark.parametrize("lost", [1, 2, 5])
@pytest.mark.parametrize("identity_is_lost", [False, True])
def test_a_ledger_that_lost_its_tail_is_refused(
    storage: Storage, lost: int, *, identity_is_lost: bool
) -> None:
    archive(storage, 6)
    storage.delete(entries(storage)[-lost:])
    if identity_is_lost:
        storage.delete([IDENTITY_PATH])
    refused(storage, r"files have offsets that no claim has.*`finkray audit` lists as stray")


@pytest.mark.parametrize("identity_is_lost", [False, True])
def test_files_without_a_ledger_are_no_new_archive(
    storage: Storage, *, identity_is_lost: bool
) -> None:
    archive(storage, 3)
    storage.delete_folder("ledger")
    if identity_is_lost:
        storage.delete([IDENTITY_PATH])
    refused(storage, "lost, or older than the archive")


def test_dead_letters_alone_without_a_ledger_are_no_new_archive(storage: Storage) -> None:
    assert storage.create(dead_letters_path(ZTF, date(2026, 11, 24), 0, 9), b"letters")
    refused(storage, "1 files have offsets that no claim has, as deadletters/")


def test_files_of_a_producer_whose_clock_is_ahead_hide_no_lost_tail(storage: Storage) -> None:
    """As alerts with Kafka timestamps of 2098 and 2099, which are archived under these years."""
    archive(storage, 6)
    for year in (2097, 2098, 2099):
        storage.create(dead_letters_path(ZTF, date(year, 1, 1), 0, 9), b"letters")
        ahead = datetime(year, 1, 1, tzinfo=UTC)
        storage.create(alerts_path(ZTF, ahead, 0, 9, "abcdef01" * 8), b"alerts")
    storage.delete(entries(storage)[-1:])
    storage.delete([IDENTITY_PATH])
    refused(storage, "files have offsets that no claim has")


def test_a_ledger_without_its_last_runs_is_refused_without_any_file(storage: Storage) -> None:
    for _ in range(3):
        Ledger.take_over(storage)
    storage.delete(entries(storage)[-1:])
    refused(storage, "ends with entry 1 of epoch 2, but it had entry 2 of epoch 3")


def test_an_identity_without_a_ledger_is_no_new_archive(storage: Storage) -> None:
    Ledger.take_over(storage)
    storage.delete(entries(storage))
    refused(storage, "ends with entry -1 of epoch 0")


def test_a_ledger_rolled_back_by_a_block_is_refused_without_any_file(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    append_a_block(ledger)
    copy = {path: storage.read(path) for path in entries(storage)[:10]}
    assert compact_now(ledger) == 1
    storage.delete_folder("ledger")
    for path, data in copy.items():
        assert storage.create(path, data or b"")
    refused(storage, f"it had entry {BLOCK}")


def test_a_ledger_of_another_archive_is_refused(storage: Storage) -> None:
    archive(storage, 1)
    storage.replace(IDENTITY_PATH, Identity("another").to_bytes())
    refused(storage, "folder of archive another")


def test_entries_of_two_archives_are_no_ledger(storage: Storage) -> None:
    archive(storage, 2)
    path = entries(storage)[-1]
    raw = json.loads(storage.read(path) or b"")
    del raw["crc32"]
    storage.replace(path, json.dumps(raw | {"archive_id": "another"}).encode())
    with pytest.raises(LedgerCorrupt, match="belongs to archive another at entry 2"):
        read_state(storage)


def test_an_archive_from_before_the_identity_gets_one(storage: Storage) -> None:
    archive(storage, 2)
    storage.delete([IDENTITY_PATH])
    for path in entries(storage):
        raw = json.loads(storage.read(path) or b"")
        del raw["archive_id"], raw["crc32"]
        storage.replace(path, json.dumps(raw).encode())
    assert read_state(storage).state.archive_id is None
    ledger = archive(storage, 1)
    found = read_identity(storage)
    assert found is not None
    assert (found.epoch, found.last_seq) == (2, 3)
    ids = [entry.archive_id for entry in read_entries(storage)]
    assert ids == [None] * 3 + [found.archive_id] * 2
    assert ledger.frontier(ZTF) == 30


def test_a_deleted_identity_is_written_again_from_the_ledger(storage: Storage) -> None:
    archive(storage, 1)
    before = read_identity(storage)
    storage.delete([IDENTITY_PATH])
    archive(storage, 1)
    after = read_identity(storage)
    assert before is not None
    assert after is not None
    assert after.archive_id == before.archive_id


def test_a_crash_after_the_identity_of_a_new_archive_is_no_lost_ledger(storage: Storage) -> None:
    storage.create(IDENTITY_PATH, Identity("mine").to_bytes())
    Ledger.take_over(storage)
    assert Entry.from_bytes(storage.read(log_path(0)) or b"", 0).archive_id == "mine"


def test_compacted_entries_keep_the_identity(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    append_a_block(ledger)
    assert compact_now(ledger) == 1
    found = read_identity(storage)
    assert found is not None
    assert found.last_seq == BLOCK
    assert read_state(storage).state.archive_id == found.archive_id
    assert {entry.archive_id for entry in read_entries(storage)} == {found.archive_id}


def test_a_damaged_identity_is_named(storage: Storage) -> None:
    archive(storage, 1)
    storage.replace(IDENTITY_PATH, b"{")
    refused(storage, IDENTITY_PATH)


def test_nothing_is_committed_into_a_folder_that_vanished(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "archive")
    ledger = archive(storage, 1)
    claim = stage(storage, ledger.staging, result(10, 19))
    storage.root.rename(tmp_path / "unmounted")
    storage.root.mkdir()
    with pytest.raises(StorageError, match="mount it again"):
        commit(ledger, storage, [claim])
    with pytest.raises(StorageError, match="mount it again"):
        ledger.append([claim])
    assert list(storage.walk("")) == []
    storage.root.rmdir()
    (tmp_path / "unmounted").rename(storage.root)
    commit(ledger, storage, [claim])
    assert ledger.frontier(ZTF) == 20
    assert Ledger.take_over(storage).frontier(ZTF) == 20


def test_an_archive_stops_when_its_folder_became_another_archives(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "archive")
    ledger = archive(storage, 1)
    storage.root.rename(tmp_path / "mine")
    archive(storage, 1)
    before = entries(storage)
    with pytest.raises(LedgerCorrupt, match="mount the right one"):
        ledger.append([unstaged(result(10, 19))])
    assert entries(storage) == before


def test_a_lease_is_not_written_into_a_folder_that_vanished(storage: Storage) -> None:
    with Lease.acquire(storage, ttl_s=60.0) as lease:
        storage.delete([LEASE_PATH])
        with pytest.raises(StorageError, match="mount it again"):
            lease.renew()
        assert storage.read(LEASE_PATH) is None
        assert not lease.lost
