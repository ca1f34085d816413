"""Play packets into a Kafka topic, at a given pace.

play(made(ZtfMaker(seed=1)), kafka.bootstrap_servers, "ztf_20260119_programid1",
     count=10_000, partitions=4)
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from finkray.kafka.topics import ensure_topic
from sim.player.pace import Pace
from sim.player.sender import PartitionPlayed, Progress, Report, Sender, Sent, Transactions
from sim.player.sources import Packet, described

_UNIX_EPOCH_JD = 2_440_587.5
_DAY_MS = 86_400_000
_PRODUCER = {
    "compression.type": "none",  # most bytes of an alert are cutouts, compressed already
    "linger.ms": 10,
    # A test may stop the broker for longer than finkray's own 10 s.
    "transaction.timeout.ms": 60_000,
    "batch.size": 2_000_000,
    "message.max.bytes": 10_000_000,
    "queue.buffering.max.kbytes": 131_072,
}


@dataclass(frozen=True, slots=True)
class Played:
    """The result of a play, all of it acknowledged by Kafka.

    `candids` are in the order in which the packets were sent (None where a packet has none), or
    empty unless `keep_candids` was set. Aborted messages are not counted.
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
    transactions: Transactions | None = None,
    on_sent: Callable[[Sent], None] | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    progress_every_s: float = 0.5,
    client: Mapping[str, object] | None = None,
) -> Played:
    """Send packets to a topic and wait until Kafka has them all.

    Parameters
    ----------
    packets
        The packets to send; may be without end.
    bootstrap_servers, topic
        The brokers and the topic.
    pace
        The speed; default: as fast as Kafka takes them.
    count
        Most packets to send.
    partitions
        Create the topic with this many partitions, unless it exists.
    by_object
        Use the object's name as key, so that an object's alerts stay in order in one partition.
        Without it there is no key, and partitions take turns.
    original_timestamps
        Use the time of the observation as Kafka's timestamp, and not that of sending, unless a
        packet has its own.
    keep_candids
        Return the candids.
    transactions
        How to send in transactions; default: without.
    on_sent
        Called from this thread for each packet that Kafka has acknowledged.
    stop
        Set it to end the play early.
    on_progress, progress_every_s
        Called with this period from this thread, and once at the end.
    client
        Further options of librdkafka.

    Raises
    ------
    KafkaUnavailable
        There is no such topic, or a packet was not acknowledged.
    MessageRefused
        Kafka does not take a packet: it is too large, say.
    """
    pace = pace or Pace()
    config = {**_PRODUCER, **(client or {}), "bootstrap.servers": bootstrap_servers}
    if partitions is not None:
        ensure_topic({**(client or {}), "bootstrap.servers": bootstrap_servers}, topic, partitions)
    look_inside = pace.follows_time or by_object or original_timestamps or keep_candids
    stop = stop or threading.Event()
    report = Report(on_progress, on_sent, progress_every_s)
    candids: list[int | None] = []
    first_jd, since_first_days = None, 0.0
    first_visit: int | None = None
    with Sender(config, topic, stop, report, transactions) as sender:
        for number, given in enumerate(itertools.islice(packets, count)):
            packet = described(given) if look_inside and given.jd is None else given
            if packet.jd is not None:
                first_jd = packet.jd if first_jd is None else first_jd
                since_first_days = packet.jd - first_jd
            if packet.visit is not None and first_visit is None:
                first_visit = packet.visit
            visits = None if packet.visit is None else packet.visit - (first_visit or 0)
            # A packet without a time is due with the packet before it.
            if not sender.wait_until(pace.due_s(number, since_first_days, visits)):
                break
            create_ms = packet.create_ms
            if create_ms is None and original_timestamps and packet.jd:
                create_ms = unix_ms(packet.jd)
            placement: dict[str, Any] = (
                {"key": packet.object_id} if by_object else {"partition": number}
            )
            if create_ms is not None:
                placement["timestamp"] = create_ms
            sender.send(packet, placement)
            if keep_candids:
                candids.append(packet.candid)
        sender.finish()
    return Played(
        alerts=report.alerts,
        size_bytes=report.size_bytes,
        elapsed_s=report.elapsed_s,
        partitions=dict(sorted(report.partitions.items())),
        candids=tuple(candids),
        stopped=stop.is_set(),
    )


def unix_ms(jd: float) -> int:
    """Return the milliseconds since 1970 of a Julian date (UTC)."""
    return round((jd - _UNIX_EPOCH_JD) * _DAY_MS)
