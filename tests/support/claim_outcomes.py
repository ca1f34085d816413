"""A coordinator with what ingest actors and Spark tasks report to it: ready claims, outcomes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from finkray.claim import Claim, ClaimResult, DataFile, Gap, StagedClaim, TopicPartition
from finkray.driver.coordinator import Coordinator
from finkray.driver.instructions import Instruction
from finkray.ingest.messages import ReadyClaim
from finkray.query.messages import ClaimFailure, ClaimOutcome

A = TopicPartition("cluster", "ztf", "id", 0)
B = TopicPartition("cluster", "ztf", "id", 1)


def ready_claim(source: TopicPartition, first: int, last: int, generation: int) -> ReadyClaim:
    none = np.array([])
    return ReadyClaim(Claim(source, first, last), generation, 0, 0, none, none, 0.0)


def staged(claim: Claim, generation: int) -> ClaimOutcome:
    gap = Gap("not_delivered", claim.first_offset, claim.last_offset)
    return ClaimOutcome(claim, generation, StagedClaim(ClaimResult(claim, gaps=(gap,)), {}), None)


def staged_together(claims: Sequence[tuple[Claim, int]], path: str) -> list[ClaimOutcome]:
    """The outcomes of claims, each with its generation, that share a file."""
    rows = sum(claim.offsets for claim, _ in claims)
    outcomes, first_row = [], 0
    for claim, generation in claims:
        first, last = claim.first_offset, claim.last_offset
        file = DataFile(path, claim.offsets, 1, first, last, "ab", "2026-11-24T01:00:00+00:00")
        file = replace(file, first_row=first_row, file_rows=rows)
        staged_claim = StagedClaim(ClaimResult(claim, files=(file,)), {path: f"staging/{path}"})
        outcomes.append(ClaimOutcome(claim, generation, staged_claim, None))
        first_row += claim.offsets
    return outcomes


def failed(claim: Claim | None, generation: int, error: Exception) -> ClaimOutcome:
    return ClaimOutcome(claim, generation, None, ClaimFailure.of(error))


def with_actors() -> Coordinator:
    """A coordinator of two actors that have both reported."""
    coordinator = Coordinator(actors=2)
    for actor in range(2):
        assert coordinator.actor_started(actor) == []
    return coordinator


def archive(coordinator: Coordinator, first: int, last: int, generation: int) -> list[Instruction]:
    """Dispatch, stage and commit a claim; return the instructions that follow."""
    claim = Claim(A, first, last)
    coordinator.claims_ready(0, [ready_claim(A, first, last, generation)])
    coordinator.outcomes([staged(claim, generation)])
    return coordinator.committed([o.claim for o in coordinator.committable() if o.claim])[0]
