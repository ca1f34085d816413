"""When alerts became durable, or results for them: the ledger's entries with their offsets.

The ledger alone is read, and of compacted files only the row groups that may have the offsets: a
look-up of an object costs a few of them, however long the ledger is. In a ledger that was rebuilt
the claims that were made of files have the time of the rebuild.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.ledger.read import read_tables
from finkray.storage.contract import Storage

KafkaOffset = tuple[str, int, int]
"""Topic, partition and offset."""

_COLUMNS: Final = (
    *("at", "role", "cluster_id", "topic", "topic_id", "partition"),
    *("first_offset", "last_offset", "gaps", "resolved"),
)

_Wanted = Mapping[tuple[str, int], npt.NDArray[np.int64]]


@dataclass(slots=True)
class _Commits:
    """What the ledger says of an offset, entry by entry.

    Attributes
    ----------
    topics
        cluster and id of the topics that have it
    archived_at
        of the first entry in which no gap has it
    resolved_at
        of the first entry in which it is a dead letter that became an alert
    """

    topics: set[tuple[str, str]] = field(default_factory=set)
    archived_at: datetime | None = None
    resolved_at: datetime | None = None

    @property
    def at(self) -> datetime | None:
        """The time, None if topics of the same name have the offset: it may be of any of them."""
        return None if len(self.topics) > 1 else self.resolved_at or self.archived_at


def commit_times(
    storage: Storage, offsets: Collection[KafkaOffset]
) -> dict[KafkaOffset, datetime | None]:
    """Return when each of some alerts, or its result, was committed.

    Parameters
    ----------
    storage
        of the archive, or of results
    offsets
        of messages that became alerts

    Returns
    -------
    dict
        for each of the offsets a time; None if the ledger does not say: it has no claim with the
        offset, or topics of the same name that were deleted and created again both have it

    Raises
    ------
    LedgerCorrupt
        if the ledger is damaged
    StorageError
        if it cannot be read
    """
    found: dict[KafkaOffset, _Commits] = defaultdict(_Commits)
    wanted = _by_partition(offsets)
    for table in read_tables(storage, -1, _COLUMNS, lambda about: _may_have(about, wanted)):
        for claim, offset in _claims_with(table, wanted):
            commits = found[claim["topic"], claim["partition"], offset]
            commits.topics.add((claim["cluster_id"], claim["topic_id"]))
            if commits.archived_at is None and not _is_in(offset, claim["gaps"]):
                commits.archived_at = claim["at"]
            if commits.resolved_at is None and _is_in(offset, claim["resolved"]):
                commits.resolved_at = claim["at"]
    return {each: found[each].at if each in found else None for each in offsets}


def _by_partition(offsets: Collection[KafkaOffset]) -> _Wanted:
    of_partition: dict[tuple[str, int], list[int]] = defaultdict(list)
    for topic, partition, offset in offsets:
        of_partition[topic, partition].append(offset)
    return {each: np.unique(numbers) for each, numbers in of_partition.items()}


def _claims_with(table: pa.Table, wanted: _Wanted) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each claim that has some of the offsets, with each of these."""
    claims = table.filter(pc.field("role") == "claim")
    for (topic, partition), numbers in wanted.items():
        of_topic = pc.equal(claims["topic"], topic)
        own = claims.filter(pc.and_(of_topic, pc.equal(claims["partition"], partition)))
        begins = np.searchsorted(numbers, own["first_offset"].to_numpy())
        ends = np.searchsorted(numbers, own["last_offset"].to_numpy(), side="right")
        at = np.flatnonzero(ends > begins)
        for row, begin, end in zip(own.take(at).to_pylist(), begins[at], ends[at], strict=True):
            for offset in numbers[begin:end].tolist():
                yield row, offset


def _may_have(about: pq.RowGroupMetaData, wanted: _Wanted) -> bool:
    """Return whether claims of a row group may have one of the offsets, by its columns' bounds."""
    columns = (about.column(number) for number in range(about.num_columns))
    bounds = {column.path_in_schema: column.statistics for column in columns}
    topics, partitions = bounds["topic"], bounds["partition"]
    firsts, lasts = bounds["first_offset"], bounds["last_offset"]
    if not all(each and each.has_min_max for each in (topics, partitions, firsts, lasts)):
        return True
    return any(
        topics.min <= topic <= topics.max
        and partitions.min <= partition <= partitions.max
        and ((firsts.min <= numbers) & (numbers <= lasts.max)).any()
        for (topic, partition), numbers in wanted.items()
    )


def _is_in(offset: int, spans: list[dict[str, int]] | None) -> bool:
    return any(span["first_offset"] <= offset <= span["last_offset"] for span in spans or ())
