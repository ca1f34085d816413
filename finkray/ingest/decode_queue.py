"""The claims of an ingest actor that are cut and not decoded yet; their topics take turns.

Messages are cheap to poll, and a claim may be costly to decode: a turn is one bounded step of one
claim (`finkray.packets.divide.BatchSteps`), so that no topic waits for all that another one sent.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from finkray.claim import TopicPartition
from finkray.errors import StorageError
from finkray.ingest.intake import CutClaim
from finkray.ingest.lane import PolledMessage
from finkray.ingest.messages import Assignment, LaneKind
from finkray.packets.batch import AlertBatch
from finkray.packets.bounds import DecodeBounds
from finkray.packets.divide import BatchSteps
from finkray.turns import Turns

if TYPE_CHECKING:  # imports polars, and each archiving task loads the actor's class to call it
    from finkray.packets.decode import Decoder


STORAGE_PAUSE_S = 1.0
"""Pause before a claim is decoded again after the storage refused the entry of a new schema."""

log = logging.getLogger(__name__)


class DecodedBatch(NamedTuple):
    """A batch, the messages that it was decoded from, and the assignment that it belongs to."""

    assignment: Assignment
    batch: AlertBatch
    messages: Sequence[PolledMessage]


@dataclass(slots=True)
class _Waiting:
    """A claim that waits; `batches` yields what is decoded of it, step by step.

    `left_bytes` is the size of its messages that are in no batch yet.
    """

    assignment: Assignment
    cut: CutClaim[PolledMessage]
    batches: Iterator[AlertBatch]
    left_bytes: int


class DecodeQueue:
    """Claims that wait to be decoded, by lane and topic. Not thread-safe, but for `waiting_bytes`.

    Parameters
    ----------
    decoder
        decodes all of them
    bounds
        of a step
    dead_letter_bytes
        how many bytes of a message its dead letter keeps

    Attributes
    ----------
    waiting_bytes
        size of their messages that are in no batch yet, for each kind of lane; thread-safe
    """

    def __init__(self, decoder: Decoder, bounds: DecodeBounds, dead_letter_bytes: int) -> None:
        self._decoder = decoder
        self._bounds = bounds
        self._dead_letter_bytes = dead_letter_bytes
        self._refused: dict[str, tuple[float, str]] = {}
        self._turns: dict[LaneKind, Turns[str, _Waiting]] = {"live": Turns(), "backfill": Turns()}
        self.waiting_bytes: dict[LaneKind, int] = {"live": 0, "backfill": 0}

    def __len__(self) -> int:
        return sum(map(len, self._turns.values()))

    def add(self, assignment: Assignment, cut: CutClaim[PolledMessage]) -> None:
        """Append a claim to the queue of its topic."""
        batches = BatchSteps(
            cut.claim,
            [polled.raw for polled in cut.messages],
            cut.gaps,
            self._decoder,
            bounds=self._bounds,
            dead_letter_bytes=self._dead_letter_bytes,
        )
        waiting = _Waiting(assignment, cut, batches, cut.size_bytes)
        self._turns[assignment.lane].add(cut.claim.source.topic, waiting)
        self.waiting_bytes[assignment.lane] += cut.size_bytes

    @property
    def storage_trouble(self) -> str:
        """Why a topic waits for the archive's storage; "" if none does; thread-safe."""
        return next((why for _, why in list(self._refused.values())), "")

    def waiting_bytes_by_topic(self, lane: LaneKind) -> Counter[str]:
        """Return the size of the messages of each topic."""
        sizes: Counter[str] = Counter()
        for waiting in self._turns[lane]:
            sizes[waiting.cut.claim.source.topic] += waiting.left_bytes
        return sizes

    def step(self, lane: LaneKind, may_decode: Callable[[str], bool]) -> DecodedBatch | None:
        """Decode a batch of the topic whose turn it is; None if no topic may be decoded.

        Parameters
        ----------
        lane
            of which lanes
        may_decode
            whether there is room for another batch of a topic
        """
        turns = self._turns[lane]
        passed_over = self._waiting_for_storage()
        while (topic := turns.next_key(passed_over)) is not None:
            if not may_decode(topic):
                passed_over.add(topic)
                continue
            waiting = turns.first(topic)
            try:
                batch = next(waiting.batches, None)
            except StorageError as error:
                self._wait_for_storage(waiting, error)
                passed_over.add(topic)
                continue
            self._refused.pop(topic, None)
            if batch is None:
                turns.pop(topic)
                continue
            turns.pass_turn(topic)
            first, last = batch.claim.first_offset, batch.claim.last_offset
            messages = [polled for polled in waiting.cut.messages if first <= polled.offset <= last]
            decoded_bytes = sum(len(polled.raw.value or b"") for polled in messages)
            waiting.left_bytes -= decoded_bytes
            self.waiting_bytes[lane] -= decoded_bytes
            return DecodedBatch(waiting.assignment, batch, messages)
        return None

    def _waiting_for_storage(self) -> set[str]:
        now_s = time.monotonic()
        return {topic for topic, (until_s, _) in self._refused.items() if now_s < until_s}

    def _wait_for_storage(self, waiting: _Waiting, error: StorageError) -> None:
        """Let a topic wait while the storage refuses the entry of a new schema."""
        claim = waiting.cut.claim
        if claim.source.topic not in self._refused:
            log.warning("%s waits for the archive's storage: %s", claim, error)
        self._refused[claim.source.topic] = (time.monotonic() + STORAGE_PAUSE_S, str(error))

    def forget(self, source: TopicPartition, lane: LaneKind, generation: int) -> None:
        """Remove the claims of older generations of a lane: they are void."""
        self._keep(
            lane,
            lambda waiting: (
                waiting.assignment.source != source or waiting.assignment.generation >= generation
            ),
        )

    def clear(self) -> None:
        """Remove all claims."""
        for lane in self._turns:
            self._keep(lane, lambda _: False)

    def _keep(self, lane: LaneKind, wanted: Callable[[_Waiting], bool]) -> None:
        self._turns[lane].keep(wanted)
        self._refused = {}
        self.waiting_bytes[lane] = sum(waiting.left_bytes for waiting in self._turns[lane])
