"""Claims of a partition are committed in order, once, and without a hole, whatever dies."""

from collections.abc import Sequence

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from finkray.claim import Claim, ClaimResult, Gap, TopicPartition
from finkray.coordinator import (
    Assign,
    Coordinator,
    Discard,
    Dispatch,
    Drop,
    Fail,
    Instruction,
    Revoke,
)
from finkray.ingest_words import Published
from finkray.orders import Failure, Outcome
from finkray.write_claim import StagedClaim

A = TopicPartition("cluster", "ztf", "id", 0)
B = TopicPartition("cluster", "ztf", "id", 1)


def published(source: TopicPartition, first: int, last: int, generation: int) -> Published:
    none = np.array([])
    return Published(Claim(source, first, last), generation, 100, 100, none, none, 0.0)


def staged(claim: Claim, generation: int) -> Outcome:
    gap = Gap("not_delivered", claim.first_offset, claim.last_offset)
    return Outcome(claim, generation, StagedClaim(ClaimResult(claim, gaps=(gap,)), {}), None)


def failed(claim: Claim | None, generation: int, kind: str) -> Outcome:
    return Outcome(claim, generation, None, Failure(kind, "why"))


def assigned(instructions: Sequence[Instruction]) -> dict[TopicPartition, Assign]:
    return {i.assignment.source: i for i in instructions if isinstance(i, Assign)}


def reading(*sources: TopicPartition, at: int = 0) -> tuple[Coordinator, dict[TopicPartition, int]]:
    coordinator = Coordinator(actors=2)
    given = assigned(coordinator.found(dict.fromkeys(sources, at)))
    return coordinator, {source: given[source].assignment.generation for source in sources}


def test_partitions_are_shared_out_evenly() -> None:
    coordinator = Coordinator(actors=2)
    many = {TopicPartition("cluster", "ztf", "id", n): 0 for n in range(5)}
    actors = [assign.actor for assign in assigned(coordinator.found(many)).values()]
    assert sorted(actors) == [0, 0, 0, 1, 1]
    assert coordinator.found(many) == []


def test_a_claim_goes_to_the_query_then_to_the_ledger_then_is_let_go() -> None:
    coordinator, generation = reading(A, at=7)
    claim = Claim(A, 7, 9)
    assert coordinator.published(0, [published(A, 7, 9, generation[A])]) == [
        Dispatch(0, claim, generation[A])
    ]
    assert coordinator.outcomes([staged(claim, generation[A])]) == []
    assert [outcome.claim for outcome in coordinator.committable()] == [claim]
    instructions, done = coordinator.committed([claim])
    assert instructions == [Drop(0, (claim,))]
    assert [item.claim for item in done] == [claim]
    assert coordinator.frontiers == {A: 10}
    assert coordinator.in_flight == 0


def test_a_claim_waits_for_those_before_it() -> None:
    coordinator, generation = reading(A)
    coordinator.published(0, [published(A, 0, 4, generation[A]), published(A, 5, 9, generation[A])])
    coordinator.outcomes([staged(Claim(A, 5, 9), generation[A])])
    assert coordinator.committable() == []
    coordinator.outcomes([staged(Claim(A, 0, 4), generation[A])])
    assert [o.claim for o in coordinator.committable()] == [Claim(A, 0, 4), Claim(A, 5, 9)]


def test_a_lost_batch_voids_what_follows_and_reads_it_again() -> None:
    coordinator, generation = reading(A, B)
    first, second = Claim(A, 0, 4), Claim(A, 5, 9)
    coordinator.published(0, [published(A, 0, 4, generation[A]), published(A, 5, 9, generation[A])])
    coordinator.outcomes([staged(second, generation[A])])
    instructions = coordinator.outcomes([failed(first, generation[A], "BatchGone")])
    assert Discard(staged(second, generation[A])) in instructions
    assert Drop(0, (first, second)) in instructions
    again = assigned(instructions)[A].assignment
    assert again.offset == 0
    assert again.generation > generation[A]
    assert coordinator.committable() == []


def test_what_an_older_generation_still_says_is_discarded() -> None:
    coordinator, generation = reading(A)
    coordinator.published(0, [published(A, 0, 4, generation[A])])
    again = assigned(coordinator.actor_lost(0))[A].assignment
    late = staged(Claim(A, 0, 4), generation[A])
    assert coordinator.outcomes([late]) == [Discard(late)]
    assert coordinator.published(0, [published(A, 0, 4, generation[A])]) == [
        Drop(0, (Claim(A, 0, 4),))
    ]
    assert coordinator.published(0, [published(A, 0, 6, again.generation)]) == [
        Dispatch(0, Claim(A, 0, 6), again.generation)
    ]


def test_losing_an_actor_leaves_the_others_alone() -> None:
    coordinator, _ = reading(A, B)
    assert set(assigned(coordinator.actor_lost(1))) == {B}


def test_a_refusing_storage_means_the_same_claim_later() -> None:
    coordinator, generation = reading(A)
    claim = Claim(A, 0, 4)
    coordinator.published(0, [published(A, 0, 4, generation[A])])
    assert coordinator.outcomes([failed(claim, generation[A], "StorageError")]) == [
        Dispatch(0, claim, generation[A], delayed=True)
    ]
    assert coordinator.in_flight == 1


