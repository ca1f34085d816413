"""Real packets, as they came from the telescopes, and functions that send them to Kafka."""

import functools
import io
import lzma
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import fastavro.schema
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

BROKEN_2016 = 2
"""Packets among the real ones that no Avro library decodes (union index out of range)."""


class LsstSample(NamedTuple):
    """A sample: the id of its schema, the schema, the bare record, and what fastavro reads."""

    schema_id: int
    schema: Any
    record: bytes
    alert: Any


def real_ztf_packets(test_data: Path, names: str = "*") -> Iterator[bytes]:
    """Yield every packet of the archives `ztf/ztf_<names>.tar.xz`, byte for byte."""
    for path in sorted((test_data / "ztf").glob(f"ztf_{names}.tar.xz")):
        yield from _packets_of(path)


@functools.cache
def _packets_of(path: Path) -> tuple[bytes, ...]:
    """Return the packets of an archive: all have 64 MB, and take 2.5 s to unpack each time."""
    packets = []
    with tarfile.open(path) as tar:
        for member in tar:  # in their order: what is behind is unpacked again for each step back
            content = tar.extractfile(member)
            if content is not None and member.name.endswith(".avro"):
                packets.append(content.read())
    return tuple(packets)


def lsst_schema(test_data: Path, schema_id: int) -> Any:
    """Return the public schema of that id as fastavro assembles it."""
    folder = test_data / "schemas" / "lsst" / str(schema_id // 100) / str(schema_id % 100)
    (path,) = folder.glob("*.alert.avsc")
    return fastavro.schema.load_schema(str(path))


def framed(schema_id: int, record: bytes) -> bytes:
    """Return a record in Confluent's frame."""
    return b"\0" + schema_id.to_bytes(4, "big") + record


def real_lsst_packets(test_data: Path) -> Iterator[tuple[bytes, Any]]:
    """Yield 107 alerts with up to 1172 previous sources, schema 10.0.

    Each as a frame, as it would stand on the topic, and as fastavro reads it.
    """
    with lzma.open(test_data / "lsst" / "lsst_v10_0_20260309_107.avro.xz") as file:
        reader = fastavro.block_reader(file)
        schema: Any = reader.writer_schema
        for block in reader:
            stream = io.BytesIO(block.bytes_.getvalue())
            for _ in range(block.num_records):
                start = stream.tell()
                alert = fastavro.schemaless_reader(stream, schema, None)
                yield framed(1000, stream.getbuffer()[start : stream.tell()].tobytes()), alert


def real_lsst_alerts(test_data: Path) -> list[Any]:
    """Return the same alerts as fastavro reads them."""
    return [alert for _, alert in real_lsst_packets(test_data)]


@functools.cache
def lsst_v10_frames(test_data: Path) -> tuple[bytes, ...]:
    """Return the same alerts as frames, as they would stand on the topic."""
    return tuple(frame for frame, _ in real_lsst_packets(test_data))


def lsst_samples(test_data: Path) -> list[LsstSample]:
    """Return the official sample of every schema of LSST from 3.0 to 11.0, in that order."""
    samples = []
    with tarfile.open(test_data / "lsst" / "lsst_fakeAlert_alert_packet.tar.xz") as tar:
        packets = [content.read() for m in tar if (content := tar.extractfile(m)) is not None]
    for packet in packets:
        reader = fastavro.reader(io.BytesIO(packet))
        (alert,) = reader
        schema: Any = reader.writer_schema
        major, minor = schema["name"].split(".")[1].removeprefix("v").split("_")
        record = next(fastavro.block_reader(io.BytesIO(packet))).bytes_.getvalue()
        samples.append(LsstSample(100 * int(major) + int(minor), schema, record, alert))
    return sorted(samples, key=lambda sample: sample.schema_id)


def send(
    bootstrap_servers: str,
    topic: str,
    values: Iterable[bytes | None],
    *,
    partitions: int = 1,
    timestamp_ms: int = 0,
    step_ms: int = 1,
    options: Mapping[str, Any] | None = None,
) -> int:
    """Send messages to a topic, round robin; return how many, once Kafka has them all."""
    # Idempotent: without it a retry, as at a new topic whose leader is not there yet, reorders.
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "linger.ms": 5,
            "enable.idempotence": True,
            **(options or {}),
        }
    )
    sent = 0
    for value in values:
        stamp = {"timestamp": timestamp_ms + sent * step_ms} if timestamp_ms else {}
        producer.produce(topic, value, partition=sent % partitions, **stamp)
        producer.poll(0)
        sent += 1
    assert producer.flush(60) == 0
    return sent


def add_partitions(bootstrap_servers: str, topic: str, partitions: int) -> None:
    """Raise the number of partitions of a topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in admin.create_partitions([NewPartitions(topic, partitions)]).values():
        future.result(30)


def expire(bootstrap_servers: str, topic: str, before: int, *, partition: int = 0) -> None:
    """Delete what lies before an offset from Kafka, as its retention does."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in admin.delete_records([TopicPartition(topic, partition, before)]).values():
        future.result(30)
