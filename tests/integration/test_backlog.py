"""After a long shutdown the live stream is archived at once, and the backlog beside it."""

from collections import Counter

import pytest

from finkray.audit.audit import audit
from finkray.audit.report import AuditReport
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.read import read_state
from finkray.ledger.state import PartitionState
from finkray.status.archive import Snapshot
from finkray.storage.local import LocalStorage
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import expire, send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

SLOW_BACKFILL = {"backlog_offsets": 20, "backfill_per_s": 2.0, "claim_rows": 4, "linger_max_s": 0.3}
"""A backlog of 60 alerts takes half a minute: time to look at the live lane beside it."""


def partition_state(archive: ArchiveUnderTest) -> PartitionState:
    """Return the state of the only partition in the ledger."""
    partitions = read_state(LocalStorage(archive.root)).state.partitions.values()
    return next(iter(partitions), PartitionState())


def snapshot(archive: ArchiveUnderTest) -> Snapshot:
    current: Snapshot = wait_until("a snapshot", archive.snapshot)
    return current


def deep_audit(archive: ArchiveUnderTest) -> AuditReport:
    kafka = KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})
    return audit(LocalStorage(archive.root), kafka, deep="all")


def test_the_live_stream_is_archived_first_and_the_backlog_beside_it(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets * 5)
    archive.settings = {"ingest": SLOW_BACKFILL}
    archive.start()
    wait_until("the live lane begins", lambda: partition_state(archive).live_from == 60)
    send(kafka.bootstrap_servers, topic, packets)
    wait_until("the stream is durable", lambda: partition_state(archive).end == 72)
    current = snapshot(archive)
    (partition,) = current.partitions
    assert current.backlog == partition.backlog > 0
    assert (partition.frontier, partition.lag, current.lag) == (72, 0, 0)
    assert current.balance.waiting == current.backlog
    assert current.balance.difference == 0
    # Latencies are of the stream alone, without alerts of the backlog.
    assert {stage.alerts for stage in current.latency} == {12}

    # During the backfill an audit is balanced, and a kill loses nothing.
    archive.kill()
    report = deep_audit(archive)
    assert report.balanced, report.to_json()
    assert report.deferred == report.waiting == 72 - report.received > 0

    # While the archive is down, more than `backlog_offsets` arrive: now there are two backlogs.
    send(kafka.bootstrap_servers, topic, packets * 2)
    archive.settings = {"ingest": {**SLOW_BACKFILL, "backfill_per_s": 0.0}}
    archive.start()
    archive.wait_for_offsets(96)
    archive.stop()
    assert partition_state(archive).starts == {0, 60, 96}
    report = deep_audit(archive)
    assert report.balanced, report.to_json()
    assert (report.received, report.archived, report.waiting) == (96, 96, 0)
    assert archive.offsets() == Counter((0, n) for n in range(96))


def test_offsets_that_expire_during_the_backfill_are_counted_and_raise_an_alarm(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets * 20)
    # Small buffers, so that most of the backlog is still in Kafka when it expires.
    archive.settings = {
        "kafka": {"max_message_bytes": "1 MiB"},
        "ingest": {**SLOW_BACKFILL, "held_bytes": "16 MiB", "backfill_per_s": 6.0},
    }
    archive.start()
    wait_until("the backfill archives alerts", lambda: archive.balance().archived >= 4)
    expire(kafka.bootstrap_servers, topic, before=220)
    send(kafka.bootstrap_servers, topic, packets)
    archive.wait_for_offsets(240 + 12)
    assert "EXPIRED" in archive.alarms()
    archive.stop()
    report = deep_audit(archive)
    assert report.balanced, report.to_json()
    assert report.received == 252
    assert report.expired > 0
    assert report.archived + report.expired == 252
    copies = archive.offsets()
    assert {(0, n) for n in range(220, 252)} <= set(copies)
    assert set(copies.values()) == {1}
