"""The ingest actor: it owns partitions, cuts claims, decodes them and holds the batches.

It publishes each claim to the driver (`take`), hands the batch to whoever archives it
(`locate`), and lets go when the driver says that the claim is durable (`drop`). It never
holds more bytes than its budget: with no room left it stops asking Kafka, and after a
while of that it pauses its partitions, so that the Kafka client empties its own queue too.

Live lanes and backfills have a consumer each. The live lanes are read first, and backfills
get what room is left; see `finkray.ingest.budget`.
"""

from __future__ import annotations

import functools
import gc
import os
import queue
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from finkray.claim import Claim, TopicPartition
from finkray.errors import BatchGone, FinkrayError
from finkray.ingest.budget import Budget, Taken
from finkray.ingest.intake import CutClaim
from finkray.ingest.lane_reader import LaneReader, Polled
from finkray.ingest.messages import (
    NOTHING,
    Assignment,
    ClaimsReceived,
    IngestReport,
    LaneKind,
    ReadyClaim,
)
from finkray.ingest.visits import count_visits
from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.consumer import assigned_consumer
from finkray.packets.batch import AlertBatch, make_batch
from finkray.packets.dead_letters import schema_ids_waited_for
from finkray.packets.divide import divide

if TYPE_CHECKING:  # brings polars along, and each archiving task loads this class to ask it
    from finkray.packets.decode import Decoder

POLL_S = 0.05
"""The longest wait for messages: bounds how late a command or a due claim is noticed."""

LOOK_S = 0.01
"""Between two looks for live messages while a backfill waits for room."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A batch: what `store` returned for it, its size, and the lane it is of."""

    handle: Any
    nbytes: int
    lane: LaneKind
    generation: int