def test_an_unknown_failure_ends_the_archive() -> None:
    coordinator, generation = reading(A)
    coordinator.published(0, [published(A, 0, 4, generation[A])])
    outcomes = [
        failed(Claim(A, 0, 4), generation[A], "Unexpected"),
        failed(None, 0, "CodeMismatch"),
    ]
    assert [type(i) for i in coordinator.outcomes(outcomes)] == [Fail, Fail]


def test_a_new_query_gets_what_is_not_staged() -> None:
    coordinator, generation = reading(A)
    coordinator.published(0, [published(A, 0, 4, generation[A]), published(A, 5, 9, generation[A])])
    coordinator.outcomes([staged(Claim(A, 0, 4), generation[A])])
    assert coordinator.query_lost() == [Dispatch(0, Claim(A, 5, 9), generation[A])]


def test_a_second_outcome_of_a_claim_is_discarded() -> None:
    coordinator, generation = reading(A)
    coordinator.published(0, [published(A, 0, 4, generation[A])])
    outcome = staged(Claim(A, 0, 4), generation[A])
    assert coordinator.outcomes([outcome, outcome]) == [Discard(outcome)]


def test_a_partition_that_vanished_is_forgotten_once_its_claims_are_durable() -> None:
    coordinator, generation = reading(A)
    claim = Claim(A, 0, 4)
    coordinator.published(0, [published(A, 0, 4, generation[A])])
    assert coordinator.vanished([A]) == [Revoke(0, A)]
    coordinator.outcomes([staged(claim, generation[A])])
    coordinator.committed([claim])
    assert coordinator.frontiers == {}


def test_a_partition_that_was_out_of_sight_for_a_moment_is_read_on() -> None:
    coordinator, generation = reading(A)
    coordinator.published(0, [published(A, 0, 4, generation[A])])
    coordinator.vanished([A])
    again = assigned(coordinator.found({A: 0}))[A].assignment
    assert (again.offset, again.generation > generation[A]) == (0, True)
    coordinator.published(0, [published(A, 0, 4, again.generation)])
    coordinator.outcomes([staged(Claim(A, 0, 4), again.generation)])
    coordinator.committed([Claim(A, 0, 4)])
    assert coordinator.frontiers == {A: 5}


class Night(RuleBasedStateMachine):
    """A stream of two partitions in which anything may be lost at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.coordinator = Coordinator(actors=2)
        self.reader: dict[TopicPartition, tuple[int, int, int]] = {}
        self.tasks: list[Dispatch] = []
        self.committed: dict[TopicPartition, int] = {A: 0, B: 0}
        self.obey(self.coordinator.found({A: 0, B: 0}))

    def obey(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            if isinstance(instruction, Assign):
                given = instruction.assignment
                self.reader[given.source] = (instruction.actor, given.generation, given.offset)
            elif isinstance(instruction, Dispatch):
                self.tasks.append(instruction)

    @rule(source=st.sampled_from([A, B]), offsets=st.integers(1, 5))
    def an_actor_publishes(self, source: TopicPartition, offsets: int) -> None:
        actor, generation, first = self.reader[source]
        self.reader[source] = (actor, generation, first + offsets)
        claim = published(source, first, first + offsets - 1, generation)
        self.obey(self.coordinator.published(actor, [claim]))

    @precondition(lambda self: self.tasks)
    @rule(
        data=st.data(),
        kind=st.sampled_from(["staged", "twice", "BatchGone", "StorageError", "lost"]),
    )
    def a_task_ends(self, data: st.DataObject, kind: str) -> None:
        task = self.tasks.pop(data.draw(st.integers(0, len(self.tasks) - 1)))
        if kind == "lost":
            self.tasks.clear()
            self.obey(self.coordinator.query_lost())
            return
        good = kind in {"staged", "twice"}
        make = staged(task.claim, task.generation)
        outcome = make if good else failed(task.claim, task.generation, kind)
        self.obey(self.coordinator.outcomes([outcome] * (2 if kind == "twice" else 1)))

    @rule(actor=st.integers(0, 1))
    def an_actor_dies(self, actor: int) -> None:
        self.obey(self.coordinator.actor_lost(actor))

    @rule()
    def the_committer_commits(self) -> None:
        ready = [outcome.claim for outcome in self.coordinator.committable() if outcome.claim]
        for claim in ready:
            assert claim.first_offset == self.committed[claim.source]
            self.committed[claim.source] = claim.last_offset + 1
        self.obey(self.coordinator.committed(ready)[0])

    @invariant()
    def the_frontier_is_what_was_committed(self) -> None:
        assert self.coordinator.frontiers == self.committed

    def teardown(self) -> None:
        """Whatever happened, with no more losses the night ends with everything committed."""
        while self.tasks:
            task = self.tasks.pop(0)
            self.obey(self.coordinator.outcomes([staged(task.claim, task.generation)]))
        self.the_committer_commits()
        assert self.coordinator.in_flight == 0
        for source, (_, _, next_offset) in self.reader.items():
            assert self.committed[source] == next_offset


TestNight = Night.TestCase
TestNight.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
