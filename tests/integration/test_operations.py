"""What a night may bring: a full disk, and one that is read-only."""

from pathlib import Path

import pytest

from finkray.audit.audit import audit
from finkray.kafka.cluster import KafkaCluster
from finkray.status.archive import Snapshot
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import real_ztf_packets, send
from tests.support.shift import assert_alarm_is_told
from tests.support.small_disk import small_disk

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def packets(test_data: Path) -> list[bytes]:
    return list(real_ztf_packets(test_data, "20200101*"))


def nothing_is_lost_or_doubled(archive: ArchiveUnderTest, sent: int) -> None:
    """Check that each alert that was sent is in the files, once."""
    topics = [folder.name.removeprefix("topic=") for folder in archive.root.glob("alerts/topic=*")]
    found = [count for topic in topics for count in archive.offsets(topic).values()]
    assert set(found) == {1}
    report = audit(
        LocalStorage(archive.root), KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})
    )
    assert report.balanced
    assert (report.received, report.archived, report.waiting) == (len(found), len(found), 0)
    assert len(found) == sent


def snapshot_with(archive: ArchiveUnderTest, *codes: str) -> Snapshot:
    """The first snapshot in which one of these alarms is raised."""

    def raised() -> Snapshot | None:
        snapshot = archive.snapshot()
        found = snapshot and {alarm.code for alarm in snapshot.alarms}.intersection(codes)
        return snapshot if found else None

    raised_in: Snapshot = wait_until(f"one of the alarms {codes}", raised)
    return raised_in


def the_intake_stops(archive: ArchiveUnderTest) -> Snapshot:
    def paused() -> Snapshot | None:
        snapshot = archive.snapshot()
        stopped = snapshot is not None and any(actor.paused for actor in snapshot.actors)
        return snapshot if stopped else None

    stopped_in: Snapshot = wait_until("the intake to stop", paused)
    return stopped_in


@pytest.mark.nightly(
    "tests/integration/one_archive/test_chain.py::"
    "test_reading_stops_while_the_storage_refuses_and_continues_after"
)
def test_a_full_and_a_read_only_disk_are_waited_for_without_a_restart(
    tmp_path: Path, kafka: Kafka, topic: str, packets: list[bytes], ray_cluster: LocalRay
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        archive = ArchiveUnderTest(
            disk.root / "archive",
            tmp_path,
            kafka.bootstrap_servers,
            [f"^{topic}"],
            ray_cluster.environment(),
            {
                "ingest": {"held_bytes": "32 MiB", "claim_bytes": "1 MiB"},
                "archive": {"low_disk_bytes": "64 MiB"},
            },
        )
        kafka.create_topic(topic, partitions=2)
        process = archive.start()
        try:
            sent = send(kafka.bootstrap_servers, topic, packets[:2], partitions=2)
            archive.wait_for_offsets(sent)
            first = archive.snapshot()
            assert first is not None
            assert first.alarms == ()

            disk.fill()
            sent += send(kafka.bootstrap_servers, topic, packets * 20, partitions=2)
            snapshot_with(archive, "STORAGE")
            full = the_intake_stops(archive)
            assert full.held_bytes <= full.held_bytes_limit
            if disk.real:
                assert "LOW_DISK" in {alarm.code for alarm in full.alarms}
            assert_alarm_is_told(archive, "STORAGE")
            # The night's new topic is found now, and cannot be noted in the ledger.
            kafka.create_topic(f"{topic}_new", partitions=1)
            sent += send(kafka.bootstrap_servers, f"{topic}_new", packets)
            disk.make_room()
            archive.wait_for_offsets(sent)
            wait_until("the end of the alarms", lambda: archive.alarms() == set())

            disk.refuse_writing()
            sent += send(kafka.bootstrap_servers, topic, packets, partitions=2)
            snapshot_with(archive, "STORAGE", "LEASE")
            disk.allow_writing()
            archive.wait_for_offsets(sent)
            wait_until("the end of the alarms", lambda: archive.alarms() == set())

            last = archive.snapshot()
            assert last is not None
            assert (last.epoch, last.started_at) == (first.epoch, first.started_at)
            assert process.poll() is None
            archive.stop()
            nothing_is_lost_or_doubled(archive, sent)
        finally:
            archive.kill()