class IngestActor:
    """Reads the partitions it is assigned; made a Ray actor by the driver.

    Parameters
    ----------
    kafka_config
        librdkafka's properties
    budget
        this actor's share of the held bytes
    make_decoder
        makes the decoder, here, as it cannot travel
    dead_letter_bytes
        how much of a message is kept with its dead letter
    store
        puts a batch where an archiving task can get it (`ray.put` in a Ray actor) and
        returns what `locate` gives to the task
    """

    def __init__(
        self,
        kafka_config: Mapping[str, Any],
        budget: Budget,
        make_decoder: Callable[[], Decoder],
        dead_letter_bytes: int,
        store: Callable[[AlertBatch], Any] | None = None,
    ) -> None:
        self._budget = budget
        kafka = KafkaCluster(kafka_config)
        lane_reader = functools.partial(_lane_reader, kafka_config, kafka, budget, self._hold)
        self._readers: dict[LaneKind, LaneReader] = {
            "live": lane_reader(budget.queue_bytes),
            "backfill": lane_reader(budget.backfill_queue_bytes),
        }
        self._store = store or _ray_put
        self._decoder = make_decoder()
        self._dead_letter_bytes = dead_letter_bytes
        self._incarnation = uuid.uuid4().hex
        self._node_id = _node_id()

        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._flushed = False

        self._changed = threading.Condition()
        self._held: dict[Claim, _Held] = {}
        self._held_bytes: Counter[LaneKind] = Counter()
        self._held_claims: Counter[LaneKind] = Counter()
        self._ready: deque[ReadyClaim] = deque()
        self._published_before = 0
        self._failure: BaseException | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._thread.start()

    # What the driver calls.

    def assign(self, assignments: Sequence[Assignment]) -> None:
        """Read these lanes too; one that is read already begins anew at its offset."""
        for assignment in assignments:
            self._commands.put(functools.partial(self._begin, assignment))

    def revoke(self, sources: Sequence[TopicPartition]) -> None:
        """Stop reading these partitions; what is not in a claim yet is forgotten."""
        for source in sources:
            for lanes in self._readers.values():
                self._commands.put(functools.partial(lanes.forget, source))

    def flush(self) -> None:
        """Put all messages at hand into claims, read no more, and report `flushed`."""
        self._commands.put(self._flush)

    def take(
        self, timeout_s: float, heard: ClaimsReceived = NOTHING
    ) -> tuple[list[ReadyClaim], IngestReport]:
        """The claims published since what the driver has heard, waiting for one up to `timeout_s`.

        An answer may be lost on its way: its claims are in the next one again.

        Raises
        ------
        FinkrayError
            if the reading thread failed: this actor is of no use any more.
        """
        with self._changed:
            if heard.incarnation == self._incarnation:
                while self._ready and self._published_before < heard.claims:
                    self._ready.popleft()
                    self._published_before += 1
            self._changed.wait_for(
                lambda: bool(self._ready) or self._failure is not None, timeout_s
            )
            if self._failure is not None:
                raise FinkrayError(f"the reader failed: {self._failure!r}") from self._failure
            return list(self._ready), self._report()

    def locate(self, claim: Claim) -> Any:
        """Where the batch of the claim is: what `store` returned for it.

        Raises
        ------
        BatchGone
            if the claim is not held here.
        """
        with self._changed:
            held = self._held.get(claim)
        if held is None:
            raise BatchGone(f"{claim} is not held by this actor")
        return held.handle

    def drop(self, claims: Sequence[Claim]) -> None:
        """Let go of batches that are durable, or void."""
        with self._changed:
            self._let_go(claims)

    def whereabouts(self) -> tuple[str, int]:
        """The node id and the process id of this actor."""
        return self._node_id, os.getpid()

    # The reading thread.

    def _run(self) -> None:
        # Ray's and the libraries' modules never become garbage; to look through them again and
        # again took 4 % of the decoding, which makes thousands of small objects.
        gc.collect()
        gc.freeze()
        try:
            while not self._stopping:
                self._obey()
                self._read()
                for lanes in self._readers.values():
                    lanes.cut_due()
        except BaseException as error:  # noqa: BLE001 - `take` raises it in the driver
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _obey(self) -> None:
        while not self._commands.empty():
            self._commands.get()()

    def _begin(self, assignment: Assignment) -> None:
        source, lane = assignment.source, assignment.lane
        self._readers[lane].begin(assignment)
        with self._changed:
            # They are void, and the driver may not have heard of them.
            self._let_go(
                [
                    claim
                    for claim, held in self._held.items()
                    if claim.source == source
                    and held.lane == lane
                    and held.generation < assignment.generation
                ]
            )

    def _let_go(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            held = self._held.pop(claim, None)
            if held is not None:
                self._held_bytes[held.lane] -= held.nbytes
                self._held_claims[held.lane] -= 1
        self._changed.notify_all()

    def _flush(self) -> None:
        for lanes in self._readers.values():
            lanes.flush()
        self._flushed = True

    def _read(self) -> None:
        live, backfill = self._readers["live"], self._readers["backfill"]
        dues = (lanes.due_in_s() for lanes in self._readers.values())
        wait_s = min([POLL_S, *(due_in_s for due_in_s in dues if due_in_s is not None)])
        backfilling = backfill.active
        live_room = self._budget.live_room(*self._taken(), backfilling=backfilling)
        came = live.read(live_room, 0.0 if backfilling else wait_s)
        room = 0
        if backfilling:
            room = self._budget.backfill_room(*self._taken())
            came += backfill.read(room, 0.0 if came else wait_s)
            wait_s = min(wait_s, LOOK_S)
        waited = room or (live.active and live_room and not backfilling)
        if not came and not waited:
            # A batch that is let go makes room, and is noticed at once.
            with self._changed:
                self._changed.wait(wait_s)

    def _hold(self, assignment: Assignment, cut: CutClaim[Polled]) -> None:
        raws = [polled.raw for polled in cut.messages]
        batch = make_batch(cut.claim, raws, cut.gaps, self._decoder, self._dead_letter_bytes)
        for part in divide(batch):
            ends = part.claim.first_offset, part.claim.last_offset
            self._hold_batch(
                assignment, part, [one for one in cut.messages if ends[0] <= one.offset <= ends[1]]
            )

    def _hold_batch(
        self, assignment: Assignment, batch: AlertBatch, messages: Sequence[Polled]
    ) -> None:
        claim = batch.claim
        raws = [polled.raw for polled in messages]
        handle, nbytes = self._store(batch), batch.nbytes
        ready = ReadyClaim(
            claim=claim,
            generation=assignment.generation,
            held_bytes=nbytes,
            raw_bytes=sum(len(raw.value or b"") for raw in raws),
            kafka_s=np.array(
                [np.nan if raw.timestamp_ms is None else raw.timestamp_ms / 1e3 for raw in raws]
            ),
            polled_s=np.array([polled.polled_s for polled in messages]),
            decoded_s=time.time(),
            lane=assignment.lane,
            visits=count_visits(table for _, table in batch.tables),
            unknown_schemas=schema_ids_waited_for(batch.dead_letters),
        )
        with self._changed:
            self._held[claim] = _Held(handle, nbytes, assignment.lane, assignment.generation)
            self._held_bytes[assignment.lane] += nbytes
            self._held_claims[assignment.lane] += 1
            self._ready.append(ready)
            self._changed.notify_all()

    def _taken(self) -> tuple[Taken, Taken]:
        """What the live lanes and the backfills hold."""
        live, backfill = (
            Taken(self._held_bytes[lane], lanes.pending_bytes, self._held_claims[lane])
            for lane, lanes in self._readers.items()
        )
        return live, backfill

    def _report(self) -> IngestReport:
        live, backfill = self._readers["live"], self._readers["backfill"]
        troubles = {**backfill.troubles, **live.troubles}
        return IngestReport(
            incarnation=self._incarnation,
            node_id=self._node_id,
            pid=os.getpid(),
            held_bytes=sum(taken.all_bytes for taken in self._taken()),
            claims_held=len(self._held),
            messages=live.messages + backfill.messages,
            message_bytes=live.message_bytes + backfill.message_bytes,
            # That a backfill waits for its turn is nothing to worry about.
            paused=live.stalled,
            flushed=self._flushed,
            high_watermarks={**backfill.high_watermarks, **live.high_watermarks},
            trouble="; ".join(f"{at[0]}[{at[1]}]: {why}" for at, why in troubles.items()),
        )


def _lane_reader(
    kafka_config: Mapping[str, Any],
    kafka: KafkaCluster,
    budget: Budget,
    hold: Callable[[Assignment, CutClaim[Polled]], None],
    queue_bytes: int,
) -> LaneReader:
    make_consumer = functools.partial(
        assigned_consumer,
        kafka_config,
        queue_bytes=queue_bytes,
        max_message_bytes=budget.max_message_bytes,
    )
    return LaneReader(make_consumer, kafka, budget.limits, hold)


def _ray_put(batch: AlertBatch) -> Any:
    import ray

    # In a list, so that a task which asks for it gets the reference and not, at once, the batch.
    return [ray.put(batch)]


def _node_id() -> str:
    import ray

    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
