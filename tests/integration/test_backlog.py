"""After days of shut-down the stream is archived at once, and the backlog beside it."""

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

SLOWLY = {"backlog_offsets": 20, "backfill_per_s": 2.0, "claim_rows": 4, "linger_max_s": 0.3}
"""A backlog of 60 takes half a minute: there is time to see what happens beside it."""


def lanes(archive: ArchiveUnderTest) -> PartitionState:
    """The only partition, as the ledger knows it."""
    known = read_state(LocalStorage(archive.root)).state.partitions.values()
    return next(iter(known), PartitionState())


def snapshot(archive: ArchiveUnderTest) -> Snapshot:
    found: Snapshot = wait_until("a snapshot", archive.snapshot)
    return found


def deep_audit(archive: ArchiveUnderTest) -> AuditReport:
    kafka = KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})
    return audit(LocalStorage(archive.root), kafka, deep="all")


def test_the_stream_goes_first_and_the_backlog_is_brought_in_beside_it(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets * 5)
    archive.settings = {"ingest": SLOWLY}
    archive.start()
    wait_until("the live lane begins", lambda: lanes(archive).live_from == 60)
    send(kafka.bootstrap_servers, topic, packets)
    wait_until("the stream is durable", lambda: lanes(archive).end == 72)
    seen = snapshot(archive)
    (part,) = seen.partitions
    assert seen.backlog == part.backlog > 0
    assert (part.frontier, part.lag, seen.lag) == (72, 0, 0)
    assert seen.balance.waiting == seen.backlog
    assert seen.balance.difference == 0
    # The old alerts' latency is no latency of the stream.
    assert {stage.alerts for stage in seen.latency} == {12}

    # In the middle of it an audit is balanced, and a kill costs nothing.
    archive.kill()
    report = deep_audit(archive)
    assert report.balanced, report.to_json()
    assert report.deferred == report.waiting == 72 - report.received > 0

    # While it is down more comes than it takes in its stride: now there are two backlogs.
    send(kafka.bootstrap_servers, topic, packets * 2)
    archive.settings = {"ingest": {**SLOWLY, "backfill_per_s": 0.0}}
    archive.start()
    archive.wait_for_offsets(96)
    archive.stop()
    assert lanes(archive).starts == {0, 60, 96}
    report = deep_audit(archive)
    assert report.balanced, report.to_json()
    assert (report.received, report.archived, report.waiting) == (96, 96, 0)
    assert archive.offsets() == Counter((0, n) for n in range(96))


def test_what_expires_under_the_backfill_is_accounted_for_and_alarmed(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets * 20)
    # So little room that most of the backlog is still in Kafka when its retention strikes.
    archive.settings = {
        "kafka": {"max_message_bytes": "1 MiB"},
        "ingest": {**SLOWLY, "held_bytes": "16 MiB", "backfill_per_s": 6.0},
    }
    archive.start()
    wait_until("the backfill is at work", lambda: archive.balance().archived >= 4)
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
    found = archive.offsets()
    assert {(0, n) for n in range(220, 252)} <= set(found)
    assert set(found.values()) == {1}
