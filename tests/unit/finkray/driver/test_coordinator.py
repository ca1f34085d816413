"""Claims of a partition are committed in order, once, and without a hole, whatever is lost."""

from collections.abc import Sequence
from typing import TypeVar

import pytest

from finkray.claim import Claim, TopicPartition
from finkray.driver.coordinator import Coordinator
from finkray.driver.instructions import (
    Assign,
    Discard,
    Dispatch,
    Drop,
    Fail,
    Instruction,
    Revoke,
    safe_in_doubt,
)
from finkray.driver.lanes import Lane
from finkray.errors import BatchGone, ClusterUnavailable, CodeMismatch, StorageError
from finkray.query.messages import ClaimOutcome
from tests.support.claim_outcomes import (
    A,
    B,
    archive,
    failed,
    ready_claim,
    staged,
    staged_together,
    with_actors,
)

Kind = TypeVar("Kind", bound=Instruction)


def assigned(instructions: Sequence[Instruction]) -> dict[TopicPartition, Assign]:
    return {i.assignment.source: i for i in instructions if isinstance(i, Assign)}


def reading(*sources: TopicPartition, at: int = 0) -> tuple[Coordinator, dict[TopicPartition, int]]:
    coordinator = with_actors()
    given = assigned(coordinator.partitions_found({source: [Lane(at)] for source in sources}))
    return coordinator, {source: given[source].assignment.generation for source in sources}


def test_partitions_are_shared_out_evenly() -> None:
    coordinator = with_actors()
    many = {TopicPartition("cluster", "ztf", "id", n): [Lane(0)] for n in range(5)}
    actors = [assign.actor for assign in assigned(coordinator.partitions_found(many)).values()]
    assert sorted(actors) == [0, 0, 0, 1, 1]
    assert coordinator.partitions_found(many) == []


def test_a_claim_is_dispatched_then_committed_then_dropped() -> None:
    coordinator, generation = reading(A, at=7)
    claim = Claim(A, 7, 9)
    assert coordinator.claims_ready(0, [ready_claim(A, 7, 9, generation[A])]) == [
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
    coordinator.claims_ready(
        0, [ready_claim(A, 0, 4, generation[A]), ready_claim(A, 5, 9, generation[A])]
    )
    coordinator.outcomes([staged(Claim(A, 5, 9), generation[A])])
    assert coordinator.committable() == []
    coordinator.outcomes([staged(Claim(A, 0, 4), generation[A])])
    assert [o.claim for o in coordinator.committable()] == [Claim(A, 0, 4), Claim(A, 5, 9)]


def test_a_lost_batch_voids_the_claims_after_it_and_they_are_read_again() -> None:
    coordinator, generation = reading(A, B)
    first, second = Claim(A, 0, 4), Claim(A, 5, 9)
    coordinator.claims_ready(
        0, [ready_claim(A, 0, 4, generation[A]), ready_claim(A, 5, 9, generation[A])]
    )
    coordinator.outcomes([staged(second, generation[A])])
    instructions = coordinator.outcomes([failed(first, generation[A], BatchGone("gone"))])
    assert Discard(staged(second, generation[A])) in instructions
    assert Drop(0, (first, second)) in instructions
    again = assigned(instructions)[A].assignment
    assert again.offset == 0
    assert again.generation > generation[A]
    assert coordinator.committable() == []


def test_claims_and_outcomes_of_an_older_generation_are_discarded() -> None:
    coordinator, generation = reading(A)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    again = assigned(coordinator.actor_lost(0))[A].assignment
    late = staged(Claim(A, 0, 4), generation[A])
    assert coordinator.outcomes([late]) == [Discard(late)]
    assert coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])]) == [
        Drop(0, (Claim(A, 0, 4),))
    ]
    assert coordinator.claims_ready(0, [ready_claim(A, 0, 6, again.generation)]) == [
        Dispatch(0, Claim(A, 0, 6), again.generation)
    ]


def test_a_claim_whose_report_was_lost_is_read_again() -> None:
    """A reply of the actor was lost, so the next claim leaves a hole."""
    coordinator, generation = reading(A)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    later = [ready_claim(A, 8, 9, generation[A]), ready_claim(A, 10, 12, generation[A])]
    instructions = coordinator.claims_ready(0, later)
    again = assigned(instructions)[A].assignment
    assert (again.offset, again.generation > generation[A]) == (0, True)
    dropped = [claim for one in instructions if isinstance(one, Drop) for claim in one.claims]
    assert sorted(dropped) == [Claim(A, 0, 4), Claim(A, 8, 9), Claim(A, 10, 12)]
    archive(coordinator, 0, 12, again.generation)
    assert coordinator.frontiers == {A: 13}


