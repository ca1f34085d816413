"""The ledger knows where lanes start before any of their offsets is read."""

import pytest

from finkray.claim import TopicPartition
from finkray.driver.lane_start import record_lanes
from finkray.driver.lanes import Lane, PartitionOffsets
from finkray.errors import StorageError
from finkray.ledger.log import Ledger
from finkray.ledger.read import read_state
from tests.support.torn_storage import TornStorage

SHORT = TopicPartition("cluster", "short", "id-1", 0)
LONG = TopicPartition("cluster", "long", "id-2", 0)
NEW = {SHORT: PartitionOffsets(5, 10), LONG: PartitionOffsets(0, 5000)}
BACKLOG_OFFSETS = 1000


def test_a_long_backlog_becomes_a_backfill_beside_a_live_lane_at_the_end(
    storage: TornStorage, ledger: Ledger
) -> None:
    assert record_lanes(ledger, NEW, (), BACKLOG_OFFSETS) == {
        SHORT: [Lane(5)],
        LONG: [Lane(0, 5000), Lane(5000)],
    }
    assert read_state(storage).state.partitions[LONG].live_from == 5000


def test_a_partition_that_is_read_already_keeps_its_live_lane(ledger: Ledger) -> None:
    record_lanes(ledger, NEW, (), BACKLOG_OFFSETS)
    later = {LONG: PartitionOffsets(0, 9000)}
    assert record_lanes(ledger, later, (LONG,), BACKLOG_OFFSETS) == {
        LONG: [Lane(0, 5000), Lane(5000)]
    }


def test_after_a_refusal_of_the_storage_the_call_can_be_repeated(
    storage: TornStorage, ledger: Ledger
) -> None:
    storage.arm(0, kills=False, done_first=False)
    with pytest.raises(StorageError):
        record_lanes(ledger, NEW, (), BACKLOG_OFFSETS)
    assert record_lanes(ledger, NEW, (), BACKLOG_OFFSETS)[LONG] == [Lane(0, 5000), Lane(5000)]
