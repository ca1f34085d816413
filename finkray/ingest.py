"""The ingest actor: it owns partitions, cuts claims, decodes them and holds the batches.

It publishes each claim to the driver (`take`), hands the batch to whoever archives it
(`locate`), and lets go when the driver says that the claim is durable (`drop`). It never
holds more bytes than its budget: with no room left it stops asking Kafka, and after a
while of that it pauses its partitions, so that the Kafka client empties its own queue too.
"""

import functools
import os
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from finkray.batch import AlertBatch, make_batch
from finkray.budget import Budget
from finkray.claim import Claim, TopicPartition
from finkray.decode import Decoder
from finkray.errors import BatchGone, FinkrayError
from finkray.ingest_words import Assignment, IngestReport, Published
from finkray.intake import Cut, room_for_messages
from finkray.kafka import KafkaCluster, reader
from finkray.lane_reader import LaneReader, Polled
from finkray.visits import count_visits

POLL_S = 0.05
"""The longest wait for messages: bounds how late a command or a due claim is noticed."""


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
        self._reader = LaneReader(
            reader(
                kafka_config,
                queue_bytes=budget.queue_bytes,
                max_message_bytes=budget.max_message_bytes,
            ),
            KafkaCluster(kafka_config),
            budget.limits,
            self._hold,
        )
        self._store = store or _ray_put
        self._decoder = make_decoder()
        self._dead_letter_bytes = dead_letter_bytes
        self._incarnation = uuid.uuid4().hex
        self._node_id = _node_id()

        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
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
            self._commands.put(functools.partial(self._reader.begin, assignment))

    def revoke(self, sources: Sequence[TopicPartition]) -> None:
        """Stop reading these partitions; what is not in a claim yet is forgotten."""
        for source in sources:
            self._commands.put(functools.partial(self._reader.forget, source))

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
                self._reader.publish_due()
        except BaseException as error:  # noqa: BLE001 - `take` raises it in the driver
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _obey(self) -> None:
        while not self._commands.empty():
            self._commands.get()()

    def _flush(self) -> None:
        self._reader.flush()
        self._flushed = True

    def _read(self) -> None:
        room = room_for_messages(
            limit_bytes=self._budget.limit_bytes,
            taken_bytes=self._taken_bytes(),
            reserve_bytes=self._budget.reserve_bytes,
            max_message_bytes=self._budget.max_message_bytes,
        )
        due_in_s = self._reader.due_in_s()
        self._reader.read(room, POLL_S if due_in_s is None else min(POLL_S, due_in_s))
        if room == 0:
            with self._changed:
                self._changed.wait(POLL_S)

    def _hold(self, assignment: Assignment, cut: Cut[Polled]) -> None:
        raws = [polled.raw for polled in cut.messages]
        batch = make_batch(cut.claim, raws, cut.gaps, self._decoder, self._dead_letter_bytes)
        handle, nbytes = self._store(batch), batch.nbytes
        published = Published(
            claim=cut.claim,
            generation=assignment.generation,
            held_bytes=nbytes,
            raw_bytes=cut.size_bytes,
            kafka_s=np.array(
                [np.nan if raw.timestamp_ms is None else raw.timestamp_ms / 1e3 for raw in raws]
            ),
            polled_s=np.array([polled.polled_s for polled in cut.messages]),
            decoded_s=time.time(),
            visits=count_visits(table for _, table in batch.tables),
        )
        with self._changed:
            self._held[cut.claim] = (handle, nbytes)
            self._held_bytes += nbytes
            self._published.append(published)
            self._changed.notify_all()

    def _taken_bytes(self) -> int:
        return self._held_bytes + self._reader.pending_bytes

    def _report(self) -> IngestReport:
        return IngestReport(
            incarnation=self._incarnation,
            node_id=self._node_id,
            pid=os.getpid(),
            held_bytes=self._taken_bytes(),
            claims_held=len(self._held),
            messages=self._reader.messages,
            message_bytes=self._reader.message_bytes,
            paused=self._reader.stalled,
            flushed=self._flushed,
            high_watermarks=dict(self._reader.high_watermarks),
            trouble="; ".join(
                f"{at[0]}[{at[1]}]: {why}" for at, why in dict(self._reader.troubles).items()
            ),
        )


def _ray_put(batch: AlertBatch) -> Any:
    import ray

    # In a list, so that a task which asks for it gets the reference and not, at once, the batch.
    return [ray.put(batch)]


def _node_id() -> str:
    import ray

    return ray.get_runtime_context().get_node_id() if ray.is_initialized() else ""
