"""Lanes: which parts of a partition are archived side by side. Pure.

A partition has one live lane, which has no end. An archive that was away and finds more than
a little in Kafka begins a new live lane at the end of the partition at once, and what lies
before it becomes a backfill lane, which ends where the live one begins. The ledger keeps
where live lanes began, and so the lanes of a start are all that no claim holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from finkray.claim import TopicPartition
from finkray.ledger.state import LedgerState, PartitionState


@dataclass(frozen=True, slots=True)
class PartitionOffsets:
    """What Kafka has of a partition that was found.

    Attributes
    ----------
    start
        where to begin if the ledger does not know it
    end
        one past its last offset
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Lane:
    """The offsets from `first_offset` to before `end_offset`; the live lane has no end."""

    first_offset: int
    end_offset: int | None = None


def late_partitions(
    state: LedgerState, found: Mapping[TopicPartition, PartitionOffsets], backlog_offsets: int
) -> dict[TopicPartition, int]:
    """Where live lanes are to begin, in partitions with a backlog that is worth a backfill.

    Parameters
    ----------
    state
        of the ledger, which knows all of the partitions
    found
        what Kafka has of them
    backlog_offsets
        the largest backlog that the live lane takes in its stride
    """
    return {
        source: edges.end
        for source, edges in found.items()
        if edges.end - state.partitions[source].live_from > backlog_offsets
    }


def lanes_of(partition: PartitionState) -> list[Lane]:
    """The lanes that bring in all that no claim holds, the live one last."""
    backfill = [Lane(hole.first, hole.last + 1) for hole in partition.backlog]
    return [*backfill, Lane(partition.live_from)]
