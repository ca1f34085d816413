"""Real packets for tests, as they came from the telescopes, and putting them into a Kafka."""

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

BROKEN_2016 = 2
"""Packets among the real ones that no Avro library decodes (union index out of range)."""


def real_ztf_packets(test_data: Path, names: str = "*") -> Iterator[bytes]:
    """Every packet of the archives `ztf/ztf_<names>.tar.xz`, byte for byte."""
    for path in sorted((test_data / "ztf").glob(f"ztf_{names}.tar.xz")):
        with tarfile.open(path) as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is not None and member.name.endswith(".avro"):
                    yield content.read()


def send(
    bootstrap_servers: str,
    topic: str,
    values: Iterable[bytes | None],
    *,
    partitions: int = 1,
    timestamp_ms: int = 0,
    options: Mapping[str, Any] | None = None,
) -> int:
    """Put messages into a topic, round robin; returns how many, once Kafka has them all."""
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
        stamp = {"timestamp": timestamp_ms + sent} if timestamp_ms else {}
        producer.produce(topic, value, partition=sent % partitions, **stamp)
        producer.poll(0)
        sent += 1
    assert producer.flush(60) == 0
    return sent


def add_partitions(bootstrap_servers: str, topic: str, partitions: int) -> None:
    """Let a topic have so many partitions."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in admin.create_partitions([NewPartitions(topic, partitions)]).values():
        future.result(30)


def expire(bootstrap_servers: str, topic: str, before: int, *, partition: int = 0) -> None:
    """Let Kafka forget what lies before an offset, as its retention does."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in admin.delete_records([TopicPartition(topic, partition, before)]).values():
        future.result(30)
