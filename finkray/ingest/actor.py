"""The ingest actor: it reads partitions, cuts claims, decodes them and holds the batches.

    Kafka ─poll─> messages ─cut─> claims that wait ─decode, topics in turn─> held batches

It reports each ready claim to the driver (`take`), tells the archiving Spark task where the batch
is (`locate`), and frees the batch when the driver knows that the claim is durable (`drop`). It
never holds more bytes than its budget: without room it polls no messages, and after some seconds it
pauses its partitions, so that the Kafka client discards its own queue too.

Live lanes and backfills have a consumer each. Live lanes are read first, and backfills get the rest
of the budget; see `finkray.ingest.budget`. Topics take turns in decoding, a bounded step each, and
one that uses more than its share of the memory is not read further; see `finkray.ingest.shares`.
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
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from finkray.claim import Claim, TopicPartition
from finkray.errors import FinkrayError, MemoryExceeded
from finkray.ingest.budget import Budget
from finkray.ingest.consumers import consumers_of_lanes
from finkray.ingest.credits import Credits
from finkray.ingest.decode_queue import DecodedBatch, DecodeQueue
from finkray.ingest.held_batches import HeldBatches
from finkray.ingest.lane import partitions_text, positions_text
from finkray.ingest.lane_reader import LaneReader
from finkray.ingest.memory_watch import MemoryWatch
from finkray.ingest.messages import (
    NOTHING_RECEIVED,
    Assignment,
    ClaimsReceived,
    IngestReport,
    LaneKind,
    ReadyClaim,
)
from finkray.ingest.ray_actor import actor_name, node_id, put_batch, was_restarted
from finkray.ingest.ready import ready_claim
from finkray.ingest.unreadable import TRIES
from finkray.kafka.cluster import KafkaCluster
from finkray.packets.batch import AlertBatch
from finkray.packets.bounds import DecodeBounds

if TYPE_CHECKING:  # imports polars, and each archiving task loads this class to call it
    from finkray.packets.decode import Decoder

POLL_S = 0.05
"""The longest wait for messages, and so the longest delay of a command or of a due claim."""

LIVE_POLL_S = 0.01
"""Time between two polls for live messages while a backfill waits for room."""

DECODE_S = 0.1
"""After this time of decoding, in steps, the actor polls again. A step takes 0.5 s at most."""

READ_AHEAD_S = 0.05
"""How long the actor polls, without waiting, while claims wait to be decoded: a credit is some 50
messages by default, and the client's queue may have thousands of one topic."""

FLUSH_S = 15.0
"""How long a flush may decode what waits, a third of a drain; a start reads the rest again."""

FAILURE_REPORT_S = 0.3
"""How long an actor that ends waits for a call of `take` to report why: it mostly has one."""

REPLY_S = 0.1
"""How long Ray has to send the reply of that call before the process ends."""

