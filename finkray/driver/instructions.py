"""What the coordinator wants to be done; the driver's loop carries it out."""

from dataclasses import dataclass

from finkray.claim import Claim, TopicPartition
from finkray.ingest.words import Assignment, LaneKind
from finkray.query.orders import Outcome


@dataclass(frozen=True, slots=True)
class Assign:
    """Let the actor read the lane from the offset on."""

    actor: int
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Revoke:
    """Let the actor stop reading the partition."""

    actor: int
    source: TopicPartition


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Hand the claim, with so many alerts, to the streaming query; `delayed`, after a pause."""

    actor: int
    claim: Claim
    generation: int
    delayed: bool = False
    lane: LaneKind = "live"
    alerts: int = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """Let the actor let go of the batches of these claims."""

    actor: int
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove what an outcome of an older generation left in staging."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Fail:
    """Something is wrong that trying again does not mend."""

    message: str


Instruction = Assign | Revoke | Dispatch | Drop | Discard | Fail
