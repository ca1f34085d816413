"""Record in the ledger where the lanes of discovered partitions start."""

from collections.abc import Collection, Mapping

from finkray.claim import TopicPartition
from finkray.driver.lanes import Lane, PartitionOffsets, lanes_of, late_partitions
from finkray.ledger.log import Ledger


def record_lanes(
    ledger: Ledger,
    new: Mapping[TopicPartition, PartitionOffsets],
    known: Collection[TopicPartition],
    backlog_offsets: int,
) -> dict[TopicPartition, list[Lane]]:
    """Return the lanes of these partitions, after the ledger knows them.

    A partition with a long backlog gets a new live lane at its end, and a backfill before it.

    Parameters
    ----------
    ledger
        of the archive
    new
        offsets of the discovered partitions
    known
        partitions that this run reads already: they keep their live lane
    backlog_offsets
        the largest backlog that a live lane archives itself

    Raises
    ------
    StorageError
        if the ledger cannot be written; the call can be repeated
    """
    ledger.record_starts({source: offsets.start for source, offsets in new.items()})
    state = ledger.state
    unread = {source: offsets for source, offsets in new.items() if source not in known}
    ledger.begin_live_lanes(late_partitions(state, unread, backlog_offsets))
    return {source: lanes_of(state.partitions[source]) for source in new}
