"""Play packets into a Kafka topic, at the pace that is asked for.

play(made(AlertMaker(seed=1)), kafka.bootstrap_servers, "ztf_20260119_programid1",
     count=10_000, partitions=4)
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from finkray.errors import KafkaUnavailable
from sim.pace import Pace
from sim.sources import Packet, described
from sim.topics import ensure_topic

_LOG = logging.getLogger(__name__)
_UNIX_EPOCH_JD = 2_440_587.5
_DAY_MS = 86_400_000
_SLICE_S = 0.05
"""How long it sleeps at most before it looks after deliveries and the stop again."""

_PRODUCER = {
    # Idempotent: a broker that fails and comes back gets each packet once, in order.
    "enable.idempotence": True,
    "linger.ms": 10,
    "batch.size": 2_000_000,
    "message.max.bytes": 10_000_000,
    "queue.buffering.max.kbytes": 131_072,
}


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


@dataclass(frozen=True, slots=True)
class Played:
    """What was played, all of it acknowledged.

    `candids` are in the order in which the packets were sent (None where one does not tell
    its own), or empty if they were not asked for.
    """

    alerts: int
    size_bytes: int
    elapsed_s: float
    partitions: dict[int, PartitionPlayed]
    candids: tuple[int | None, ...]
    stopped: bool


def play(
    packets: Iterable[Packet],
    bootstrap_servers: str,
    topic: str,
    *,
    pace: Pace | None = None,
    count: int | None = None,
    partitions: int | None = None,
    by_object: bool = False,
    original_timestamps: bool = False,
    keep_candids: bool = False,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    progress_every_s: float = 0.5,
    client: Mapping[str, object] | None = None,
) -> Played:
    """Send packets to a topic and wait until Kafka has them all.

    Parameters
    ----------
    packets
        What to send; may be without end.
    bootstrap_servers, topic
        Where to.
    pace
        How fast; default: as fast as Kafka takes them.
    count
        How many at most.
    partitions
        Make the topic with so many, unless it is there.
    by_object
        Give each packet its object's name as key, so that an object's alerts stay in order
        in one partition. Without it there is no key, and partitions take turns.
    original_timestamps
        Stamp messages with the time of the observation and not with that of sending.
    keep_candids
        Give the candids back.
    stop
        Set it to end the play early.
    on_progress, progress_every_s
        Called about so often from this thread, and once at the end.
    client
        More options of librdkafka.

    Raises
    ------
    KafkaUnavailable
        The topic is not there, or a packet was not acknowledged.
    """
    pace = pace or Pace()
    config = {**_PRODUCER, **(client or {}), "bootstrap.servers": bootstrap_servers}
    if partitions is not None:
        ensure_topic({**(client or {}), "bootstrap.servers": bootstrap_servers}, topic, partitions)
    look_inside = pace.follows_time or by_object or original_timestamps or keep_candids
    sender = _Sender(config, topic, stop or threading.Event(), on_progress, progress_every_s)
    candids: list[int | None] = []
    first_jd, since_first_days = None, 0.0
    for number, given in enumerate(itertools.islice(packets, count)):
        packet = described(given) if look_inside and given.jd is None else given
        if packet.jd is not None:
            first_jd = packet.jd if first_jd is None else first_jd
            since_first_days = packet.jd - first_jd
        # What tells no time is due with what was before it.
        if not sender.wait_until(pace.due_s(number, since_first_days)):
            break
        sender.send(
            packet.data,
            key=packet.object_id if by_object else None,
            partition=None if by_object else number,
            timestamp_ms=unix_ms(packet.jd) if original_timestamps and packet.jd else None,
        )
        if keep_candids:
            candids.append(packet.candid)
    return sender.finish(tuple(candids))


def unix_ms(jd: float) -> int:
    """Milliseconds since 1970 of a Julian date (UTC)."""
    return round((jd - _UNIX_EPOCH_JD) * _DAY_MS)


class _Sender:
    """A producer that counts what was acknowledged, and reports on it."""

    def __init__(
        self,
        config: Mapping[str, object],
        topic: str,
        stop: threading.Event,
        on_progress: Callable[[Progress], None] | None,
        progress_every_s: float,
    ) -> None:
        self._producer = Producer(dict(config), logger=_LOG)
        self._topic = topic
        self._partitions = self._partitions_of_topic()
        self._stop = stop
        self._on_progress = on_progress
        self._progress_every_s = progress_every_s
        self._error: KafkaError | None = None
        self._sent: dict[int, PartitionPlayed] = {}
        self._alerts = 0
        self._size_bytes = 0
        self._began_s = time.monotonic()
        self._reported_s = self._began_s
        self._reported_alerts = 0

    def wait_until(self, due_s: float) -> bool:
        """Sleep until so long after the beginning; False if the play is to stop."""
        while (left_s := self._began_s + due_s - time.monotonic()) > 0:
            if self._stop.wait(min(left_s, _SLICE_S)):
                return False
            self._serve(0)
        return not self._stop.is_set()

    def send(
        self, data: bytes, *, key: str | None, partition: int | None, timestamp_ms: int | None
    ) -> None:
        """Hand a packet to the producer, once it has room."""
        place: dict[str, int] = {}
        if partition is not None:
            place["partition"] = partition % self._partitions
        if timestamp_ms is not None:
            place["timestamp"] = timestamp_ms
        while True:
            try:
                self._producer.produce(
                    self._topic, data, key=key, on_delivery=self._delivered, **place
                )
            except BufferError:
                self._serve(_SLICE_S)
            except KafkaException as error:
                self._serve(_SLICE_S)  # raises the better reason, where there is one
                raise self._not_taken(error) from error
            else:
                self._serve(0)
                return

    def finish(self, candids: tuple[int | None, ...]) -> Played:
        """Wait for all that is on its way."""
        while len(self._producer):
            self._serve(_SLICE_S)
        self._report(time.monotonic())
        return Played(
            alerts=self._alerts,
            size_bytes=self._size_bytes,
            elapsed_s=time.monotonic() - self._began_s,
            partitions=dict(sorted(self._sent.items())),
            candids=candids,
            stopped=self._stop.is_set(),
        )

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
        now_s = time.monotonic()
        if now_s - self._reported_s >= self._progress_every_s:
            self._report(now_s)

    def _not_taken(self, why: KafkaError | KafkaException) -> KafkaUnavailable:
        return KafkaUnavailable(f"a packet for {self._topic} was not taken: {why}")

    def _report(self, now_s: float) -> None:
        if self._on_progress is not None:
            since_s = max(now_s - self._reported_s, 1e-9)
            rate = (self._alerts - self._reported_alerts) / since_s
            elapsed_s = now_s - self._began_s
            self._on_progress(Progress(self._alerts, self._size_bytes, elapsed_s, rate))
        self._reported_s, self._reported_alerts = now_s, self._alerts

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._error = self._error or error
            return
        partition, offset = message.partition(), message.offset()
        before = self._sent.get(partition, PartitionPlayed(0, offset, offset))
        self._sent[partition] = PartitionPlayed(
            before.alerts + 1, min(before.first_offset, offset), max(before.last_offset, offset)
        )
        self._alerts += 1
        self._size_bytes += len(message)
