"""Divide a partition into lanes, ranges of offsets that are archived side by side. Pure.

A partition has one live lane, which has no end. An archive that starts with a long backlog in
Kafka starts a new live lane at the end of the partition at once; the offsets before it become a
backfill lane, which ends where the live one starts. The ledger keeps where live lanes started, so
the lanes of a start are all offsets that no claim holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from finkray.claim import TopicPartition
from finkray.ledger.state import LedgerState, PartitionState


@dataclass(frozen=True, slots=True)
class PartitionOffsets:
    """The offsets that Kafka has of a discovered partition.

    Attributes
    ----------
    start
        where to start if the ledger does not know the partition
    end
        one past the last offset
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Lane:
    """The offsets `first_offset` to `end_offset - 1`; the live lane has no end."""

    first_offset: int
    end_offset: int | None = None


def late_partitions(
    state: LedgerState,
    discovered: Mapping[TopicPartition, PartitionOffsets],
    backlog_offsets: int,
) -> dict[TopicPartition, int]:
    """Return where live lanes start, for the partitions whose backlog needs a backfill.

    Parameters
    ----------
    state
        state of the ledger, which knows all of the partitions
    discovered
        the partitions, with the offsets that Kafka has of them
    backlog_offsets
        the largest backlog that the live lane archives itself
    """
    return {
        source: offsets.end
        for source, offsets in discovered.items()
        if offsets.end - state.partitions[source].live_from > backlog_offsets
    }


def lanes_of(partition: PartitionState) -> list[Lane]:
    """Return the lanes of all offsets that no claim holds, the live one last."""
    backfill = [Lane(hole.first, hole.last + 1) for hole in partition.backlog]
    return [*backfill, Lane(partition.live_from)]
