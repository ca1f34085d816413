"""After a long shutdown the live stream is archived at once, and the backlog beside it.

One archive, which is started twice; each test goes on where the one before it ended.
"""

from collections import Counter
from collections.abc import Iterator

import pytest

from finkray.audit.audit import audit
from finkray.audit.report import AuditReport
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.read import read_state
from finkray.ledger.state import PartitionState
from finkray.status.archive import Snapshot
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import expire, send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

SLOW_BACKFILL = {"backlog_offsets": 20, "backfill_per_s": 2.0, "claim_rows": 4, "linger_max_s": 0.3}
"""A backlog of 60 alerts takes half a minute: time to look at the live lane beside it."""


LIVE, EXPIRING = "backlog_live", "backlog_expiring"


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory, kafka: Kafka, ray_cluster: LocalRay
) -> Iterator[ArchiveUnderTest]:
    """The archive, not started yet."""
    folder = tmp_path_factory.mktemp("backlog")
    under_test = ArchiveUnderTest(
        folder / "archive",
        folder,
        kafka.bootstrap_servers,
        [LIVE, EXPIRING],
        ray_cluster.environment(),
    )
    yield under_test
    under_test.kill()


def partition_state(archive: ArchiveUnderTest, topic: str) -> PartitionState:
    """Return the state of the topic's only partition in the ledger."""
    partitions = read_state(LocalStorage(archive.root)).state.partitions.items()
    return next((state for at, state in partitions if at.topic == topic), PartitionState())


def snapshot(archive: ArchiveUnderTest) -> Snapshot:
    current: Snapshot = wait_until("a snapshot", archive.snapshot)
    return current


def balanced_audit(archive: ArchiveUnderTest) -> AuditReport:
    kafka = KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})
    report = audit(LocalStorage(archive.root), kafka, deep="all")
    assert report.balanced, report.to_json()
    return report


def test_the_live_stream_is_archived_first_and_the_backlog_beside_it(
    archive: ArchiveUnderTest, kafka: Kafka, packets: list[bytes]
) -> None:
    kafka.create_topic(LIVE)
    send(kafka.bootstrap_servers, LIVE, packets * 5)
    archive.settings = {"ingest": SLOW_BACKFILL}
    archive.start()
    wait_until("the live lane begins", lambda: partition_state(archive, LIVE).live_from == 60)
    send(kafka.bootstrap_servers, LIVE, packets)
    wait_until("the stream is durable", lambda: partition_state(archive, LIVE).end == 72)
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
    report = balanced_audit(archive)
    assert report.deferred == report.waiting == 72 - report.received > 0


def test_offsets_that_expire_during_the_backfill_are_counted_and_raise_an_alarm(
    archive: ArchiveUnderTest, kafka: Kafka, packets: list[bytes]
) -> None:
    # While the archive is down, more than `backlog_offsets` arrive: now there are two backlogs.
    send(kafka.bootstrap_servers, LIVE, packets * 2)
    kafka.create_topic(EXPIRING)
    send(kafka.bootstrap_servers, EXPIRING, packets * 20)
    # Small buffers, so that most of the backlog is still in Kafka when it expires.
    archive.settings = {
        "kafka": {"max_message_bytes": "1 MiB"},
        "ingest": {**SLOW_BACKFILL, "held_bytes": "16 MiB", "backfill_per_s": 6.0},
    }
    archive.start()
    wait_until("the backfill archives alerts", lambda: archive.balance(EXPIRING).archived >= 4)
    expire(kafka.bootstrap_servers, EXPIRING, before=220)
    send(kafka.bootstrap_servers, EXPIRING, packets)
    archive.wait_for_topic(EXPIRING, 240 + 12)
    assert "EXPIRED" in archive.alarms()
    sheet = archive.balance(EXPIRING)
    assert sheet.received == 252
    assert sheet.expired > 0
    assert sheet.archived + sheet.expired == 252
    copies = archive.offsets(EXPIRING)
    assert {(0, n) for n in range(220, 252)} <= set(copies)
    assert set(copies.values()) == {1}


def test_the_backlogs_of_two_shutdowns_are_archived(archive: ArchiveUnderTest) -> None:
    archive.wait_for_offsets(96, topic=LIVE)
    archive.stop()
    assert partition_state(archive, LIVE).starts == {0, 60, 96}
    report = balanced_audit(archive)
    assert (report.received, report.waiting) == (96 + 252, 0)
    assert archive.offsets(LIVE) == Counter((0, n) for n in range(96))
