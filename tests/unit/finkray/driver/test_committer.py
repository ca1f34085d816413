"""A commit that the storage refuses is retried until it is in the ledger."""

import pytest

from finkray.driver.committer import RETRY_STORAGE_S, Committer
from finkray.errors import ClusterUnavailable, Fenced
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.ledger.read import read_state
from tests.support.ledgers import result, stage
from tests.support.torn_storage import TornStorage


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def archived(storage: TornStorage) -> int:
    return read_state(storage).state.balance().archived


def test_a_commit_makes_claims_durable(storage: TornStorage, ledger: Ledger) -> None:
    committer = Committer(ledger, storage)
    assert committer.commit([stage(storage, ledger.staging, result(0, 9))])
    assert archived(storage) == 10
    assert (committer.in_doubt, committer.refusal) == (False, "")


def test_after_a_refusal_the_same_claims_are_retried_after_a_pause(
    storage: TornStorage, ledger: Ledger
) -> None:
    clock = Clock()
    committer = Committer(ledger, storage, clock)
    claims = [stage(storage, ledger.staging, result(0, 9))]
    storage.arm(0, kills=False, done_first=False)
    assert not committer.commit(claims)
    assert committer.in_doubt
    assert committer.refusal == "the disk is full"
    clock.now_s = RETRY_STORAGE_S / 2
    assert not committer.commit(claims)
    assert archived(storage) == 0
    clock.now_s = RETRY_STORAGE_S
    assert committer.commit(claims)
    assert archived(storage) == 10
    assert (committer.in_doubt, committer.refusal) == (False, "")


def test_claims_whose_staged_files_are_gone_need_a_fresh_process(
    storage: TornStorage, ledger: Ledger
) -> None:
    committer = Committer(ledger, storage)
    claim = stage(storage, ledger.staging, result(0, 9))
    storage.delete(claim.staged.values())
    with pytest.raises(ClusterUnavailable, match="1 staged files were removed"):
        committer.commit([claim])


def test_staged_files_that_a_successor_has_deleted_are_a_fence(
    storage: TornStorage, ledger: Ledger
) -> None:
    committer = Committer(ledger, storage)
    claim = stage(storage, ledger.staging, result(0, 9))
    recover(Ledger.take_over(storage), storage)
    storage.arm(0, kills=False, done_first=False)
    with pytest.raises(Fenced):
        committer.commit([claim])
    assert archived(storage) == 0


def test_discarded_files_are_deleted_and_a_refusal_leaves_them(
    storage: TornStorage, ledger: Ledger
) -> None:
    committer = Committer(ledger, storage)
    claim = stage(storage, ledger.staging, result(0, 9))
    (path,) = claim.staged.values()
    storage.arm(0, kills=False, done_first=False)
    committer.discard(claim)
    assert storage.size_bytes(path) is not None
    committer.discard(claim)
    assert storage.size_bytes(path) is None
