"""Hand packets to Kafka, in transactions or without, and learn where each of them went."""

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from finkray.errors import KafkaUnavailable
from sim.sources import Packet

_LOG = logging.getLogger(__name__)
_SLICE_S = 0.05
"""How long it sleeps at most before it looks after deliveries and the stop again."""


@dataclass(frozen=True, slots=True)
class Transactions:
    """Send in transactions of so many messages, and abort a share of them.

    What was aborted is sent again at once in the next transaction, as a producer does that
    lost a write: so everything is there once for those who read committed messages alone.
    """

    aborted: float = 0.0
    messages: int = 200
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet that Kafka has acknowledged, and where; `aborted` with its transaction."""

    packet: Packet
    topic: str
    partition: int
    offset: int
    create_ms: int
    aborted: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a play is: what Kafka has acknowledged, and the rate since the last report."""

    alerts: int
    size_bytes: int
    elapsed_s: float
    alerts_per_s: float


@dataclass(frozen=True, slots=True)
class PartitionPlayed:
    """What went into one partition. Other writers' messages may lie between the offsets."""

    alerts: int
    first_offset: int
    last_offset: int


class Report:
    """Counts what was acknowledged, and tells it."""

    def __init__(
        self,
        on_progress: Callable[[Progress], None] | None,
        on_sent: Callable[[Sent], None] | None,
        every_s: float,
    ) -> None:
        self.partitions: dict[int, PartitionPlayed] = {}
        self.alerts = 0
        self.size_bytes = 0
        self._on_progress = on_progress
        self._on_sent = on_sent
        self._every_s = every_s
        self._began_s = time.monotonic()
        self._told_s = self._began_s
        self._told_alerts = 0

    @property
    def elapsed_s(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began_s

    def count(self, sent: Sent) -> None:
        """One more is acknowledged."""
        if self._on_sent is not None:
            self._on_sent(sent)
        if sent.aborted:
            return
        offset = sent.offset
        before = self.partitions.get(sent.partition, PartitionPlayed(0, offset, offset))
        self.partitions[sent.partition] = PartitionPlayed(
            before.alerts + 1, min(before.first_offset, offset), max(before.last_offset, offset)
        )
        self.alerts += 1
        self.size_bytes += len(sent.packet.data or b"")

    def tell(self, *, at_once: bool = False) -> None:
        """Tell how far it is, if it is time to."""
        since_s = time.monotonic() - self._told_s
        if since_s < self._every_s and not at_once:
            return
        if self._on_progress is not None:
            rate = (self.alerts - self._told_alerts) / max(since_s, 1e-9)
            self._on_progress(Progress(self.alerts, self.size_bytes, self.elapsed_s, rate))
        self._told_s, self._told_alerts = time.monotonic(), self.alerts


class Sender:
    """A producer that waits for room, and for its acknowledgements."""

    def __init__(
        self,
        config: Mapping[str, object],
        topic: str,
        stop: threading.Event,
        report: Report,
        transactions: Transactions | None,
    ) -> None:
        own = {"transactional.id": f"finkray-{uuid.uuid4()}"} if transactions else {}
        self._producer = Producer({**config, **own}, logger=_LOG)
        self._topic = topic
        self._partitions = self._partitions_of_topic()
        self._stop = stop
        self._report = report
        self._error: KafkaError | None = None
        self._transactions = transactions
        self._rng = random.Random(transactions.seed if transactions else 0)  # noqa: S311
        self._open: list[tuple[Packet, dict[str, Any]]] = []
        self._to_abort = False
        if transactions:
            self._transact(self._producer.init_transactions)

    def wait_until(self, due_s: float) -> bool:
        """Sleep until so long after the beginning; False if the play is to stop."""
        while (left_s := due_s - self._report.elapsed_s) > 0:
            self._end_transaction()
            if self._stop.wait(min(left_s, _SLICE_S)):
                return False
            self._serve(0)
        return not self._stop.is_set()

    def send(self, packet: Packet, place: Mapping[str, Any]) -> None:
        """Hand a packet to the producer, once it has room."""
        place = dict(place)
        if "partition" in place:
            place["partition"] %= self._partitions
        if self._transactions is None:
            self._produce(packet, place, aborted=False)
            return
        if not self._open:
            self._to_abort = self._rng.random() < self._transactions.aborted
            self._transact(self._producer.begin_transaction)
        self._open.append((packet, place))
        self._produce(packet, place, aborted=self._to_abort)
        if len(self._open) >= self._transactions.messages:
            self._end_transaction()

    def finish(self) -> None:
        """Wait for all that is on its way."""
        self._end_transaction()
        self._flush()
        self._report.tell(at_once=True)

    def _produce(self, packet: Packet, place: Mapping[str, Any], *, aborted: bool) -> None:
        delivered = partial(self._delivered, packet, aborted=aborted)
        while True:
            try:
                self._producer.produce(self._topic, packet.data, on_delivery=delivered, **place)
            except BufferError:
                self._serve(_SLICE_S)
            except KafkaException as error:
                self._serve(_SLICE_S)  # raises the better reason, where there is one
                raise self._not_taken(error) from error
            else:
                self._serve(0)
                return

    def _end_transaction(self) -> None:
        """Commit what is open; or abort it, and send it again."""
        if not self._open:
            return
        # All must have their offsets: what has left for Kafka alone can be aborted there.
        self._flush()
        if self._to_abort:
            self._transact(self._producer.abort_transaction)
            self._transact(self._producer.begin_transaction)
            for packet, place in self._open:
                self._produce(packet, place, aborted=False)
            self._flush()
        self._transact(self._producer.commit_transaction)
        self._open.clear()

    def _transact(self, step: Callable[[], None]) -> None:
        try:
            step()
        except KafkaException as error:
            raise KafkaUnavailable(f"no transaction on {self._topic}: {error}") from error

    def _flush(self) -> None:
        while len(self._producer):
            self._serve(_SLICE_S)

    def _partitions_of_topic(self) -> int:
        try:
            topic = self._producer.list_topics(self._topic, timeout=30).topics[self._topic]
        except KafkaException as error:
            raise KafkaUnavailable(f"no answer from Kafka: {error}") from error
        if topic.error is not None:
            raise KafkaUnavailable(
                f"topic {self._topic}: {topic.error}; it is made if a number of partitions is given"
            )
        return len(topic.partitions)

    def _serve(self, timeout_s: float) -> None:
        """Take what was acknowledged, report, and raise what went wrong."""
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:  # fatal: the client has given up
            raise self._not_taken(error) from error
        if self._error is not None:
            self._producer.purge()
            raise self._not_taken(self._error)
        self._report.tell()

    def _not_taken(self, why: KafkaError | KafkaException) -> KafkaUnavailable:
        return KafkaUnavailable(f"a packet for {self._topic} was not taken: {why}")

    def _delivered(
        self, packet: Packet, error: KafkaError | None, message: Message, *, aborted: bool
    ) -> None:
        if error is not None:
            self._error = self._error or error
            return
        sent = Sent(
            packet=packet,
            topic=self._topic,
            partition=message.partition(),
            offset=message.offset(),
            create_ms=message.timestamp()[1],
            aborted=aborted,
        )
        self._report.count(sent)
