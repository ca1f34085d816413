"""A ledger that is rolled back under its writer: nothing is appended to the older copy."""

import shutil
from pathlib import Path

import pytest

from finkray.errors import LedgerCorrupt, StorageError
from finkray.ledger.at_rest import read_at_rest
from finkray.ledger.log import Ledger
from finkray.ledger.read import read_state
from finkray.ledger.rollback import refuse_if_rolled_back
from finkray.ledger.segment import BLOCK
from finkray.storage.local import LocalStorage
from tests.support.ledgers import append_a_block, compact_now, result, unstaged
from tests.support.small_archives import SmallArchive


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "archive")


def names(storage: LocalStorage) -> list[str]:
    return sorted(file.path for file in storage.walk("ledger"))


@pytest.mark.parametrize("kept", [0, 2])
def test_a_writer_ends_when_an_older_copy_replaces_its_ledger(
    storage: LocalStorage, kept: int
) -> None:
    small = SmallArchive(storage)
    for n in range(3):
        small.put(10 * n, 10 * n + 9)
    storage.delete(names(storage)[kept:])
    older = names(storage)
    with pytest.raises(LedgerCorrupt, match=r"replaced by an older copy.*finkray ledger rebuild"):
        small.put(30, 39)
    assert names(storage) == older
    # `finkray status` and the page ask the folder, and say what a start would say.
    found = read_at_rest(storage)
    assert "lost, or older than the archive" in found.problem
    assert found.state == "stopped"
    with pytest.raises(LedgerCorrupt, match="lost, or older than the archive"):
        Ledger.take_over(storage)


def test_an_entry_that_was_compacted_is_still_there(storage: LocalStorage) -> None:
    ledger = Ledger.take_over(storage)
    append_a_block(ledger)
    assert compact_now(ledger) == 1
    refuse_if_rolled_back(storage, ledger.archive_id, BLOCK - 1)
    ledger.append([unstaged(result(10 * BLOCK, 10 * BLOCK + 9))])
    assert read_state(storage).state.last_seq == BLOCK + 1


def test_a_folder_that_is_gone_may_come_back_and_is_no_rollback(storage: LocalStorage) -> None:
    small = SmallArchive(storage)
    small.put(0, 9)
    shutil.rmtree(storage.root)
    storage.root.mkdir()
    with pytest.raises(StorageError, match="mount it again") as raised:
        refuse_if_rolled_back(storage, small.ledger.archive_id, 1)
    assert not isinstance(raised.value, LedgerCorrupt)
