"""Send packets to Kafka, in transactions or without, and record where each of them went."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from finkray.errors import KafkaUnavailable
from finkray.kafka.producer import Delivery, Producer
from finkray.kafka.topics import partition_count
from finkray.kafka.transactions import TransactionalProducer
from sim.player.sources import Packet

_POLL_S = 0.05
"""Longest sleep between two looks for deliveries and for the stop."""


@dataclass(frozen=True, slots=True)
class Transactions:
    """Send in transactions of `messages` messages each, and abort a share of them.

    What was aborted is sent again at once in the next transaction, as by a producer that lost a
    write: so readers of committed messages get everything once.
    """

    aborted: float = 0.0
    messages: int = 200
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet that Kafka has acknowledged, and where; `aborted`: its transaction was."""

    packet: Packet
    topic: str
    partition: int
    offset: int
    create_ms: int
    aborted: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a play: what Kafka has acknowledged, and the rate since the last report."""

    alerts: int
    size_bytes: int
    elapsed_s: float
    alerts_per_s: float


@dataclass(frozen=True, slots=True)
class PartitionPlayed:
    """What was sent to one partition. Other writers' messages may lie between the offsets."""

    alerts: int
    first_offset: int
    last_offset: int


class Report:
    """Counts acknowledged messages and reports the progress."""

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
        self._start_s = time.monotonic()
        self._reported_s = self._start_s
        self._reported_alerts = 0

    @property
    def elapsed_s(self) -> float:
        """Time since the beginning."""
        return time.monotonic() - self._start_s

    def count(self, sent: Sent) -> None:
        """Count one acknowledged message."""
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

    def report_progress(self, *, at_once: bool = False) -> None:
        """Report the progress if the period has passed, or at once."""
        since_s = time.monotonic() - self._reported_s
        if since_s < self._every_s and not at_once:
            return
        if self._on_progress is not None:
            rate = (self.alerts - self._reported_alerts) / max(since_s, 1e-9)
            self._on_progress(Progress(self.alerts, self.size_bytes, self.elapsed_s, rate))
        self._reported_s, self._reported_alerts = time.monotonic(), self.alerts


class Sender:
    """Sends packets, waits for queue space and acknowledgements, and reports progress."""

    def __init__(
        self,
        config: Mapping[str, object],
        topic: str,
        stop: threading.Event,
        report: Report,
        transactions: Transactions | None,
    ) -> None:
        self._topic = topic
        self._partitions = _partitions_of(config, topic)
        self._stop = stop
        self._report = report
        self._transactional: TransactionalProducer | None = None
        self._producer: Producer
        if transactions is None:
            self._producer = Producer(config)
        else:
            self._transactional = TransactionalProducer(config, f"finkray-{uuid.uuid4()}")
            self._producer = self._transactional
        self._transactions = transactions or Transactions()
        self._rng = random.Random(self._transactions.seed)  # noqa: S311
        self._open: list[tuple[Packet, dict[str, Any]]] = []
        self._to_abort = False

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.close()

    def wait_until(self, due_s: float) -> bool:
        """Sleep until this long after the beginning; False if the play is to stop."""
        while (left_s := due_s - self._report.elapsed_s) > 0:
            self._end_transaction()
            if self._stop.wait(min(left_s, _POLL_S)):
                return False
            self._serve(0)
        return not self._stop.is_set()

    def send(self, packet: Packet, placement: Mapping[str, Any]) -> None:
        """Give a packet to the producer, once it has room.

        Parameters
        ----------
        packet
            what to send
        placement
            `key` or `partition` (taken modulo the topic's number of partitions), and `timestamp`
        """
        placement = dict(placement)
        if "partition" in placement:
            placement["partition"] %= self._partitions
        if self._transactional is None:
            self._produce(packet, placement, aborted=False)
            return
        if not self._open:
            self._to_abort = self._rng.random() < self._transactions.aborted
            self._transactional.begin()
        self._open.append((packet, placement))
        self._produce(packet, placement, aborted=self._to_abort)
        if len(self._open) >= self._transactions.messages:
            self._end_transaction()

    def finish(self) -> None:
        """Wait until Kafka has acknowledged everything."""
        self._end_transaction()
        self._flush()
        self._report.report_progress(at_once=True)

    def _produce(self, packet: Packet, placement: Mapping[str, Any], *, aborted: bool) -> None:
        delivered = partial(self._delivered, packet, aborted)
        while not self._producer.offer(
            self._topic, packet.data, on_delivery=delivered, **placement
        ):
            self._serve(_POLL_S)
        self._report.report_progress()

    def _end_transaction(self) -> None:
        """Commit the open transaction; or abort it and send its messages again."""
        if self._transactional is None or not self._open:
            return
        # All must have their offsets: only what has left for Kafka can be aborted there.
        self._flush()
        if self._to_abort:
            self._transactional.abort()
            self._transactional.begin()
            for packet, placement in self._open:
                self._produce(packet, placement, aborted=False)
            self._flush()
        self._transactional.commit()
        self._open.clear()

    def _flush(self) -> None:
        while self._producer.pending:
            self._serve(_POLL_S)

    def _serve(self, timeout_s: float) -> None:
        """Take what was acknowledged, report progress, and raise what failed."""
        self._producer.poll(timeout_s)
        self._report.report_progress()

    def _delivered(self, packet: Packet, aborted: bool, delivery: Delivery) -> None:  # noqa: FBT001
        sent = Sent(
            packet=packet,
            topic=delivery.topic,
            partition=delivery.partition,
            offset=delivery.offset,
            create_ms=delivery.timestamp_ms,
            aborted=aborted,
        )
        self._report.count(sent)


def _partitions_of(config: Mapping[str, object], topic: str) -> int:
    partitions = partition_count(config, topic)
    if partitions is None:
        raise KafkaUnavailable(
            f"there is no topic {topic}: give a number of partitions to create it"
        )
    return partitions
