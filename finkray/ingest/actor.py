"""The ingest actor: it reads partitions, cuts claims, decodes them and holds the batches.

It reports each ready claim to the driver (`take`), tells the archiving Spark task where the batch
is (`locate`), and frees the batch when the driver knows that the claim is durable (`drop`). It
never holds more bytes than its budget: without room it polls no messages, and after some seconds it
pauses its partitions, so that the Kafka client discards its own queue too.

Live lanes and backfills have a consumer each. Live lanes are read first, and backfills get the rest
of the budget; see `finkray.ingest.budget`.
"""

from __future__ import annotations

import functools
import gc
import logging
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
from finkray.errors import BatchGone, FinkrayError, StorageError
from finkray.ingest.budget import Budget, LaneUsage
from finkray.ingest.intake import CutClaim
from finkray.ingest.lane_reader import LaneReader, PolledMessage
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
from finkray.packets.divide import divide, write_cost
from finkray.timestamps import kafka_seconds

if TYPE_CHECKING:  # imports polars, and each archiving task loads this class to call it
    from finkray.packets.decode import Decoder
    from finkray.packets.message import RawMessage

POLL_S = 0.05
"""The longest wait for messages, and so the longest delay of a command or of a due claim."""

STORAGE_PAUSE_S = 1.0
"""Pause before a claim is decoded again after the storage refused the entry of a new schema."""

