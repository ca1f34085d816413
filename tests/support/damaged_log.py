"""Record batches in the log of a real broker, and bits that change in them."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer

from sim.broker.kafka import Kafka

LENGTH_AT = 8
"""Where a record batch has its length, which counts the bytes after it."""

LAST_OFFSET_DELTA_AT = 23
HEADER_BYTES = 61


def send_batch(kafka: Kafka, topic: str, values: list[bytes], codec: str = "none") -> None:
    """Send all values as one record batch."""
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "linger.ms": 60_000,  # it ends with the flush
            "message.max.bytes": 1_000_000_000,
            "batch.size": 2_147_483_647,
            "batch.num.messages": 100_000,
            "queue.buffering.max.kbytes": 2_097_151,
            "compression.type": codec,
        }
    )
    # A producer that does not know the topic yet may send its first message alone.
    assert producer.list_topics(topic, timeout=60).topics[topic].partitions
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(120) == 0
    data = _log(kafka, topic).read_bytes()
    start = _starts(data)[-1]
    (last_delta,) = struct.unpack_from(">i", data, start + LAST_OFFSET_DELTA_AT)
    assert last_delta == len(values) - 1, "the messages became several record batches"


@contextmanager
def changed_bit(kafka: Kafka, topic: str, number: int) -> Iterator[None]:
    """Change a bit in the middle of a record batch, as a disk does, and change it back."""
    log = _log(kafka, topic)
    data = log.read_bytes()
    start = _starts(data)[number]
    at = start + HEADER_BYTES + (_size(data, start) - HEADER_BYTES) // 2
    _flip(log, at)
    try:
        yield
    finally:
        _flip(log, at)


def _log(kafka: Kafka, topic: str) -> Path:
    return next(Path(kafka.folder).rglob(f"{topic}-0/*.log"))


def _starts(data: bytes) -> list[int]:
    """Return where each record batch of a log starts; behind the last are zeros, if anything."""
    starts, start = [], 0
    while start + HEADER_BYTES <= len(data) and _size(data, start) > HEADER_BYTES:
        starts.append(start)
        start += _size(data, start)
    return starts


def _size(data: bytes, start: int) -> int:
    (length,) = struct.unpack_from(">i", data, start + LENGTH_AT)
    return int(length) + LENGTH_AT + 4


def _flip(log: Path, at: int) -> None:
    with log.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))
