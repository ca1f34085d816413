"""The ledger under every order of commits, failures, crashes, take-overs, folds and zombies."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from finkray.claim import Claim, ClaimResult, DataFile, Gap, StagedClaim, TopicPartition
from finkray.errors import Fenced, StorageError
from finkray.intervals import IntervalSet
from finkray.ledger import log as ledger
from finkray.ledger import segment as ledger_segment
from finkray.ledger.claims import read_results
from finkray.ledger.entry import REVISIONS
from finkray.ledger.follow import Follower, Position
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, publish, recover
from finkray.ledger.read import read_entries, read_state
from finkray.ledger.state import PartitionState
from tests.support.examples import examples
from tests.support.ledgers import (
    ZTF,
    compact_now,
    content,
    quick_storage,
    resolved,
    result,
    sharing,
    stage,
)
from tests.support.torn_storage import Killed, TornStorage

PARTITIONS = [ZTF, ZTF._replace(partition=1)]

faults = st.one_of(st.none(), st.tuples(st.integers(0, 30), st.booleans(), st.booleans()))
"""None, or: after how many steps, whether it kills, whether the step is done first."""


@dataclass
class Lane:
    """Where the next claim of a lane begins, and where the lane ends."""

    next_offset: int
    end: int | None = None


class LedgerMachine(RuleBasedStateMachine):
    """One folder, one living archive at most, and all the dead ones that came before it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = quick_storage()
        self.storage = self.folder.__enter__()
        self.living: tuple[Ledger, TornStorage] | None = None
        self.zombies: list[Ledger] = []
        self.committed: dict[Claim, StagedClaim] = {}
        self.handed_in: list[StagedClaim] = []
        self.lanes = {source: [Lane(0)] for source in PARTITIONS}
        self.seen: list[str] = []
        self.cursor = Position()
        self.tried: dict[str, DataFile] = {}

    def teardown(self) -> None:
        self.folder.__exit__(None, None, None)

    # What may happen.

    @rule(fault=faults)
    def take_over(self, fault: tuple[int, bool, bool] | None) -> None:
        storage = TornStorage(self.storage)
        if fault is not None:
            storage.arm(fault[0], kills=fault[1], done_first=fault[2])
        previous = self.living
        try:
            opened = Ledger.take_over(storage)
            if previous is not None:
                self.zombies.append(previous[0])
            self.living = None
            recover(opened, storage)
        except (StorageError, Killed):
            # It may have got as far as its entry: then it has ended the one before.
            if previous is not None and read_state(self.storage).state.epoch > previous[0].epoch:
                if previous[0] not in self.zombies:
                    self.zombies.append(previous[0])
                self.living = None
            return
        storage.arm(None, kills=False, done_first=False)
        self.living = (opened, storage)
        self.look_what_landed()

    @precondition(lambda self: self.living is not None)
    @rule(
        sizes=st.lists(
            st.tuples(
                st.sampled_from(PARTITIONS),
                st.integers(0, 3),
                st.integers(1, 5),
                st.integers(0, 4),
            ),
            min_size=1,
            max_size=3,
        ),
        together=st.booleans(),
        fault=faults,
    )
    def commit(
        self,
        sizes: list[tuple[TopicPartition, int, int, int]],
        fault: tuple[int, bool, bool] | None,
        *,
        together: bool,
    ) -> None:
        """Commit claims, which share a file or do not; and those of a commit that failed."""
        assert self.living is not None
        archive, storage = self.living
        claims = [self.claim(*size) for size in sizes]
        for claim in sharing(claims) if together else claims:
            self.handed_in.append(stage(self.storage, archive.staging, claim))
        if fault is not None:
            storage.arm(fault[0], kills=fault[1], done_first=fault[2])
        try:
            commit(archive, storage, self.handed_in)
        except StorageError:
            return
        except Killed:
            self.living = None
            return
        finally:
            storage.arm(None, kills=False, done_first=False)
        self.committed |= {one.result.claim: one for one in self.handed_in}
        self.handed_in.clear()

    @precondition(lambda self: self.living is not None and not self.handed_in)
    @rule(source=st.sampled_from(PARTITIONS), backlog=st.integers(1, 9), fault=faults)
    def begin_a_live_lane(
        self, source: TopicPartition, backlog: int, fault: tuple[int, bool, bool] | None
    ) -> None:
        """As a start does that finds a backlog; if it fails, the archive starts anew."""
        assert self.living is not None
        archive, storage = self.living
        if fault is not None:
            storage.arm(fault[0], kills=fault[1], done_first=fault[2])
        live = self.lanes[source][-1]
        begin = live.next_offset + backlog
        try:
            archive.record_starts({source: 0})
            archive.begin_live_lanes({source: begin})
        except (StorageError, Killed):
            self.living = None
            return
        finally:
            storage.arm(None, kills=False, done_first=False)
        live.end = begin
        self.lanes[source].append(Lane(begin))

    @precondition(lambda self: self.living is not None and self.with_letters())
    @rule(data=st.data(), fault=faults)
    def resolve(self, data: st.DataObject, fault: tuple[int, bool, bool] | None) -> None:
        assert self.living is not None
        archive, storage = self.living
        before = data.draw(st.sampled_from(self.with_letters()))
        after = resolved(before).result
        late = replace(after, files=after.files[-1:], dead_letter_files=())
        one = StagedClaim(after, stage(self.storage, archive.staging, late).staged)
        self.tried |= {file.path: file for file in late.files}
        if fault is not None:
            storage.arm(fault[0], kills=fault[1], done_first=fault[2])
        try:
            commit(archive, storage, [one], kind="resolved")
        except StorageError:
            storage.arm(None, kills=False, done_first=False)
            commit(archive, storage, [one], kind="resolved")
        except Killed:
            self.living = None
            return
        finally:
            storage.arm(None, kills=False, done_first=False)
        self.committed[one.result.claim] = one

    @precondition(lambda self: self.living is not None)
    @rule(fault=faults)
    def fold(self, fault: tuple[int, bool, bool] | None) -> None:
        assert self.living is not None
        archive, storage = self.living
        if fault is not None:
            storage.arm(fault[0], kills=fault[1], done_first=fault[2])
        try:
            compact_now(archive)
        except Killed:
            self.living = None
        finally:
            storage.arm(None, kills=False, done_first=False)

    @precondition(lambda self: self.zombies and self.living is not None)
    @rule(data=st.data())
    def a_zombie_wakes_up(self, data: st.DataObject) -> None:
        zombie = data.draw(st.sampled_from(self.zombies))
        zombie._storage = self.storage
        with pytest.raises(Fenced):
            zombie.append([stage(self.storage, zombie.staging, result(10_000, 10_004))])
        compact_now(zombie)

    # What must hold at any moment.

    @invariant()
    def every_claim_is_there_once(self) -> None:
        entries = list(read_entries(self.storage))
        assert [entry.seq for entry in entries] == list(range(len(entries)))
        claims = [
            claim.claim
            for entry in entries
            for claim in entry.claims
            if entry.kind not in REVISIONS
        ]
        assert len(claims) == len(set(claims))
        known = set(self.committed)
        assert known <= set(claims) <= known | {one.result.claim for one in self.handed_in}
        state = read_state(self.storage).state
        assert state.balance().difference == 0
        assert not any(partition.missing for partition in state.partitions.values())

    @invariant()
    def what_is_not_archived_is_what_the_lanes_have_left(self) -> None:
        if self.living is None or self.handed_in:
            return
        for known in (self.living[0].state, read_state(self.storage).state):
            for source, lanes in self.lanes.items():
                partition = known.partitions.get(source, PartitionState())
                left = IntervalSet((lane.next_offset, (lane.end or 0) - 1) for lane in lanes[:-1])
                assert partition.deferred == list(left)
                assert partition.live_from == lanes[-1].next_offset

    @invariant()
    def readers_see_whole_files_of_committed_claims_only(self) -> None:
        possible = self.tried | {
            file.path: file
            for one in [*self.committed.values(), *self.handed_in]
            for file in (*one.result.files, *one.result.dead_letter_files)
        }
        for folder in ("alerts", "deadletters"):
            for path, _ in self.storage.walk(folder):
                assert self.storage.read(path) == content(path, possible[path].whole.rows)

    @invariant()
    def followers_see_each_file_once(self) -> None:
        for durable in Follower(self.storage, self.cursor).follow(wait_s=0):
            assert durable.path not in self.seen
            assert self.storage.size_bytes(durable.path) == durable.file.size_bytes
            self.seen.append(durable.path)
            self.cursor = Position.from_cursor(durable.cursor)

    @invariant()
    def a_living_archive_publishes_everything(self) -> None:
        if self.living is None or self.handed_in:
            return
        archive, _ = self.living
        publish(archive, self.storage)
        there = {path for path, _ in self.storage.walk("alerts")}
        wanted = {file.path for one in self.committed.values() for file in one.result.files}
        assert there == wanted

    @invariant()
    def a_dead_letter_counts_until_it_is_resolved(self) -> None:
        if self.living is None or self.handed_in:
            return
        dead = sum(one.result.dead_lettered for one in self.committed.values())
        state = read_state(self.storage).state
        assert state.balance().dead_lettered == dead == state.dead_letters_by_reason.total()

    # Helpers.

    def with_letters(self) -> list[ClaimResult]:
        return [one.result for one in self.committed.values() if one.result.dead_lettered]

    def claim(self, source: TopicPartition, number: int, size: int, kind: int) -> ClaimResult:
        lanes = self.lanes[source]
        lane = lanes[number % len(lanes)]
        first = lane.next_offset
        lane.next_offset = first + size if lane.end is None else min(first + size, lane.end)
        if lane.next_offset == lane.end:
            lanes.remove(lane)
        last = lane.next_offset - 1
        if kind == 1:
            return result(first, last, source=source, dead=1)
        if kind == 2:
            return result(first, last, source=source, gaps=[Gap("expired", first, first)])
        return result(first, last, source=source)

    def look_what_landed(self) -> None:
        """Like a new archive: what is in the ledger is done, what is not is read again."""
        assert self.living is not None
        landed = read_results(self.storage, [one.result.claim for one in self.handed_in])
        self.committed |= {
            one.result.claim: one for one in self.handed_in if one.result.claim in landed
        }
        self.handed_in.clear()
        for claim, now in read_results(self.storage, list(self.committed)).items():
            self.committed[claim] = StagedClaim(now)
        for source in PARTITIONS:
            known = self.living[0].state.partitions.get(source, PartitionState())
            holes = [Lane(hole.first, hole.last + 1) for hole in known.backlog]
            self.lanes[source] = [*holes, Lane(known.live_from)]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 4 entries, of which 2 make one of the next level: so that few entries fold."""
    monkeypatch.setattr(ledger, "BLOCK", 4)
    monkeypatch.setattr(ledger_segment, "FANOUT", 2)
    spans = tuple(4 * 2**level for level in range(ledger_segment.LEVELS))
    monkeypatch.setattr(ledger_segment, "_SPANS", spans)


@pytest.mark.hypothesis
def test_ledger_states() -> None:
    machine = settings(
        max_examples=examples(20),
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(LedgerMachine, settings=machine)
