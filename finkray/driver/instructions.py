"""What the coordinator wants to be done; the driver's loop carries it out."""

from collections.abc import Sequence
from dataclasses import dataclass

from finkray.claim import Claim, TopicPartition
from finkray.errors import ClusterUnavailable
from finkray.ingest.messages import Assignment, LaneKind
from finkray.query.messages import ClaimOutcome


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

    outcome: ClaimOutcome


@dataclass(frozen=True, slots=True)
class Fail:
    """Go on no further; if `retriable`, a fresh process may."""

    message: str
    retriable: bool = False


Instruction = Assign | Revoke | Dispatch | Drop | Discard | Fail


def in_doubt(instructions: Sequence[Instruction]) -> list[Instruction]:
    """What may be done while nobody knows whether the last commit is in the ledger.

    What was staged for it may be the archive's by now, so nothing of it is removed; if it is not,
    the next start clears it away.

    Raises
    ------
    ClusterUnavailable
        A lane is to be read again: a fresh process reads in the ledger from where.
    """
    if any(isinstance(one, Assign) for one in instructions):
        raise ClusterUnavailable("claims were lost while a commit was in doubt")
    return [one for one in instructions if not isinstance(one, Discard)]
