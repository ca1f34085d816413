"""A long backlog becomes a backfill, and the lanes of a start are all offsets without a claim."""

import pytest

from finkray.driver.lanes import Lane, PartitionOffsets, lanes_of, late_partitions
from finkray.intervals import IntervalSet
from finkray.ledger.state import LedgerState, Totals
from tests.support.ledgers import ZTF


def known(starts: list[int], covered: list[tuple[int, int]]) -> LedgerState:
    state = LedgerState()
    for start in starts:
        state.add_start(ZTF, start)
    if covered:
        state.add_range(ZTF, IntervalSet(covered), Totals())
    return state


@pytest.mark.parametrize(
    ("starts", "covered", "end", "late"),
    [
        ([0], [], 100, False),
        ([0], [], 101, True),
        ([0], [(0, 49)], 150, False),
        ([0], [(0, 49)], 151, True),
        # What a backfill has still to do is no backlog of the live lane.
        ([0, 1000], [(0, 49)], 1100, False),
        ([0, 1000], [(0, 49), (1000, 1019)], 1121, True),
        # Kafka has less than the ledger: it lost its end.
        ([0], [(0, 999)], 10, False),
    ],
)
def test_a_live_lane_starts_at_the_end_if_the_backlog_is_long(
    starts: list[int], covered: list[tuple[int, int]], end: int, late: bool
) -> None:
    state = known(starts, covered)
    expected = {ZTF: end} if late else {}
    assert late_partitions(state, {ZTF: PartitionOffsets(0, end)}, 100) == expected


@pytest.mark.parametrize(
    ("starts", "covered", "lanes"),
    [
        ([7], [], [Lane(7)]),
        ([0], [(0, 49)], [Lane(50)]),
        ([0, 100], [(0, 49)], [Lane(50, 100), Lane(100)]),
        ([0, 100], [(0, 49), (100, 119)], [Lane(50, 100), Lane(120)]),
        ([0, 100, 300], [(100, 119)], [Lane(0, 100), Lane(120, 300), Lane(300)]),
        ([0, 100], [(0, 104)], [Lane(105)]),
        # A hole that nobody left on purpose is brought in too.
        ([0], [(0, 9), (20, 29)], [Lane(10, 20), Lane(30)]),
    ],
)
def test_every_offset_that_no_claim_holds_is_in_a_lane(
    starts: list[int], covered: list[tuple[int, int]], lanes: list[Lane]
) -> None:
    assert lanes_of(known(starts, covered).partitions[ZTF]) == lanes