def test_a_lost_report_while_draining_keeps_the_claims_before_it() -> None:
    coordinator, generation = reading(A, B)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    coordinator.claims_ready(1, [ready_claim(B, 0, 4, generation[B])])
    coordinator.partitions_gone([A])
    hole = Claim(A, 8, 9)
    assert coordinator.claims_ready(0, [ready_claim(A, 8, 9, generation[A])]) == [Drop(0, (hole,))]
    coordinator.drain()
    hole = Claim(B, 8, 9)
    assert coordinator.claims_ready(1, [ready_claim(B, 8, 9, generation[B])]) == [Drop(1, (hole,))]
    assert coordinator.in_flight == 2


def test_an_actor_that_dies_before_its_first_report_loses_no_lane() -> None:
    """Ray restarts the actor, whose first report looks the same."""
    coordinator = Coordinator(actors=2)
    assert coordinator.partitions_found({A: [Lane(0)], B: [Lane(0)]}) == []
    assert set(assigned(coordinator.actor_started(1))) == {B}
    assert set(assigned(coordinator.actor_started(0))) == {A}
    assert set(assigned(coordinator.actor_lost(0))) == {A}


def test_the_loss_of_an_actor_does_not_affect_the_others() -> None:
    coordinator, _ = reading(A, B)
    assert set(assigned(coordinator.actor_lost(1))) == {B}


def test_a_claim_that_the_storage_refused_is_dispatched_later() -> None:
    coordinator, generation = reading(A)
    claim = Claim(A, 0, 4)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    assert coordinator.outcomes([failed(claim, generation[A], StorageError("full"))]) == [
        Dispatch(0, claim, generation[A], delayed=True)
    ]
    assert coordinator.in_flight == 1


@pytest.mark.parametrize(
    ("error", "retriable"),
    [
        (CodeMismatch("another finkray"), False),
        (ClusterUnavailable("the raylet is gone"), True),
        (MemoryError("nobody foresaw it"), True),
    ],
)
@pytest.mark.parametrize("claim", [Claim(A, 0, 4), None])
def test_another_failure_ends_the_process_which_restarts_if_it_is_retriable(
    error: Exception, claim: Claim | None, *, retriable: bool
) -> None:
    coordinator, generation = reading(A)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    (fail,) = coordinator.outcomes([failed(claim, generation[A] if claim else 0, error)])
    assert isinstance(fail, Fail)
    assert fail.retriable is retriable


def test_while_a_commit_is_in_doubt_this_process_reads_no_lane_again() -> None:
    coordinator, generation = reading(A)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    coordinator.outcomes([staged(Claim(A, 0, 4), generation[A])])
    with pytest.raises(ClusterUnavailable, match="in doubt"):
        safe_in_doubt(coordinator.actor_lost(0))


def test_while_a_commit_is_in_doubt_its_files_stay_even_in_a_drain() -> None:
    coordinator, generation = reading(A)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    outcome = staged(Claim(A, 0, 4), generation[A])
    coordinator.outcomes([outcome])
    coordinator.drain()
    lost = coordinator.actor_lost(0)
    assert Discard(outcome) in lost
    assert safe_in_doubt(lost) == [Drop(0, (Claim(A, 0, 4),))]


def test_a_restarted_query_gets_the_claims_that_are_not_staged() -> None:
    coordinator, generation = reading(A)
    coordinator.claims_ready(
        0, [ready_claim(A, 0, 4, generation[A]), ready_claim(A, 5, 9, generation[A])]
    )
    coordinator.outcomes([staged(Claim(A, 0, 4), generation[A])])
    assert coordinator.query_lost() == [Dispatch(0, Claim(A, 5, 9), generation[A])]


def test_a_second_outcome_of_a_claim_is_discarded() -> None:
    coordinator, generation = reading(A)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    outcome = staged(Claim(A, 0, 4), generation[A])
    assert coordinator.outcomes([outcome, outcome]) == [Discard(outcome)]


