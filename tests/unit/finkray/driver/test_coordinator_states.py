"""Whatever is lost at whatever moment, each offset is committed once, in order, without a hole."""

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from finkray.claim import TopicPartition
from finkray.driver.coordinator import Coordinator
from finkray.driver.instructions import Assign, Discard, Dispatch, Fail, Instruction, Revoke
from finkray.driver.lanes import Lane
from finkray.errors import BatchGone, StorageError
from finkray.ingest.messages import Assignment
from finkray.intervals import IntervalSet
from finkray.ledger.refusals import refuse_partly_shared
from tests.support.claim_outcomes import A, B, failed, ready_claim, staged, staged_together
from tests.support.examples import examples

FAILURES = {"BatchGone": BatchGone, "StorageError": StorageError}

Key = tuple[TopicPartition, int | None]
"""The lane with this end."""


class Night(RuleBasedStateMachine):
    """A stream of two partitions, with backfills, in which anything may be lost at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.coordinator = Coordinator(actors=2)
        self.came: set[int] = set()
        self.reader: dict[Key, tuple[int, Assignment, int]] = {}
        self.tasks: list[Dispatch] = []
        self.late: list[Dispatch] = []
        self.shared_files = 0
        self.discarded: set[str] = set()
        self.ledger = {A: IntervalSet(), B: IntervalSet()}
        # As an archive leaves it that was away twice and was not done with the first backlog.
        self.live_from = {A: 25, B: 7}
        self.holes = {A: [Lane(3, 12), Lane(15, 25)], B: [Lane(0, 7)]}
        self.ledger[A].add(0, 2)
        self.ledger[A].add(12, 14)
        self.away: set[TopicPartition] = set()
        for source, holes in self.holes.items():
            self.obey(
                self.coordinator.partitions_found({source: [*holes, Lane(self.live_from[source])]})
            )

    def obey(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            if isinstance(instruction, Assign):
                given = instruction.assignment
                # A consumer reads one place of a partition at a time.
                for key in list(self.reader):
                    if key[0] == given.source and (key[1] is None) == (given.end_offset is None):
                        del self.reader[key]
                lane = (given.source, given.end_offset)
                self.reader[lane] = (instruction.actor, given, given.offset)
            elif isinstance(instruction, Revoke):
                self.reader = {k: v for k, v in self.reader.items() if k[0] != instruction.source}
            elif isinstance(instruction, Dispatch):
                self.tasks.append(instruction)
            elif isinstance(instruction, Discard):
                if instruction.outcome.staged is not None:
                    self.discarded |= set(instruction.outcome.staged.staged.values())
            else:
                assert not isinstance(instruction, Fail)

    @precondition(lambda self: self.reader)
    @rule(data=st.data(), sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3))
    def an_actor_publishes(self, data: st.DataObject, sizes: list[int]) -> None:
        key = data.draw(st.sampled_from(sorted(self.reader, key=str)))
        for offsets in sizes:
            if key in self.reader:
                self.report_ready(key, offsets)

    def report_ready(self, key: Key, offsets: int) -> None:
        actor, given, first = self.reader[key]
        end = first + offsets if key[1] is None else min(first + offsets, key[1])
        if end == key[1]:
            del self.reader[key]
        else:
            self.reader[key] = (actor, given, end)
        claim = ready_claim(key[0], first, end - 1, given.generation)
        self.obey(self.coordinator.claims_ready(actor, [claim]))

    @precondition(lambda self: self.reader)
    @rule(data=st.data(), offsets=st.integers(1, 5))
    def an_answer_is_lost(self, data: st.DataObject, offsets: int) -> None:
        """Except for the last of its lane: an actor repeats claims that were not acknowledged."""
        key = data.draw(st.sampled_from(sorted(self.reader, key=str)))
        actor, given, first = self.reader[key]
        if key[1] is None or first + offsets < key[1]:
            self.reader[key] = (actor, given, first + offsets)

    @precondition(lambda self: self.tasks)
    @rule(
        data=st.data(),
        kind=st.sampled_from(["staged", "twice", "BatchGone", "StorageError", "lost"]),
    )
    def a_task_ends(self, data: st.DataObject, kind: str) -> None:
        task = self.tasks.pop(data.draw(st.integers(0, len(self.tasks) - 1)))
        if kind == "lost":
            self.late += [task, *self.tasks]
            self.tasks.clear()
            self.obey(self.coordinator.query_lost())
            return
        good = kind in {"staged", "twice"}
        make = staged(task.claim, task.generation)
        outcome = make if good else failed(task.claim, task.generation, FAILURES[kind]("why"))
        self.obey(self.coordinator.outcomes([outcome] * (2 if kind == "twice" else 1)))

    @precondition(lambda self: len(self.tasks) > 1)
    @rule(at=st.integers(0, 9), number=st.integers(2, 4))
    def a_task_stages_claims_in_one_file(self, at: int, number: int) -> None:
        at %= len(self.tasks) - 1
        chosen = {task.claim: task for task in self.tasks[at : at + number]}
        self.stage_in_one_file(self.tasks, list(chosen.values()))

    @precondition(lambda self: self.late)
    @rule(number=st.integers(1, 3))
    def an_outcome_of_a_lost_query_comes_after_all(self, number: int) -> None:
        chosen = {task.claim: task for task in self.late[:number]}
        self.stage_in_one_file(self.late, list(chosen.values()))

    def stage_in_one_file(self, tasks: list[Dispatch], chosen: list[Dispatch]) -> None:
        for task in chosen:
            tasks.remove(task)
        self.shared_files += 1
        claims = [(task.claim, task.generation) for task in chosen]
        self.obey(self.coordinator.outcomes(staged_together(claims, str(self.shared_files))))

    @rule(actor=st.integers(0, 1))
    def an_actor_reports_for_the_first_time(self, actor: int) -> None:
        if actor not in self.came:
            self.came.add(actor)
            self.obey(self.coordinator.actor_started(actor))

    @rule(actor=st.integers(0, 1))
    def an_actor_dies(self, actor: int) -> None:
        """An actor that has not reported yet dies unnoticed."""
        self.reader = {key: at for key, at in self.reader.items() if at[0] != actor}
        if actor in self.came:
            self.obey(self.coordinator.actor_lost(actor))

    @rule(source=st.sampled_from([A, B]))
    def a_partition_is_out_of_sight(self, source: TopicPartition) -> None:
        self.away.add(source)
        self.obey(self.coordinator.partitions_gone([source]))

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def a_partition_is_back(self, data: st.DataObject) -> None:
        self.back(data.draw(st.sampled_from(sorted(self.away))))

    def back(self, source: TopicPartition) -> None:
        """The ledger determines its lanes, as at a start."""
        self.away.remove(source)
        covered = self.ledger[source]
        live = max(self.live_from[source], (covered.last or 0) + 1)
        holes = [Lane(hole.first, hole.last + 1) for hole in covered.holes(0, live - 1)]
        self.obey(self.coordinator.partitions_found({source: [*holes, Lane(live)]}))

    @rule()
    def the_committer_commits(self) -> None:
        outcomes = self.coordinator.committable()
        ready = [outcome.claim for outcome in outcomes if outcome.claim]
        staged_claims = [outcome.staged for outcome in outcomes if outcome.staged]
        # A file that is shared has all of its claims, and was not deleted.
        refuse_partly_shared(each.result for each in staged_claims)
        assert not self.discarded & {at for each in staged_claims for at in each.staged.values()}
        for claim in ready:
            # Each offset once, and within its lane without a hole.
            assert claim.first_offset == self.ledger[claim.source].first_free(claim.first_offset)
            before = claim.first_offset - 1
            begins = {lane.first_offset for lane in self.holes[claim.source]}
            begins.add(self.live_from[claim.source])
            assert claim.first_offset in begins or self.ledger[claim.source].covers(before, before)
            self.ledger[claim.source].add(claim.first_offset, claim.last_offset)
        self.obey(self.coordinator.committed(ready)[0])

    @invariant()
    def what_is_left_to_do_is_what_is_not_in_the_ledger(self) -> None:
        for source, covered in self.ledger.items():
            if source in self.away:
                continue
            live = max(self.live_from[source], (covered.last or 0) + 1)
            left = sum(hole.size for hole in covered.holes(0, live - 1))
            assert self.coordinator.live_frontiers[source] == live
            assert self.coordinator.backlogs[source] == left
            assert self.coordinator.frontiers[source] == covered.first_free(0)

    def teardown(self) -> None:
        """Without further losses the night ends with everything committed."""
        for actor in range(2):
            self.an_actor_reports_for_the_first_time(actor)
        for source in list(self.away):
            self.back(source)
        for key in list(self.reader):
            # What comes next tells of what was not heard before.
            if key in self.reader:
                self.report_ready(key, 1)
        while self.tasks or any(key[1] is not None for key in self.reader):
            for key in [key for key in self.reader if key[1] is not None]:
                self.report_ready(key, 100)
            while self.tasks:
                chosen = {task.claim: task for task in self.tasks[:3]}
                self.stage_in_one_file(self.tasks, list(chosen.values()))
            self.the_committer_commits()
        assert self.coordinator.in_flight == 0
        for source, covered in self.ledger.items():
            assert len(covered) == 1
            assert (covered.last or 0) + 1 == self.reader[source, None][2]


TestNight = Night.TestCase
TestNight.settings = settings(max_examples=examples(100), stateful_step_count=40, deadline=None)
