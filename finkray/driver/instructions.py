"""The instructions of the coordinator, which the driver's loop carries out."""

from collections.abc import Sequence
from dataclasses import dataclass

from finkray.claim import Claim, TopicPartition
from finkray.errors import ClusterUnavailable
from finkray.ingest.messages import Assignment, LaneKind
from finkray.query.messages import ClaimOutcome


@dataclass(frozen=True, slots=True)
class Assign:
    """Let the actor read a lane from an offset on."""

    actor: int
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Revoke:
    """Let the actor stop reading the partition."""

    actor: int
    source: TopicPartition


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Send the claim, which has `alerts`, to the streaming query; after a pause if `delayed`.

    `write_cost` and `held_bytes` are those of its `ReadyClaim`. With `shares_files`, which the
    queue sets, its alerts may lie in one file with those of other claims of the micro-batch.
    """

    actor: int
    claim: Claim
    generation: int
    delayed: bool = False
    lane: LaneKind = "live"
    alerts: int = 0
    write_cost: int = 1
    held_bytes: int = 0
    shares_files: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """Let the actor free the batches of these claims."""

    actor: int
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete the staged files of a claim that is void."""

    outcome: ClaimOutcome


@dataclass(frozen=True, slots=True)
class Fail:
    """End this process with an error; if `retriable`, a fresh process may succeed."""

    message: str
    retriable: bool = False


Instruction = Assign | Revoke | Dispatch | Drop | Discard | Fail


def safe_in_doubt(instructions: Sequence[Instruction]) -> list[Instruction]:
    """Return the instructions that are safe while the last commit may be in the ledger or not.

    The staged files of that commit may belong to the archive by now, so `Discard` is left out. If
    they do not belong to it, the next start deletes them.

    Raises
    ------
    ClusterUnavailable
        if a lane must be read again: a fresh process learns from the ledger from which offset
    """
    if any(isinstance(instruction, Assign) for instruction in instructions):
        raise ClusterUnavailable("claims were lost while a commit was in doubt")
    return [instruction for instruction in instructions if not isinstance(instruction, Discard)]