def test_a_deleted_partition_is_forgotten_once_its_claims_are_durable() -> None:
    coordinator, generation = reading(A)
    claim = Claim(A, 0, 4)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    assert coordinator.partitions_gone([A]) == [Revoke(0, A)]
    coordinator.outcomes([staged(claim, generation[A])])
    coordinator.committed([claim])
    assert coordinator.frontiers == {}


def test_a_partition_that_was_not_listed_for_a_moment_is_read_on() -> None:
    coordinator, generation = reading(A)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    coordinator.partitions_gone([A])
    again = assigned(coordinator.partitions_found({A: [Lane(0)]}))[A].assignment
    assert (again.offset, again.generation > generation[A]) == (0, True)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, again.generation)])
    coordinator.outcomes([staged(Claim(A, 0, 4), again.generation)])
    coordinator.committed([Claim(A, 0, 4)])
    assert coordinator.frontiers == {A: 5}


# Claims that share files.


def sharing() -> tuple[Coordinator, dict[TopicPartition, int], list[ClaimOutcome]]:
    """Two claims each of A and B are ready; the second of A and the first of B share a file."""
    coordinator, generation = reading(A, B)
    for actor, source in enumerate([A, B]):
        claims = [ready_claim(source, first, first + 4, generation[source]) for first in (0, 5)]
        coordinator.claims_ready(actor, claims)
    together = [(Claim(A, 5, 9), generation[A]), (Claim(B, 0, 4), generation[B])]
    return coordinator, generation, staged_together(together, "x")


def test_claims_that_share_a_file_are_committed_at_once() -> None:
    coordinator, generation, outcomes = sharing()
    assert coordinator.outcomes(outcomes) == []
    assert coordinator.committable() == []
    coordinator.outcomes([staged(Claim(A, 0, 4), generation[A])])
    claims = [outcome.claim for outcome in coordinator.committable() if outcome.claim]
    assert claims == [Claim(A, 0, 4), Claim(A, 5, 9), Claim(B, 0, 4)]
    coordinator.committed(claims)
    assert coordinator.frontiers == {A: 10, B: 5}


def test_claims_that_share_no_file_do_not_wait_for_those_that_do() -> None:
    coordinator, generation = reading(A, B)
    coordinator.claims_ready(0, [ready_claim(A, 0, 4, generation[A])])
    coordinator.claims_ready(1, [ready_claim(B, 0, 4, generation[B])])
    coordinator.claims_ready(1, [ready_claim(B, 5, 9, generation[B])])
    coordinator.outcomes([staged(Claim(B, 0, 4), generation[B])])
    assert [outcome.claim for outcome in coordinator.committable()] == [Claim(B, 0, 4)]


def test_two_files_whose_claims_wait_for_each_other_are_committed_at_once() -> None:
    coordinator, generation, _ = sharing()
    for first, second in (((A, 5), (B, 0)), ((A, 0), (B, 5))):
        claims = [(Claim(source, at, at + 4), generation[source]) for source, at in (first, second)]
        assert coordinator.committable() == []
        coordinator.outcomes(staged_together(claims, f"with-{first[1]}"))
    assert len(coordinator.committable()) == 4


def test_if_a_claim_is_void_those_that_share_its_file_are_dispatched_again() -> None:
    coordinator, generation, outcomes = sharing()
    coordinator.outcomes(outcomes)
    gone = failed(Claim(A, 0, 4), generation[A], BatchGone("gone"))
    instructions = coordinator.outcomes([gone])
    again = Dispatch(1, Claim(B, 0, 4), generation[B])
    discarded = of_type(instructions, Discard)
    assert all(Discard(outcome) in discarded for outcome in outcomes)
    assert of_type(instructions, Dispatch) == [again]
    assert set(assigned(instructions)) == {A}
    coordinator.outcomes([staged(Claim(B, 0, 4), generation[B])])
    assert [outcome.claim for outcome in coordinator.committable()] == [Claim(B, 0, 4)]


def test_a_shared_file_with_a_void_claim_is_discarded_when_it_comes() -> None:
    coordinator, generation, outcomes = sharing()
    coordinator.actor_lost(0)
    assert coordinator.outcomes(outcomes) == [
        *map(Discard, outcomes),
        Dispatch(1, Claim(B, 0, 4), generation[B]),
    ]


def of_type(instructions: Sequence[Instruction], kind: type[Kind]) -> list[Kind]:
    return [instruction for instruction in instructions if isinstance(instruction, kind)]