log = logging.getLogger(__name__)


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
    unreadable_tries
        how often a record batch that cannot be read is tried before it is skipped
    memory_bytes
        most memory of this process, which ends when it takes more; 0 sets no bound
    restarted
        whether Ray started this actor in place of one that died; None asks Ray
    """

    def __init__(
        self,
        kafka_config: Mapping[str, Any],
        budget: Budget,
        make_decoder: Callable[[], Decoder],
        dead_letter_bytes: int,
        *,
        store: Callable[[AlertBatch], Any] | None = None,
        unreadable_tries: int = TRIES,
        memory_bytes: int = 0,
        restarted: bool | None = None,
    ) -> None:
        kafka = KafkaCluster(kafka_config)
        bounds = DecodeBounds.of_claim(budget.limits.claim_bytes)
        self._decode_queue = DecodeQueue(make_decoder(), bounds, dead_letter_bytes)
        bounded = memory_bytes > 0 and (was_restarted() if restarted is None else restarted)
        self._node_id = node_id()
        if bounded:
            log.warning(
                "ingest actor %s on node %s replaces one that died: "
                "it reads one record batch at a time for a while",
                actor_name(),
                self._node_id,
            )
        self._consumers = consumers_of_lanes(kafka_config, budget, memory_bytes, bounded=bounded)
        self._readers: dict[LaneKind, LaneReader] = {
            lane: LaneReader(
                consumers.open, kafka, budget.limits, self._decode_queue.add, unreadable_tries
            )
            for lane, consumers in self._consumers.items()
        }
        self._store = store or put_batch
        self._incarnation = uuid.uuid4().hex

        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._flush_by_s: float | None = None
        self._flushed = False
        self._may_decode_more = False

        self._changed = threading.Condition()
        self._held = HeldBatches()
        self._credits = Credits(budget, self._readers, self._decode_queue, self._held)
        self._ready: deque[ReadyClaim] = deque()
        self._acknowledged = 0
        self._failure: BaseException | None = None
        self._failure_reported = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._thread.start()
        if memory_bytes > 0:
            MemoryWatch(memory_bytes, functools.partial(self._end_for_memory, memory_bytes))

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
        self, timeout_s: float, received: ClaimsReceived = NOTHING_RECEIVED
    ) -> tuple[list[ReadyClaim], IngestReport]:
        """Return the ready claims that the driver has not received, and a report.

        Wait up to `timeout_s` for a claim. A reply may get lost: its claims are in the next one
        again, until the driver acknowledges them with `received`.

        Raises
        ------
        MemoryExceeded
            if this process takes more memory than it may, and ends
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
            if isinstance(self._failure, MemoryExceeded):
                self._failure_reported.set()
                raise self._failure
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
            return self._held.handle(claim)

    def drop(self, claims: Sequence[Claim]) -> None:
        """Free batches that are durable, or void."""
        with self._changed:
            self._held.free(claims)
            self._changed.notify_all()

    def node_and_process(self) -> tuple[str, int]:
        """Return the node id and the process id of this actor."""
        return self._node_id, os.getpid()

    # The reading thread.

    def _run(self) -> None:
        # The modules of Ray and the libraries never become garbage. Collecting among them took 4 %
        # of the decoding, which makes thousands of small objects.
        gc.collect()
        gc.freeze()
        try:
            while True:
                self._run_commands()
                self._reopen_outdated()
                self._read()
                for reader in self._readers.values():
                    reader.cut_due()
                self._decode()
                self._end_flush()
        except BaseException as error:  # noqa: BLE001 - `take` raises it in the driver
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _end_for_memory(self, memory_bytes: int, used_bytes: int) -> None:
        """Report to the driver why this process ends, and end it; its lanes are read again."""
        why = (
            f"it took {used_bytes >> 20} MiB of memory, of at most {memory_bytes >> 20}, while it "
            f"read {positions_text(reader.positions for reader in self._readers.values())}"
        )
        log.error("ending this ingest actor: %s", why)
        with self._changed:
            self._failure = MemoryExceeded(why)
            self._changed.notify_all()
        if self._failure_reported.wait(FAILURE_REPORT_S):
            time.sleep(REPLY_S)
        os._exit(1)

    def _reopen_outdated(self) -> None:
        for lane, consumers in self._consumers.items():
            if consumers.outdated():
                self._readers[lane].reopen()

    def _run_commands(self) -> None:
        while not self._commands.empty():
            self._commands.get()()

    def _start_lane(self, assignment: Assignment) -> None:
        source, lane = assignment.source, assignment.lane
        self._readers[lane].start(assignment)
        self._decode_queue.forget(source, lane, assignment.generation)
        with self._changed:
            self._held.free_void(source, lane, assignment.generation)
            self._changed.notify_all()

    def _flush(self) -> None:
        for reader in self._readers.values():
            reader.flush()
        self._flush_by_s = time.monotonic() + FLUSH_S

    def _end_flush(self) -> None:
        """Report `flushed` when no claim waits to be decoded, or after `FLUSH_S`."""
        if self._flush_by_s is None or self._flushed:
            return
        if len(self._decode_queue) and time.monotonic() < self._flush_by_s:
            return
        if len(self._decode_queue):
            log.warning(
                "%d claims are not decoded %.0f s after the flush; they are read again at the next "
                "start",
                len(self._decode_queue),
                FLUSH_S,
            )
            self._decode_queue.clear()
        self._flushed = True

    def _read(self) -> None:
        live, backfill = self._readers["live"], self._readers["backfill"]
        dues = (reader.due_in_s() for reader in self._readers.values())
        wait_s = min([POLL_S, *(due_in_s for due_in_s in dues if due_in_s is not None)])
        if self._may_decode_more:
            wait_s = 0.0
        backfilling = backfill.active
        live_credit = self._credits.live()
        read = live.read(live_credit, 0.0 if backfilling else wait_s)
        if self._may_decode_more:
            read += self._read_ahead()
        credit = 0
        if backfilling:
            credit = self._credits.backfill()
            read += backfill.read(credit, 0.0 if read else wait_s)
            wait_s = min(wait_s, LIVE_POLL_S)
        waited = credit or (live.active and live_credit and not backfilling)
        if not read and not waited:
            # Freeing a batch gives credit and ends the wait.
            with self._changed:
                self._changed.wait(wait_s)

    def _read_ahead(self) -> int:
        """Poll for a while: messages of quiet topics may lie behind many of a costly one."""
        read, ends_s = 0, time.monotonic() + READ_AHEAD_S
        while (credit := self._credits.live()) and time.monotonic() < ends_s:
            polled = self._readers["live"].read(credit, 0.0)
            if not polled:
                break
            read += polled
        return read

    def _decode(self) -> None:
        """Decode for a while, step by step: live lanes first, topics in turn."""
        ends_s = time.monotonic() + DECODE_S
        self._may_decode_more = True
        while self._may_decode_more and time.monotonic() < ends_s:
            decoded = self._decode_step("live") or self._decode_step("backfill")
            if decoded is None:
                self._may_decode_more = False
            else:
                self._hold_batch(decoded)

    def _decode_step(self, lane: LaneKind) -> DecodedBatch | None:
        return self._decode_queue.step(lane, self._credits.may_decode(lane))

    def _hold_batch(self, decoded: DecodedBatch) -> None:
        assignment, batch, _ = decoded
        handle, nbytes = self._store(batch), batch.nbytes
        ready = ready_claim(decoded, nbytes)
        with self._changed:
            self._held.add(batch.claim, handle, nbytes, assignment.lane, assignment.generation)
            self._ready.append(ready)
            self._changed.notify_all()

    def _report(self) -> IngestReport:
        live, backfill = self._readers["live"], self._readers["backfill"]
        return IngestReport(
            incarnation=self._incarnation,
            node_id=self._node_id,
            pid=os.getpid(),
            held_bytes=sum(usage.all_bytes for usage in self._credits.usage()),
            claims_held=len(self._held),
            messages=live.messages + backfill.messages,
            message_bytes=live.message_bytes + backfill.message_bytes,
            # A backfill that waits for room is no cause for an alarm.
            paused=live.stalled or bool(self._credits.held_back.topics),
            flushed=self._flushed,
            high_watermarks={**backfill.high_watermarks, **live.high_watermarks},
            trouble=partitions_text(backfill.troubles | live.troubles),
            storage_trouble=self._decode_queue.storage_trouble,
            unreadable=partitions_text(backfill.unreadable | live.unreadable),
            held_back_s=self._credits.held_back.seconds(time.monotonic()),
        )
