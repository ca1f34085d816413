"""The same alerts in two topics: as ZTF sends them, and without the container around each.

The packets are the 498 of the night of 2018-11-29 of the public test data, over and over.
"""

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar

from confluent_kafka import Producer

from finkray.avro_container import Body, Header, find_body, read_header
from sim.kafka import Kafka

PACKETS = Path("ztf/ztf_20181129_fink-alert-simulator_498.tar.xz")
CONTAINERS, BARE = "bench_containers", "bench_bare"

_POLL_S = 0.1
_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class Packets:
    """Real packets with one writer schema.

    `containers` are the messages as ZTF sends them, `bare` the same records alone.
    """

    containers: tuple[bytes, ...]
    bare: tuple[bytes, ...]
    schema_text: str


def read_packets(data: Path) -> Packets:
    """Read the packets from the folder of the public test data."""
    with tarfile.open(data / PACKETS) as tar:
        containers = tuple(
            file.read()
            for member in tar
            if member.name.endswith(".avro") and (file := tar.extractfile(member))
        )
    headers = [_sure(read_header(packet), Header) for packet in containers]
    if len({header.raw for header in headers}) != 1:
        raise ValueError("the packets have more than one schema; bare records need one for all")
    return Packets(
        containers,
        tuple(
            packet[body.start : body.end]
            for packet, header in zip(containers, headers, strict=True)
            for body in [_sure(find_body(packet, len(header.raw)), Body)]
        ),
        headers[0].schema_text.decode(),
    )


def fill(kafka: Kafka, packets: Packets, alerts: int, partitions: int) -> dict[str, int]:
    """Make both topics and put so many alerts into each; returns the bytes in each."""
    return {
        CONTAINERS: _fill_one(kafka, CONTAINERS, packets.containers, alerts, partitions),
        BARE: _fill_one(kafka, BARE, packets.bare, alerts, partitions),
    }


def _fill_one(
    kafka: Kafka, topic: str, messages: tuple[bytes, ...], alerts: int, partitions: int
) -> int:
    kafka.create_topic(topic, partitions=partitions)
    return send(kafka, topic, messages, alerts, partitions)


def send(kafka: Kafka, topic: str, messages: Sequence[bytes], alerts: int, partitions: int) -> int:
    """Put so many alerts into a topic, the messages over and over; returns their bytes."""
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "linger.ms": 20,
            "queue.buffering.max.kbytes": 262_144,
        }
    )
    size = 0
    for number, message in enumerate(islice(cycle(messages), alerts)):
        while True:
            try:
                producer.produce(topic, message, partition=number % partitions)
                break
            except BufferError:
                producer.poll(_POLL_S)
        producer.poll(0)
        size += len(message)
    if left := producer.flush(60):
        raise RuntimeError(f"{left} messages did not reach Kafka")
    return size


def _sure(found: object, kind: type[_Found]) -> _Found:
    if not isinstance(found, kind):
        raise ValueError(f"a packet of the test data is damaged: {found}")  # noqa: TRY004
    return found