LIVE_POLL_S = 0.01
"""Time between two polls for live messages while a backfill waits for room."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _HeldBatch:
    """A batch in memory: what `store` returned for it, its size and its lane."""

    handle: Any
    nbytes: int
    lane: LaneKind
    generation: int


class IngestActor:
    """Reads the lanes that it is assigned; the driver makes it a Ray actor.

    Parameters
    ----------
    kafka_config
        librdkafka's properties
    budget
        this actor's share of the held bytes
    make_decoder
        makes the decoder in this process, because a decoder cannot be pickled
    dead_letter_bytes
        how many bytes of a message its dead letter keeps
    store
        puts a batch where an archiving task can get it (`ray.put` in a Ray actor) and returns what
        `locate` returns to the task
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
        self._storage_trouble = ""

        self._changed = threading.Condition()
        self._held: dict[Claim, _HeldBatch] = {}
        self._held_bytes: Counter[LaneKind] = Counter()
        self._held_claims: Counter[LaneKind] = Counter()
        self._ready: deque[ReadyClaim] = deque()
        self._acknowledged = 0
        self._failure: BaseException | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._thread.start()

    # What the driver calls.

    def assign(self, assignments: Sequence[Assignment]) -> None:
        """Read these lanes too; one that is read already starts again at its offset."""
        for assignment in assignments:
            self._commands.put(functools.partial(self._start_lane, assignment))

    def revoke(self, sources: Sequence[TopicPartition]) -> None:
        """Stop reading these partitions; forget messages that are not in a claim."""
        for source in sources:
            for reader in self._readers.values():
                self._commands.put(functools.partial(reader.stop, source))

    def flush(self) -> None:
        """Cut claims of all messages in memory, stop reading, and report `flushed`."""
        self._commands.put(self._flush)

    def take(
        self, timeout_s: float, received: ClaimsReceived = NOTHING
    ) -> tuple[list[ReadyClaim], IngestReport]:
        """Return the ready claims that the driver has not received, and a report.

        Wait up to `timeout_s` for a claim. A reply may get lost: its claims are in the next one
        again, until the driver acknowledges them with `received`.

        Raises
        ------
        FinkrayError
            if the reading thread failed: this actor must be restarted
        """
        with self._changed:
            if received.incarnation == self._incarnation:
                while self._ready and self._acknowledged < received.claims:
                    self._ready.popleft()
                    self._acknowledged += 1
            self._changed.wait_for(
                lambda: bool(self._ready) or self._failure is not None, timeout_s
            )
            if self._failure is not None:
                raise FinkrayError(
                    f"the reading thread of the ingest actor failed: {self._failure!r}"
                ) from self._failure
            return list(self._ready), self._report()

    def locate(self, claim: Claim) -> Any:
        """Return where the batch of the claim is: what `store` returned for it.

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
        """Free batches that are durable, or void."""
        with self._changed:
            self._free(claims)

    def whereabouts(self) -> tuple[str, int]:
        """Return the node id and the process id of this actor."""
        return self._node_id, os.getpid()

    # The reading thread.

    def _run(self) -> None:
        # The modules of Ray and the libraries never become garbage. Collecting among them took 4 %
        # of the decoding, which makes thousands of small objects.
        gc.collect()
        gc.freeze()
        try:
            while not self._stopping:
                self._run_commands()
                self._read()
                for reader in self._readers.values():
                    reader.cut_due()
        except BaseException as error:  # noqa: BLE001 - `take` raises it in the driver
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _run_commands(self) -> None:
        while not self._commands.empty():
            self._commands.get()()

    def _start_lane(self, assignment: Assignment) -> None:
        source, lane = assignment.source, assignment.lane
        self._readers[lane].start(assignment)
        with self._changed:
            # Claims of older generations are void; the driver may not know them and drop them.
            self._free(
                [
                    claim
                    for claim, held in self._held.items()
                    if claim.source == source
                    and held.lane == lane
                    and held.generation < assignment.generation
                ]
            )

    def _free(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            held = self._held.pop(claim, None)
            if held is not None:
                self._held_bytes[held.lane] -= held.nbytes
                self._held_claims[held.lane] -= 1
        self._changed.notify_all()

    def _flush(self) -> None:
        for reader in self._readers.values():
            reader.flush()
        self._flushed = True

    def _read(self) -> None:
        live, backfill = self._readers["live"], self._readers["backfill"]
        dues = (reader.due_in_s() for reader in self._readers.values())
        wait_s = min([POLL_S, *(due_in_s for due_in_s in dues if due_in_s is not None)])
        backfilling = backfill.active
        live_credit = self._budget.live_credit(*self._usage(), backfilling=backfilling)
        read = live.read(live_credit, 0.0 if backfilling else wait_s)
        credit = 0
        if backfilling:
            credit = self._budget.backfill_credit(*self._usage())
            read += backfill.read(credit, 0.0 if read else wait_s)
            wait_s = min(wait_s, LIVE_POLL_S)
        waited = credit or (live.active and live_credit and not backfilling)
        if not read and not waited:
            # Freeing a batch gives credit and ends the wait.
            with self._changed:
                self._changed.wait(wait_s)

    def _hold(self, assignment: Assignment, cut: CutClaim[PolledMessage]) -> None:
        raws = [polled.raw for polled in cut.messages]
        batch = self._decode(cut, raws)
        for smaller in divide(batch):
            first, last = smaller.claim.first_offset, smaller.claim.last_offset
            messages = [polled for polled in cut.messages if first <= polled.offset <= last]
            self._hold_batch(assignment, smaller, messages)

    def _decode(self, cut: CutClaim[PolledMessage], raws: Sequence[RawMessage]) -> AlertBatch:
        """Decode a claim; wait while the storage refuses the entry of a new schema."""
        while True:
            try:
                batch = make_batch(
                    cut.claim, raws, cut.gaps, self._decoder, self._dead_letter_bytes
                )
            except StorageError as error:
                if not self._storage_trouble:
                    log.warning("%s waits for the archive's storage: %s", cut.claim, error)
                self._storage_trouble = str(error)
                time.sleep(STORAGE_PAUSE_S)
            else:
                self._storage_trouble = ""
                return batch

    def _hold_batch(
        self, assignment: Assignment, batch: AlertBatch, messages: Sequence[PolledMessage]
    ) -> None:
        claim = batch.claim
        raws = [polled.raw for polled in messages]
        handle, nbytes = self._store(batch), batch.nbytes
        ready = ReadyClaim(
            claim=claim,
            generation=assignment.generation,
            held_bytes=nbytes,
            raw_bytes=sum(len(raw.value or b"") for raw in raws),
            kafka_s=kafka_seconds([raw.timestamp_ms for raw in raws]),
            polled_s=np.array([polled.polled_s for polled in messages]),
            decoded_s=time.time(),
            lane=assignment.lane,
            visits=count_visits(table for _, table in batch.tables),
            unknown_schemas=schema_ids_waited_for(batch.dead_letters),
            write_cost=write_cost(batch),
        )
        with self._changed:
            self._held[claim] = _HeldBatch(handle, nbytes, assignment.lane, assignment.generation)
            self._held_bytes[assignment.lane] += nbytes
            self._held_claims[assignment.lane] += 1
            self._ready.append(ready)
            self._changed.notify_all()

    def _usage(self) -> tuple[LaneUsage, LaneUsage]:
        """Return what the live lanes and the backfills hold."""
        live, backfill = (
            LaneUsage(self._held_bytes[lane], reader.pending_bytes, self._held_claims[lane])
            for lane, reader in self._readers.items()
        )
        return live, backfill

    def _report(self) -> IngestReport:
        live, backfill = self._readers["live"], self._readers["backfill"]
        troubles = {**backfill.troubles, **live.troubles}
        return IngestReport(
            incarnation=self._incarnation,
            node_id=self._node_id,
            pid=os.getpid(),
            held_bytes=sum(usage.all_bytes for usage in self._usage()),
            claims_held=len(self._held),
            messages=live.messages + backfill.messages,
            message_bytes=live.message_bytes + backfill.message_bytes,
            # A backfill that waits for room is no cause for an alarm.
            paused=live.stalled,
            flushed=self._flushed,
            high_watermarks={**backfill.high_watermarks, **live.high_watermarks},
            trouble="; ".join(
                f"{topic}[{partition}]: {why}" for (topic, partition), why in troubles.items()
            ),
            storage_trouble=self._storage_trouble,
        )


def _lane_reader(
    kafka_config: Mapping[str, Any],
    kafka: KafkaCluster,
    budget: Budget,
    hold: Callable[[Assignment, CutClaim[PolledMessage]], None],
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

    # In a list, so that a task that calls `locate` gets the reference and not yet the batch.
    return [ray.put(batch)]


def _node_id() -> str:
    import ray

    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
