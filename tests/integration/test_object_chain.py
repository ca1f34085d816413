"""From Kafka to an object store and back, with the store killed in the middle."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import finkray
from finkray.kafka.cluster import KafkaCluster
from finkray.status.archive import Snapshot
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.object_store import ObjectStore, running_store
from tests.support.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]

URI = "s3://observatory/nights/a b"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    with running_store(tmp_path / "store", "observatory") as store:
        yield store


@pytest.fixture
def archive(
    store: ObjectStore, tmp_path: Path, kafka: Kafka, topic: str, ray_cluster: LocalRay
) -> Iterator[ArchiveUnderTest]:
    under_test = ArchiveUnderTest(
        tmp_path / "archive",
        tmp_path,
        kafka.bootstrap_servers,
        [topic],
        ray_cluster.environment(),
        {"archive": {"uri": URI, "options": store.options(timeout_s=3, retry_s=2)}},
    )
    yield under_test
    under_test.kill()


def test_a_night_on_s3_is_whole_though_its_store_was_killed(
    archive: ArchiveUnderTest,
    store: ObjectStore,
    kafka: Kafka,
    topic: str,
    packets: list[bytes],
) -> None:
    kafka.create_topic(topic, partitions=2)
    sent = send(kafka.bootstrap_servers, topic, [*packets, b"broken"], partitions=2)
    archive.start()
    archive.wait_for_offsets(sent)

    store.kill()
    sent += send(kafka.bootstrap_servers, topic, packets * 4, partitions=2)
    snapshot = wait_until("the alarm", lambda: storage_alarm(archive), wait_s=60)
    assert any(URI in alarm.message for alarm in snapshot.alarms), snapshot.alarms
    store.start()
    archive.wait_for_offsets(sent)
    wait_until("the end of the alarm", lambda: "STORAGE" not in archive.alarms())
    log = archive.log.read_text()
    assert "restarting in" not in log
    audit = archive.finkray("audit", "--deep", "all", "--json")
    assert json.loads(audit.stdout)["balanced"], audit.stdout + audit.stderr
    archive.stop()

    assert not archive.root.exists()
    sheet = archive.balance()
    assert (sheet.received, sheet.archived, sheet.dead_lettered) == (sent, sent - 1, 1)
    opened = finkray.open_archive(URI, store.options())
    table = opened.dataset().to_table(columns=["kafka_partition", "kafka_offset", "objectId"])
    found = Counter(zip(*(c.to_pylist() for c in table.columns[:2]), strict=True))
    assert set(found.values()) == {1}
    assert len(found) == sent - 1
    assert opened.audit(
        KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers}), deep="all"
    ).balanced
    scanned = pl.scan_parquet(
        f"{URI}/alerts/**/*.parquet", storage_options=store.polars_options()
    ).select("objectId")
    assert sorted(scanned.collect()["objectId"]) == sorted(table["objectId"].to_pylist())
    assert list(archive.storage.walk("staging")) == []


def storage_alarm(archive: ArchiveUnderTest) -> Snapshot | None:
    snapshot = archive.snapshot()
    raised = snapshot is not None and any(alarm.code == "STORAGE" for alarm in snapshot.alarms)
    return snapshot if raised else None
