"""An upstream Kafka as surveys have it: we may read, it expires, it writes in transactions."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from confluent_kafka import Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient

from finkray.audit.audit import audit
from finkray.audit.report import AuditReport
from finkray.ingest.kafka import KafkaCluster
from finkray.storage.local import LocalStorage
from jobs.local_ray import LocalRay
from sim.kafka import Kafka
from sim.read_only import AUTHORIZER, forbid_writing
from tests.archiving import ArchiveUnderTest, wait_until
from tests.packets import real_ztf_packets, send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]


@pytest.fixture
def guarded_kafka(tmp_path: Path) -> Iterator[Kafka]:
    with Kafka.running(tmp_path / "kafka", heap_mb=512, properties=AUTHORIZER) as broker:
        yield broker


@pytest.fixture
def guarded_archive(
    tmp_path: Path, guarded_kafka: Kafka, topic: str, ray_cluster: LocalRay
) -> Iterator[ArchiveUnderTest]:
    under_test = ArchiveUnderTest(
        tmp_path / "archive",
        tmp_path,
        guarded_kafka.bootstrap_servers,
        [topic],
        ray_cluster.environment(),
    )
    yield under_test
    under_test.kill()


@pytest.fixture
def packets(test_data: Path) -> list[bytes]:
    return list(real_ztf_packets(test_data, "202002*"))


def deep_audit(archive: ArchiveUnderTest) -> AuditReport:
    kafka = KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})
    return audit(LocalStorage(archive.root), kafka, deep="all")


def send_in_transactions(kafka: Kafka, topic: str, packets: list[bytes]) -> None:
    """Twelve of them, in three transactions of which the second is aborted."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": f"tx-{topic}"}
    )
    producer.init_transactions(60)
    for number, commits in enumerate((True, False, True)):
        producer.begin_transaction()
        for packet in packets[4 * number : 4 * number + 4]:
            producer.produce(topic, packet, partition=0)
        producer.flush(30)
        (producer.commit_transaction if commits else producer.abort_transaction)(60)


def test_a_kafka_that_may_only_be_read_is_enough_and_its_transactions_leave_gaps(
    guarded_archive: ArchiveUnderTest, guarded_kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    guarded_kafka.create_topic(topic)
    send_in_transactions(guarded_kafka, topic, packets)
    forbid_writing(guarded_kafka.bootstrap_servers)
    archive = guarded_archive
    archive.start()
    # Twelve messages and the marker of each of the three transactions.
    archive.wait_for_offsets(15)
    archive.stop()
    report = deep_audit(archive)
    assert report.balanced
    assert (report.archived, report.not_delivered, report.waiting) == (8, 7, 0)
    assert "Traceback" not in archive.log.read_text()


def test_what_expired_before_it_was_read_is_accounted_for(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets)
    archive.start()
    archive.wait_for_offsets(12)
    archive.stop()
    send(kafka.bootstrap_servers, topic, packets)
    _expire(kafka, topic, before=20)
    archive.start()
    archive.wait_for_offsets(24)
    assert "EXPIRED" in archive.alarms()
    archive.stop()
    report = deep_audit(archive)
    assert report.balanced
    assert (report.received, report.archived, report.expired) == (24, 16, 8)


def _expire(kafka: Kafka, topic: str, before: int) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for future in admin.delete_records([KafkaPartition(topic, 0, before)]).values():
        future.result(30)


def test_a_broker_that_is_away_for_a_while_is_waited_for(
    guarded_archive: ArchiveUnderTest, guarded_kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    guarded_kafka.create_topic(topic)
    archive = guarded_archive
    archive.start()
    send(guarded_kafka.bootstrap_servers, topic, packets)
    archive.wait_for_offsets(12)
    guarded_kafka.kill()
    wait_until("the alarm", lambda: "KAFKA_UNREACHABLE" in archive.alarms())
    guarded_kafka.restart()
    # No alert comes meanwhile: that Kafka answers again is enough.
    wait_until("the end of the alarm", lambda: "KAFKA_UNREACHABLE" not in archive.alarms())
    send(guarded_kafka.bootstrap_servers, topic, packets)
    archive.wait_for_offsets(24)
    archive.stop()
    table = ds.dataset(archive.root / "alerts", format="parquet").to_table(columns=["kafka_offset"])
    assert Counter(table["kafka_offset"].to_pylist()) == Counter(range(24))
