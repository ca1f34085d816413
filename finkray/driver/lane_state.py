"""Track the lanes of a partition while they are archived. Pure, as the coordinator is."""

from dataclasses import dataclass, field

from finkray.claim import Claim
from finkray.driver.lanes import Lane
from finkray.ingest.messages import LaneKind, ReadyClaim
from finkray.query.messages import ClaimOutcome

IDLE = 0
"""The generation of a lane that no actor reads."""


@dataclass(slots=True)
class LaneState:
    """A lane that is being archived.

    Attributes
    ----------
    first_offset, end_offset
        the lane's range; a live lane has no end
    frontier
        the first offset that is not committed
    ready_to
        the first offset that no ready claim has
    generation
        number of its assignment; `IDLE` if no actor reads it
    in_flight
        ready claims that are not committed
    staged
        outcomes of those that are staged
    """

    first_offset: int
    end_offset: int | None
    frontier: int
    ready_to: int
    generation: int = IDLE
    in_flight: dict[Claim, ReadyClaim] = field(default_factory=dict)
    staged: dict[Claim, ClaimOutcome] = field(default_factory=dict)

    @classmethod
    def beginning(cls, lane: Lane) -> "LaneState":
        """Return the state of a lane of which nothing is read."""
        first = lane.first_offset
        return cls(first, lane.end_offset, first, first)

    @property
    def kind(self) -> LaneKind:
        """Whether the lane is live or a backfill."""
        return "live" if self.end_offset is None else "backfill"

    def next_staged(self) -> list[ClaimOutcome]:
        """Return the staged claims that follow the frontier without a hole."""
        staged, offset = [], self.frontier
        for claim in sorted(self.staged):
            if claim.first_offset != offset:
                break
            staged.append(self.staged[claim])
            offset = claim.last_offset + 1
        return staged

    def holds(self, offset: int) -> bool:
        """Return whether an offset lies in the lane."""
        return self.first_offset <= offset and (self.end_offset is None or offset < self.end_offset)


@dataclass(slots=True)
class PartitionLanes:
    """The lanes of a partition in order of offset, all read by one actor.

    With `closing`, Kafka does not list the partition: its ready claims are committed, and nothing
    more is read.
    """

    actor: int
    lanes: list[LaneState]
    closing: bool = False

    def lane_at(self, offset: int) -> LaneState | None:
        """Return the lane in which an offset lies, if there is one."""
        return next((lane for lane in self.lanes if lane.holds(offset)), None)

    def readable(self) -> list[LaneState]:
        """Return the lanes that may be read now: the live one and the first of the backfills."""
        backfills = [lane for lane in self.lanes if lane.end_offset is not None]
        return backfills[:1] + [lane for lane in self.lanes if lane.end_offset is None]
