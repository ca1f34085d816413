"""Commit, publish, recover: what is in the ledger comes to stand where readers look."""

import pytest

from finkray.claim import StagedClaim
from finkray.errors import Fenced, LedgerCorrupt, StorageError
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, publish, recover
from finkray.ledger.read import read_state
from finkray.storage.contract import Storage
from tests.support.ledgers import ZTF, result, stage
from tests.support.torn_storage import Killed, TornStorage


def visible(storage: Storage) -> set[str]:
    return {path for folder in ("alerts", "deadletters") for path, _ in storage.walk(folder)}


def staged(storage: Storage, ledger: Ledger, first: int, last: int) -> StagedClaim:
    return stage(storage, ledger.staging, result(first, last, dead=1))


def test_a_commit_makes_files_visible(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    claim = staged(storage, ledger, 0, 9)
    assert visible(storage) == set()
    commit(ledger, storage, [claim])
    assert visible(storage) == set(claim.staged)
    assert list(storage.walk("staging")) == []
    assert ledger.unpublished == {}


@pytest.mark.parametrize("steps", range(5))
@pytest.mark.parametrize("done_first", [True, False])
def test_a_crash_anywhere_in_a_commit_leaves_all_or_nothing(
    storage: Storage, steps: int, done_first: bool
) -> None:
    torn = TornStorage(storage)
    ledger = Ledger.take_over(torn)
    claim = staged(storage, ledger, 0, 9)
    rubbish = staged(storage, ledger, 10, 19)
    torn.arm(steps, kills=True, done_first=done_first)
    try:
        commit(ledger, torn, [claim])
    except Killed:
        pass
    else:
        assert steps > 2  # the entry, and two files

    later = Ledger.take_over(storage)
    recovery = recover(later, storage)

    landed = later.frontier(ZTF) == 10
    assert visible(storage) == (set(claim.staged) if landed else set())
    assert list(storage.walk("staging")) == []
    assert recovery.cleared == ("staging/00000001",)
    assert recovery.lost == ()
    assert not visible(storage) & set(rubbish.staged)


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("done_first", [True, False])
def test_a_commit_that_the_storage_refused_may_be_tried_again_with_more(
    storage: Storage, steps: int, done_first: bool
) -> None:
    torn = TornStorage(storage)
    ledger = Ledger.take_over(torn)
    claims = [staged(storage, ledger, 0, 9)]
    torn.arm(steps, kills=False, done_first=done_first)
    try:
        commit(ledger, torn, claims)
    except StorageError:
        claims.append(staged(storage, ledger, 10, 19))
        torn.arm(steps, kills=False, done_first=not done_first)
        try:
            commit(ledger, torn, claims)
        except StorageError:
            torn.arm(None, kills=False, done_first=False)
            commit(ledger, torn, claims)
    assert ledger.frontier(ZTF) == 10 * len(claims)
    assert read_state(storage).state.balance() == ledger.totals()
    assert visible(storage) == {path for claim in claims for path in claim.staged}


def test_a_staged_file_that_is_gone_or_cut_is_noticed_before_the_commit(
    storage: Storage,
) -> None:
    ledger = Ledger.take_over(storage)
    claim = staged(storage, ledger, 0, 9)
    victim = next(iter(claim.staged.values()))
    storage.replace(victim, b"half")
    with pytest.raises(StorageError, match="not whole"):
        commit(ledger, storage, [claim])
    storage.delete([victim])
    with pytest.raises(StorageError, match="is not there"):
        commit(ledger, storage, [claim])
    assert ledger.frontier(ZTF) is None


def test_who_finds_its_staging_cleared_by_a_successor_is_fenced(storage: Storage) -> None:
    zombie = Ledger.take_over(storage)
    claim = staged(storage, zombie, 0, 9)
    recover(Ledger.take_over(storage), storage)
    with pytest.raises(Fenced):
        commit(zombie, storage, [claim])


def test_a_strangers_file_is_never_replaced(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    claim = staged(storage, ledger, 0, 9)
    final = next(iter(claim.staged))
    with storage.stage(final) as file:
        file.write(b"a stranger's")
    ledger.append([claim])
    with pytest.raises(LedgerCorrupt, match="cannot be published"):
        commit(ledger, storage, [claim])
    later = Ledger.take_over(storage)
    with pytest.raises(LedgerCorrupt, match="move them out"):
        recover(later, storage)
    assert storage.size_bytes(claim.staged[final]) is not None
    storage.delete([final])
    recover(Ledger.take_over(storage), storage)
    assert visible(storage) == set(claim.staged)


def test_a_claim_whose_name_another_file_has_is_not_committed(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    claim = staged(storage, ledger, 0, 9)
    final = next(iter(claim.staged))
    with storage.stage(final) as file:
        file.write(b"a stranger's")
    with pytest.raises(LedgerCorrupt, match=f"nothing was committed.*{final}"):
        commit(ledger, storage, [claim])
    assert read_state(storage).state.frontier(ZTF) is None
    storage.delete([final])
    commit(ledger, storage, [claim])
    assert visible(storage) == set(claim.staged)


def test_a_committed_file_that_is_nowhere_does_not_keep_the_archive_from_starting(
    storage: Storage,
) -> None:
    ledger = Ledger.take_over(storage)
    claim = staged(storage, ledger, 0, 9)
    ledger.append([claim])
    final, at = next(iter(claim.staged.items()))
    storage.delete([at])
    later = Ledger.take_over(storage)
    assert recover(later, storage).lost == (final,)
    assert publish(later, storage) == 0
    commit(later, storage, [staged(storage, later, 10, 19)])


def test_recovery_looks_only_at_what_may_be_unpublished(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    for n in range(5):
        commit(ledger, storage, [staged(storage, ledger, 10 * n, 10 * n + 9)])
    later = Ledger.take_over(storage)
    # The last commit's publishing was never written down, for no entry came after it.
    assert len(later.unpublished) == 2
    recover(later, storage)
    assert later.unpublished == {}


def test_a_zombie_that_publishes_late_does_no_harm(storage: Storage) -> None:
    zombie = Ledger.take_over(storage)
    claim = staged(storage, zombie, 0, 9)
    zombie.append([claim])
    living = Ledger.take_over(storage)
    recover(living, storage)
    before = sorted(storage.walk("alerts"))
    assert publish(zombie, storage) == 2
    assert sorted(storage.walk("alerts")) == before
