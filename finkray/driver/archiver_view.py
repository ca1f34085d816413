"""The state of the archiver at one moment: what the snapshot and the alarms are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from finkray.claim import TopicPartition
from finkray.ingest.messages import IngestReport, ReadyClaim
from finkray.monitor.alarm_rules import DriverTroubles
from finkray.status.archive import State


@dataclass(frozen=True)
class ArchiverView:
    """A copy of what the driver's loop knows, which does not change with it.

    Attributes
    ----------
    state
        of the archive
    troubles
        the troubles that the loop has met
    actor_names
        of the ingest actors; the other attributes know an actor by its index here
    held_bytes_limit
        how many bytes one ingest actor may hold
    reports
        the last report of each actor that has reported
    restarts
        how often Ray restarted each actor
    actors_down
        why an actor does not answer, for those that do not
    frontiers
        the first offset that is not committed, of the live lane where a partition has one
    backlogs
        how many offsets of each partition the backfills have not committed
    readers
        which actor reads which partition
    uncommitted
        claims that are ready and not committed
    """

    state: State
    troubles: DriverTroubles
    actor_names: Sequence[str]
    held_bytes_limit: int
    reports: Mapping[int, IngestReport]
    restarts: Mapping[int, int]
    actors_down: Mapping[int, str]
    frontiers: Mapping[TopicPartition, int]
    backlogs: Mapping[TopicPartition, int]
    readers: Mapping[TopicPartition, int]
    uncommitted: Sequence[ReadyClaim]

    @cached_property
    def high_watermarks(self) -> Mapping[TopicPartition, int]:
        """High watermarks as the actors reported them."""
        return {
            source: offset
            for report in self.reports.values()
            for source, offset in report.high_watermarks.items()
        }

    @cached_property
    def lag(self) -> int:
        """Offsets that the live lanes are behind Kafka."""
        ends = self.high_watermarks
        return sum(max(0, ends.get(source, 0) - at) for source, at in self.frontiers.items())

    @property
    def backlog(self) -> int:
        """Offsets that the backfills have not committed."""
        return sum(self.backlogs.values())
