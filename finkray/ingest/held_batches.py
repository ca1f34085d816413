"""The batches that an ingest actor holds, and how many bytes of which topic they are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finkray.claim import Claim, TopicPartition
from finkray.errors import BatchGone
from finkray.ingest.messages import LaneKind


@dataclass(frozen=True, slots=True)
class _HeldBatch:
    """A batch in memory: what `store` returned for it, its size and its lane."""

    handle: Any
    nbytes: int
    lane: LaneKind
    generation: int


class HeldBatches:
    """Batches that are ready and not durable, by claim. Its user locks it."""

    def __init__(self) -> None:
        self._batches: dict[Claim, _HeldBatch] = {}
        self._bytes: Counter[tuple[LaneKind, str]] = Counter()
        self._claims: Counter[LaneKind] = Counter()

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, claim: Claim, handle: Any, nbytes: int, lane: LaneKind, generation: int) -> None:
        """Hold a batch of this size."""
        self._batches[claim] = _HeldBatch(handle, nbytes, lane, generation)
        self._bytes[lane, claim.source.topic] += nbytes
        self._claims[lane] += 1

    def handle(self, claim: Claim) -> Any:
        """Return what `store` returned for the batch of a claim.

        Raises
        ------
        BatchGone
            if it is not held
        """
        held = self._batches.get(claim)
        if held is None:
            raise BatchGone(f"{claim} is not held by this actor")
        return held.handle

    def free(self, claims: Sequence[Claim]) -> None:
        """Free the batches of these claims, as far as they are held."""
        for claim in claims:
            held = self._batches.pop(claim, None)
            if held is not None:
                self._bytes[held.lane, claim.source.topic] -= held.nbytes
                self._claims[held.lane] -= 1

    def free_void(self, source: TopicPartition, lane: LaneKind, generation: int) -> None:
        """Free the batches of older generations of a lane; the driver may not know of them."""
        self.free(
            [
                claim
                for claim, held in self._batches.items()
                if claim.source == source and held.lane == lane and held.generation < generation
            ]
        )

    def claims_of(self, lane: LaneKind) -> int:
        """Return how many claims of these lanes are held."""
        return self._claims[lane]

    def bytes_of(self, lane: LaneKind | None = None, topic: str | None = None) -> int:
        """Return the bytes that are held, of all lanes and topics or of one."""
        if lane is not None and topic is not None:
            return self._bytes[lane, topic]
        return sum(
            nbytes
            for (of_lane, of_topic), nbytes in self._bytes.items()
            if lane in (None, of_lane) and topic in (None, of_topic)
        )
