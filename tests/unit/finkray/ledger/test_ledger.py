"""The ledger as its one writer sees it."""

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from finkray.claim import Gap, StagedClaim, TopicPartition
from finkray.errors import Fenced, LedgerCorrupt, StorageError
from finkray.ledger.log import Ledger
from finkray.ledger.read import read_entries, read_state
from finkray.ledger.segment import BLOCK
from finkray.storage.contract import Storage
from tests.support.ledgers import ZTF, append_a_block, compact_now, result, unstaged
from tests.support.torn_storage import TornStorage


def published(ledger: Ledger) -> None:
    ledger.mark_published(list(ledger.unpublished))


def test_what_is_appended_is_there_for_the_next_archive(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    assert (ledger.epoch, ledger.is_new, ledger.frontier(ZTF)) == (1, True, None)
    seq = ledger.append([unstaged(result(10, 19)), unstaged(result(20, 29, dead=3))])
    ledger.append([unstaged(result(30, 39, gaps=[Gap("expired", 30, 35)]))])
    assert seq == 1

    later = Ledger.take_over(storage)

    assert (later.epoch, later.is_new, later.frontier(ZTF)) == (2, False, 40)
    sums = later.totals()
    assert (sums.received, sums.archived, sums.dead_lettered, sums.expired) == (30, 21, 3, 6)
    assert sums.difference == 0
    assert later.state.dead_letters_by_reason == {"truncated": 3}
    assert [entry.kind for entry in read_entries(storage)] == [
        "opened",
        "committed",
        "committed",
        "opened",
    ]


def test_the_archive_that_was_taken_over_is_fenced(storage: Storage) -> None:
    zombie = Ledger.take_over(storage)
    zombie.append([unstaged(result(0, 9))])
    living = Ledger.take_over(storage)
    for _ in range(2):
        with pytest.raises(Fenced):
            zombie.append([unstaged(result(10, 19))])
    with pytest.raises(Fenced):
        zombie.record_starts({ZTF._replace(partition=1): 0})
    living.append([unstaged(result(10, 14))])
    assert living.frontier(ZTF) == 15


def test_a_zombie_is_fenced_when_its_next_number_was_folded_away(storage: Storage) -> None:
    zombie = Ledger.take_over(storage)
    living = Ledger.take_over(storage)
    for n in range(100):
        living.append([unstaged(result(n, n))])
    published(living)
    assert compact_now(living) == 1
    assert zombie.state.last_seq == 0
    for _ in range(2):
        with pytest.raises(Fenced):
            zombie.append([unstaged(result(1000, 1009))])
    assert read_state(storage).state.frontier(ZTF) == 100
    assert Ledger.take_over(storage).epoch == 3


def test_claims_that_contradict_the_ledger_are_refused(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    ledger.append([unstaged(result(0, 99))])
    assert ledger.append([unstaged(result(0, 99))]) == 1  # tried again: known, not entered twice
    for first, last in [(0, 98), (50, 60), (99, 120), (0, 1000)]:
        with pytest.raises(LedgerCorrupt, match="in the ledger already"):
            ledger.append([unstaged(result(first, last))])
    with pytest.raises(LedgerCorrupt, match="two claims for the same offsets"):
        ledger.append([unstaged(result(100, 110)), unstaged(result(105, 120))])
    again = TopicPartition(ZTF.cluster_id, ZTF.topic, "another-topic-id", ZTF.partition)
    ledger.append([unstaged(result(0, 99, source=again))])
    assert ledger.state.last_seq == 2
    assert ledger.frontier(ZTF) == ledger.frontier(again) == 100
    with pytest.raises(LedgerCorrupt, match="in the ledger already"):
        Ledger.take_over(storage).append([unstaged(result(0, 99))])


def test_claims_that_do_not_add_up_are_refused(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    good = result(0, 99, dead=2)
    for bad in (
        replace(good, files=()),
        replace(good, dead_letters_by_reason=(("truncated", 1),)),
        replace(good, gaps=(Gap("expired", 0, 0),)),
        result(0, 99, gaps=[Gap("expired", 100, 100)]),
    ):
        with pytest.raises(ValueError, match="claim ztf"):
            ledger.append([unstaged(bad)])
    with pytest.raises(ValueError, match="not those it staged"):
        ledger.append([StagedClaim(good)])
    assert ledger.state.last_seq == 0


def test_where_a_partition_starts_outlives_the_archive(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    ledger.record_starts({ZTF: 500})
    ledger.record_starts({ZTF: 700})
    again = Ledger.take_over(storage)
    assert (again.frontier(ZTF), again.is_new) == (500, False)
    again.append([unstaged(result(510, 519))])
    assert again.frontier(ZTF) == 500
    assert again.totals().difference == 10


def test_what_lies_before_a_live_lane_waits_for_the_backfill(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    ledger.record_starts({ZTF: 0})
    ledger.append([unstaged(result(0, 99))])
    ledger.begin_live_lanes({ZTF: 500})
    ledger.begin_live_lanes({ZTF: 500})
    ledger.begin_live_lanes({ZTF: 90})
    known = Ledger.take_over(storage).state.partitions[ZTF]
    assert (known.live_from, known.deferred, known.missing) == (500, [(100, 499)], [])
    assert (ledger.totals().received, ledger.totals().waiting) == (100, 400)

    # A live claim, one of the backfill, and then the archive is away for days once more.
    again = Ledger.take_over(storage)
    again.append([unstaged(result(500, 509)), unstaged(result(100, 149))])
    again.begin_live_lanes({ZTF: 900})
    state = read_state(storage).state
    known = state.partitions[ZTF]
    assert known.deferred == [(150, 499), (510, 899)]
    assert known.live_from == 900
    sums = state.balance()
    assert (sums.received, sums.waiting, sums.difference) == (160, 350 + 390, 0)

    # Both backlogs are worked off: nothing is left that waits, or is missing.
    again.append([unstaged(result(150, 499)), unstaged(result(510, 899))])
    known = read_state(storage).state.partitions[ZTF]
    assert (known.backlog, known.received(), known.frontier) == ([], 900, 900)


def test_a_hole_in_the_middle_of_a_lane_is_missing(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    ledger.record_starts({ZTF: 0})
    ledger.begin_live_lanes({ZTF: 500})
    ledger.append([unstaged(result(0, 9)), unstaged(result(20, 29)), unstaged(result(500, 510))])
    known = read_state(storage).state.partitions[ZTF]
    assert (known.missing, known.deferred) == ([(10, 19)], [(30, 499)])
    assert known.backlog == [(10, 19), (30, 499)]
    assert ledger.totals().difference == 10


def test_a_missing_entry_is_named(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    for n in range(5):
        ledger.append([unstaged(result(n, n))])
    storage.delete([f"ledger/log/{3:020d}.json"])
    with pytest.raises(LedgerCorrupt, match="entry 3 of the ledger is missing"):
        read_state(storage)


def test_folding_changes_nothing_for_those_who_read(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    ledger.record_starts({ZTF: 0})
    for n in range(2200):
        ledger.append(
            [
                unstaged(
                    result(3 * n, 3 * n + 2, dead=n % 2, gaps=[Gap("not_delivered", 3 * n, 3 * n)])
                )
            ]
        )
    published(ledger)
    before = list(read_entries(storage))
    state = read_state(storage).state
    assert compact_now(ledger) == 2200 // 64 + 2200 // 1024
    assert read_state(storage).state == state
    after = list(read_entries(storage))
    for old, new in zip(before, after, strict=True):
        assert (old.seq, old.at, old.claims, old.starts) == (
            new.seq,
            new.at,
            new.claims,
            new.starts,
        )
    assert [entry.seq for entry in read_entries(storage, after_seq=1500)] == list(range(1501, 2202))
    assert len(storage.files("ledger/log")) + len(storage.files("ledger/folded")) < 64 + 2 * 16
    assert Ledger.take_over(storage).frontier(ZTF) == 6600


class Interrupted(TornStorage):
    """Lets something happen before the first create."""

    meanwhile: Callable[[], object] | None = None

    def create(self, path: str, data: bytes) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().create(path, data)


def test_what_the_old_archive_commits_during_a_take_over_counts(storage: Storage) -> None:
    old = Ledger.take_over(storage)
    old.append([unstaged(result(0, 9))])
    slow = Interrupted(storage)
    slow.meanwhile = lambda: old.append([unstaged(result(10, 19))])
    new = Ledger.take_over(slow)
    assert (new.epoch, new.frontier(ZTF), len(new.unpublished)) == (2, 20, 2)
    with pytest.raises(Fenced):
        old.append([unstaged(result(20, 29))])


def test_who_sleeps_in_the_middle_of_a_take_over_does_not_unseat_who_was_faster(
    storage: Storage,
) -> None:
    faster: list[Ledger] = []

    def take_over_and_go_far() -> None:
        faster.append(Ledger.take_over(storage))
        for n in range(70):
            faster[0].append([unstaged(result(n, n))])
        published(faster[0])
        compact_now(faster[0])

    slow = Interrupted(storage)
    slow.meanwhile = take_over_and_go_far
    with pytest.raises(Fenced):
        Ledger.take_over(slow)
    faster[0].append([unstaged(result(70, 70))])
    assert read_state(storage).state.frontier(ZTF) == 71


def test_nothing_is_folded_that_may_not_be_published(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    for n in range(200):
        ledger.append([unstaged(result(n, n))])
    assert compact_now(ledger) == 0
    first = next(iter(ledger.unpublished))
    ledger.mark_published([path for path in ledger.unpublished if path != first])
    assert compact_now(ledger) == 0
    ledger.mark_published([first])
    assert compact_now(ledger) == 3


@pytest.mark.parametrize("error", [StorageError("full"), pa.ArrowInvalid("odd")])
def test_a_compaction_that_fails_is_told_and_tried_again(
    storage: Storage,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> int:
        raise error

    ledger = Ledger.take_over(storage)
    append_a_block(ledger)
    with monkeypatch.context() as patch:
        patch.setattr("finkray.ledger.log.compact", refuse)
        assert compact_now(ledger) == 0
    assert "ledger not compacted, will retry with the next block" in caplog.text
    assert str(error) in caplog.text
    for n in range(BLOCK, 2 * BLOCK):
        claim = unstaged(result(10 * n, 10 * n + 9))
        ledger.append([claim])
        ledger.mark_published(list(claim.staged))
    assert compact_now(ledger) == 2
