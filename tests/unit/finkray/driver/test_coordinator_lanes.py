"""A live lane and backfills of one partition are archived side by side, each in order."""

from collections.abc import Sequence

from finkray.claim import Claim
from finkray.driver.coordinator import Coordinator
from finkray.driver.instructions import Assign, Dispatch, Fail, Instruction, Revoke
from finkray.driver.lanes import Lane
from finkray.errors import BatchGone
from finkray.ingest.messages import Assignment
from tests.support.claim_outcomes import A, archive, failed, ready_claim, staged, with_actors


def in_lanes(*ends: int) -> tuple[Coordinator, dict[int | None, Assignment]]:
    """Backfills up to each of the ends, and the live lane; assigned lanes by their end."""
    coordinator = with_actors()
    firsts = [0, *ends]
    lanes = [Lane(first, end) for first, end in zip(firsts, [*ends, None], strict=True)]
    return coordinator, by_end(coordinator.partitions_found({A: lanes}))


def by_end(instructions: Sequence[Instruction]) -> dict[int | None, Assignment]:
    return {i.assignment.end_offset: i.assignment for i in instructions if isinstance(i, Assign)}


def test_the_live_lane_is_read_beside_the_oldest_backfill() -> None:
    coordinator, given = in_lanes(100, 250)
    assert {end: one.offset for end, one in given.items()} == {100: 0, None: 250}
    assert coordinator.live_frontiers == {A: 250}
    assert coordinator.backlogs == {A: 250}
    assert coordinator.frontiers == {A: 0}


def test_claims_of_a_backfill_and_of_the_live_lane_do_not_wait_for_each_other() -> None:
    coordinator, given = in_lanes(100)
    live, backfill = Claim(A, 100, 109), Claim(A, 0, 49)
    dispatched = coordinator.claims_ready(
        0,
        [
            ready_claim(A, 100, 109, given[None].generation),
            ready_claim(A, 0, 49, given[100].generation),
        ],
    )
    assert [i.lane for i in dispatched if isinstance(i, Dispatch)] == ["live", "backfill"]
    coordinator.outcomes([staged(live, given[None].generation)])
    assert [outcome.claim for outcome in coordinator.committable()] == [live]
    coordinator.committed([live])
    coordinator.outcomes([staged(backfill, given[100].generation)])
    assert [outcome.claim for outcome in coordinator.committable()] == [backfill]
    coordinator.committed([backfill])
    assert coordinator.live_frontiers == {A: 110}
    assert coordinator.backlogs == {A: 50}


def test_the_next_backfill_starts_when_one_is_complete() -> None:
    coordinator, given = in_lanes(100, 250)
    assert by_end(archive(coordinator, 0, 49, given[100].generation)) == {}
    then = by_end(archive(coordinator, 50, 99, given[100].generation))
    assert {end: one.offset for end, one in then.items()} == {250: 100}
    assert by_end(archive(coordinator, 100, 249, then[250].generation)) == {}
    assert coordinator.backlogs == {A: 0}
    assert coordinator.frontiers == coordinator.live_frontiers == {A: 250}


def test_a_lost_batch_of_a_backfill_does_not_affect_the_live_lane() -> None:
    coordinator, given = in_lanes(100)
    lost, live = Claim(A, 0, 9), ready_claim(A, 100, 104, given[None].generation)
    coordinator.claims_ready(0, [ready_claim(A, 0, 9, given[100].generation), live])
    instructions = coordinator.outcomes([failed(lost, given[100].generation, BatchGone("gone"))])
    assert set(by_end(instructions)) == {100}
    assert coordinator.outcomes([staged(live.claim, live.generation)]) == []
    assert [outcome.claim for outcome in coordinator.committable()] == [live.claim]


def test_when_an_actor_dies_its_lanes_and_no_others_are_read_again() -> None:
    coordinator, _ = in_lanes(100, 250)
    assert set(by_end(coordinator.actor_lost(0))) == {100, None}


def test_an_archive_that_drains_assigns_no_lane() -> None:
    coordinator, given = in_lanes(100, 250)
    coordinator.claims_ready(0, [ready_claim(A, 250, 259, given[None].generation)])
    coordinator.drain()
    assert by_end(archive(coordinator, 0, 99, given[100].generation)) == {}
    assert coordinator.in_flight == 1
    lost = failed(Claim(A, 250, 259), given[None].generation, BatchGone("gone"))
    assert by_end(coordinator.outcomes([lost])) == {}
    assert coordinator.in_flight == 0


def test_a_claim_beyond_the_end_of_its_lane_ends_the_archive() -> None:
    coordinator, given = in_lanes(100)
    instructions = coordinator.claims_ready(0, [ready_claim(A, 0, 100, given[100].generation)])
    assert [type(instruction) for instruction in instructions] == [Fail]


def test_a_partition_that_is_listed_again_has_all_its_lanes() -> None:
    coordinator, given = in_lanes(100, 250)
    coordinator.claims_ready(0, [ready_claim(A, 0, 9, given[100].generation)])
    assert coordinator.partitions_gone([A]) == [Revoke(0, A)]
    assert coordinator.frontiers == {A: 0}
    again = by_end(coordinator.partitions_found({A: [Lane(0, 100), Lane(100, 250), Lane(250)]}))
    assert {end: one.offset for end, one in again.items()} == {100: 0, None: 250}
    assert coordinator.backlogs == {A: 250}
