"""Redrive reads missing offsets from Kafka again; those that Kafka no longer has are `expired`."""

from pathlib import Path

import pyarrow.dataset as ds
import pytest
from confluent_kafka.admin import AdminClient

from finkray.audit.report import AuditReport
from finkray.claim import TopicPartition
from finkray.kafka.cluster import KafkaCluster
from finkray.redrive.missing import RedriveResult
from jobs.commands.audit import audit_now, redrive_now
from sim.broker.kafka import Kafka
from tests.support.avro_cases import container
from tests.support.dead_letters import PAIR, Observatory, record
from tests.support.packets import expire, send

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SENT = [b"text" if n == 6 else container(PAIR, record(n)) for n in range(10)]


@pytest.fixture
def observatory(tmp_path: Path, kafka: Kafka, topic: str) -> Observatory:
    """An archive that misses offsets 2 to 7 of ten; the message at offset 6 is not an alert."""
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, SENT)
    observatory = Observatory(tmp_path, bootstrap_servers=kafka.bootstrap_servers)
    source = source_of(kafka, topic)
    observatory.archive(0, SENT[:2], source=source)
    observatory.archive(8, SENT[8:], source=source)
    assert [str(hole.claim) for hole in deep_audit(observatory).missing_ranges] == [
        f"{topic}[0] 2-7"
    ]
    return observatory


def source_of(kafka: Kafka, topic: str) -> TopicPartition:
    cluster = KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    (source,) = cluster.partitions(lambda name: name == topic)
    cluster.close()
    return source


def deep_audit(observatory: Observatory) -> AuditReport:
    return audit_now(observatory.settings, deep="all")


def archived_offsets(observatory: Observatory) -> list[int]:
    table = ds.dataset(observatory.storage.root / "alerts", format="parquet").to_table()
    assert table["candid"].to_pylist() == table["kafka_offset"].to_pylist()
    return sorted(table["kafka_offset"].to_pylist())


def test_missing_offsets_are_read_again(observatory: Observatory) -> None:
    lines: list[str] = []
    done = redrive_now(observatory.settings, lines.append)
    assert done == RedriveResult(alerts=5, dead_letters=1)
    assert [line.partition("] ")[2] for line in lines] == ["2-7: 5 alerts archived"]
    assert deep_audit(observatory).balanced
    assert archived_offsets(observatory) == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert redrive_now(observatory.settings, lines.append) == RedriveResult()


def test_of_partly_expired_offsets_the_remaining_ones_are_read(
    observatory: Observatory, kafka: Kafka, topic: str
) -> None:
    expire(kafka.bootstrap_servers, topic, before=5)
    done = redrive_now(observatory.settings, print)
    assert done == RedriveResult(alerts=2, dead_letters=1, expired=3)
    report = deep_audit(observatory)
    assert report.balanced
    assert (report.archived, report.dead_lettered, report.expired) == (6, 1, 3)
    assert archived_offsets(observatory) == [0, 1, 5, 7, 8, 9]


def test_nothing_is_read_from_a_topic_that_was_deleted_and_created_again(
    observatory: Observatory, kafka: Kafka, topic: str
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_topics([topic]).values():
        future.result(30)
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, SENT)
    assert redrive_now(observatory.settings, print) == RedriveResult(expired=6)
    assert deep_audit(observatory).balanced
    assert archived_offsets(observatory) == [0, 1, 8, 9]
