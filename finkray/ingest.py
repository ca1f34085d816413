"""The ingest actor: it owns partitions, cuts claims, decodes them and holds the batches.

It publishes each claim to the driver (`take`), hands the batch to whoever archives it
(`locate`), and lets go when the driver says that the claim is durable (`drop`). It never
holds more bytes than its budget: with no room left it stops asking Kafka, and after a
while of that it pauses its partitions, so that the Kafka client empties its own queue too.
"""

import functools
import logging
import os
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.batch import AlertBatch, make_batch
from finkray.budget import Budget
from finkray.claim import Claim, Gap, TopicPartition
from finkray.decode import Decoder, RawMessage
from finkray.errors import BatchGone, FinkrayError
from finkray.ingest_words import Assignment, IngestReport, Published
from finkray.intake import Cut, PartitionIntake, room_for_messages
from finkray.kafka import KafkaCluster, as_finkray_error, reader

STALL_BEFORE_PAUSE_S = 5.0
"""Pausing throws the Kafka client's queue away, to be fetched again: not worth it for the
short waits of ordinary back-pressure, right for a disk that stays full."""

POLL_S = 0.05
"""The longest wait for messages: bounds how late a command or a due claim is noticed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Polled:
    offset: int
    raw: RawMessage
    polled_s: float


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
        self._kafka = KafkaCluster(kafka_config)
        self._consumer: Consumer = reader(
            kafka_config,
            queue_bytes=budget.queue_bytes,
            max_message_bytes=budget.max_message_bytes,
        )
        self._store = store or _ray_put
        self._decoder = make_decoder()
        self._dead_letter_bytes = dead_letter_bytes
        self._incarnation = uuid.uuid4().hex
        self._node_id = _node_id()

        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._intakes: dict[tuple[str, int], PartitionIntake[_Polled]] = {}
        self._generations: dict[tuple[str, int], int] = {}
        self._high_watermarks: dict[TopicPartition, int] = {}
        self._troubles: dict[tuple[str | None, int | None], str] = {}
        self._stalled_since_s: float | None = None
        self._paused = False
        self._messages = 0
        self._message_bytes = 0
        self._flushed = False

        self._changed = threading.Condition()
        self._held: dict[Claim, tuple[Any, int]] = {}
        self._held_bytes = 0
        self._published: deque[Published] = deque()
        self._failure: BaseException | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._thread.start()

    # What the driver calls.

    def assign(self, assignments: Sequence[Assignment]) -> None:
        """Read these partitions too; one that is read already begins anew at its offset."""
        for assignment in assignments:
            self._commands.put(functools.partial(self._begin, assignment))

    def revoke(self, sources: Sequence[TopicPartition]) -> None:
        """Stop reading these partitions; what is not in a claim yet is forgotten."""
        for source in sources:
            self._commands.put(functools.partial(self._forget, source))

    def flush(self) -> None:
        """Put all messages at hand into claims, read no more, and report `flushed`."""
        self._commands.put(self._flush)

    def take(self, timeout_s: float) -> tuple[list[Published], IngestReport]:
        """The claims published since the last call, waiting for one up to `timeout_s`.

        Raises
        ------
        FinkrayError
            if the reading thread failed: this actor is of no use any more.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self._published) or self._failure is not None, timeout_s
            )
            if self._failure is not None:
                raise FinkrayError(f"the reader failed: {self._failure!r}") from self._failure
            taken = list(self._published)
            self._published.clear()
            return taken, self._report()

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
        return held[0]

    def drop(self, claims: Sequence[Claim]) -> None:
        """Let go of batches that are durable, or void."""
        with self._changed:
            for claim in claims:
                held = self._held.pop(claim, None)
                if held is not None:
                    self._held_bytes -= held[1]
            self._changed.notify_all()

    def whereabouts(self) -> tuple[str, int]:
        """The node id and the process id of this actor."""
        return self._node_id, os.getpid()

    # The reading thread.

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._obey()
                self._read()
                self._publish_due(flush=False)
        except BaseException as error:  # noqa: BLE001 - `take` raises it in the driver
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _obey(self) -> None:
        while not self._commands.empty():
            self._commands.get()()

    def _begin(self, assignment: Assignment) -> None:
        source = assignment.source
        self._forget(source)
        key = (source.topic, source.partition)
        self._intakes[key] = PartitionIntake(source, assignment.offset)
        self._generations[key] = assignment.generation
        self._skip_expired(key)
        position = self._intakes[key].next_offset
        self._consumer.incremental_assign([KafkaPartition(*key, position)])
        log.info("%s[%d] is read from offset %d on", *key, position)

    def _forget(self, source: TopicPartition) -> None:
        key = (source.topic, source.partition)
        self._troubles.pop(key, None)
        if self._intakes.pop(key, None) is not None:
            self._generations.pop(key)
            if any((at.topic, at.partition) == key for at in self._consumer.assignment()):
                self._consumer.incremental_unassign([KafkaPartition(*key)])
        self._high_watermarks.pop(source, None)

    def _flush(self) -> None:
        self._publish_due(flush=True)
        for intake in list(self._intakes.values()):
            self._forget(intake.source)
        self._flushed = True

    def _read(self) -> None:
        room = room_for_messages(
            limit_bytes=self._budget.limit_bytes,
            taken_bytes=self._taken_bytes(),
            reserve_bytes=self._budget.reserve_bytes,
            max_message_bytes=self._budget.max_message_bytes,
        )
        if room == 0:
            self._hold_off()
            return
        self._go_on()
        now_s = time.monotonic()
        for message in self._consumer.consume(min(room, 500), self._wait_s(now_s)):
            self._receive(message)

    def _receive(self, message: Message) -> None:
        key = (message.topic(), message.partition())
        error = message.error()
        if error is not None:
            self._note(key, error, message)
            return
        intake = self._intakes.get(key)
        if intake is None:
            return  # left over in the client's queue from before the partition was given away
        value = message.value()
        kind, timestamp_ms = message.timestamp()
        raw = RawMessage(message.offset(), timestamp_ms if kind else None, value)
        size = len(value) if value is not None else 0
        intake.add(_Polled(raw.offset, raw, time.time()), size, time.monotonic())
        self._messages += 1
        self._message_bytes += size
        self._troubles.pop(key, None)
        if intake.pending_bytes >= self._budget.limits.claim_bytes:
            self._publish(key, flush=False)

    def _note(
        self, key: tuple[str | None, int | None], error: KafkaError, message: Message
    ) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client's public name for it
            self._troubles.pop(key, None)
            intake = self._intakes.get(key)  # type: ignore[arg-type]
            if intake is not None:
                intake.reached_end(message.offset(), time.monotonic())
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            self._restart_after_reset(key)  # type: ignore[arg-type]
        else:
            # The client tries again by itself; the driver shows this until the partition is
            # heard of again.
            self._troubles[key] = error.str()
            log.warning("Kafka trouble on %s[%s]: %s", *key, error.str())

    def _restart_after_reset(self, key: tuple[str, int]) -> None:
        if key not in self._intakes:
            return
        self._publish(key, flush=True)
        self._skip_expired(key)
        intake = self._intakes[key]
        self._consumer.incremental_unassign([KafkaPartition(*key)])
        if intake.next_offset > self._high_watermarks.get(intake.source, intake.next_offset):
            # Kafka lost its end, or the topic was made anew: the driver's scout will tell.
            self._troubles[key] = f"it ends before offset {intake.next_offset} in Kafka"
            return
        self._consumer.incremental_assign([KafkaPartition(*key, intake.next_offset)])

    def _skip_expired(self, key: tuple[str, int]) -> None:
        """Account for offsets that Kafka's retention took before they were read."""
        intake = self._intakes[key]
        try:
            marks = self._kafka.watermarks(*key)
        except FinkrayError as error:
            # Not answered now: the client will report the offset as out of range if it is.
            self._troubles[key] = str(error)
            return
        self._troubles.pop(key, None)
        self._high_watermarks[intake.source] = marks.high
        if marks.low > intake.next_offset:
            gap = Gap("expired", intake.next_offset, marks.low - 1)
            claim = Claim(intake.source, gap.first_offset, gap.last_offset)
            log.warning("%s expired in Kafka before it was read: %d offsets", claim, gap.offsets)
            self._hold(key, Cut(claim, (), (gap,), 0))
            intake.next_offset = marks.low

    def _publish_due(self, *, flush: bool) -> None:
        for key in self._intakes:
            self._publish(key, flush=flush)

    def _publish(self, key: tuple[str, int], *, flush: bool) -> None:
        cut = self._intakes[key].cut(self._budget.limits, time.monotonic(), flush=flush)
        if cut is not None:
            self._hold(key, cut)
            self._look_at_end(key)

    def _look_at_end(self, key: tuple[str, int]) -> None:
        try:
            _, high = self._consumer.get_watermark_offsets(KafkaPartition(*key), cached=True)
        except KafkaException as error:
            self._troubles[key] = str(as_finkray_error(error))
            return
        if high >= 0:
            self._high_watermarks[self._intakes[key].source] = high

    def _hold(self, key: tuple[str, int], cut: Cut[_Polled]) -> None:
        raws = [polled.raw for polled in cut.messages]
        batch = make_batch(cut.claim, raws, cut.gaps, self._decoder, self._dead_letter_bytes)
        handle, nbytes = self._store(batch), batch.nbytes
        published = Published(
            claim=cut.claim,
            generation=self._generations[key],
            held_bytes=nbytes,
            raw_bytes=cut.size_bytes,
            kafka_s=np.array(
                [np.nan if raw.timestamp_ms is None else raw.timestamp_ms / 1e3 for raw in raws]
            ),
            polled_s=np.array([polled.polled_s for polled in cut.messages]),
            decoded_s=time.time(),
        )
        with self._changed:
            self._held[cut.claim] = (handle, nbytes)
            self._held_bytes += nbytes
            self._published.append(published)
            self._changed.notify_all()

    # Back-pressure.

    def _taken_bytes(self) -> int:
        return self._held_bytes + sum(intake.pending_bytes for intake in self._intakes.values())

    def _hold_off(self) -> None:
        now_s = time.monotonic()
        if self._stalled_since_s is None:
            self._stalled_since_s = now_s
        elif not self._paused and now_s - self._stalled_since_s >= STALL_BEFORE_PAUSE_S:
            self._consumer.pause(self._consumer.assignment())
            self._paused = True
        with self._changed:
            self._changed.wait(POLL_S)

    def _go_on(self) -> None:
        self._stalled_since_s = None
        if self._paused:
            self._consumer.resume(self._consumer.assignment())
            self._paused = False

    def _wait_s(self, now_s: float) -> float:
        dues = [i.due_in_s(self._budget.limits, now_s) for i in self._intakes.values()]
        return min([POLL_S, *(due for due in dues if due is not None)])

    def _report(self) -> IngestReport:
        return IngestReport(
            incarnation=self._incarnation,
            node_id=self._node_id,
            pid=os.getpid(),
            held_bytes=self._taken_bytes(),
            claims_held=len(self._held),
            messages=self._messages,
            message_bytes=self._message_bytes,
            paused=self._stalled_since_s is not None,
            flushed=self._flushed,
            high_watermarks=dict(self._high_watermarks),
            trouble="; ".join(
                f"{at[0]}[{at[1]}]: {why}" for at, why in dict(self._troubles).items()
            ),
        )


def _ray_put(batch: AlertBatch) -> Any:
    import ray

    # In a list, so that a task which asks for it gets the reference and not, at once, the batch.
    return [ray.put(batch)]


def _node_id() -> str:
    import ray

    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
