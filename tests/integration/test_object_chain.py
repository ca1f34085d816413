"""From Kafka to an object store or HDFS and back, with the store killed in the middle.

On HDFS by night: that is two starts of a server, some 20 s of CPU time.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pytest
from hdfs_native.fsspec import HdfsFileSystem

import finkray
from finkray.host.ports import LOOPBACK
from finkray.kafka.cluster import KafkaCluster
from finkray.status.archive import Snapshot
from finkray.storage.opening import Option
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.hdfs_server import HdfsServer, running_hdfs
from tests.support.object_store import ObjectStore, running_store
from tests.support.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]

FOLDER = "nights/a b"


class Store(NamedTuple):
    """A store of the test's own, and how an archive and a reader without finkray open it."""

    server: ObjectStore | HdfsServer
    uri: str
    options: dict[str, Option]
    object_ids: Callable[[], list[str]]


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path, quick_folder: Path) -> Iterator[Store]:
    with ExitStack() as stack:
        if request.param == "s3":
            s3 = stack.enter_context(running_store(tmp_path / "store", "observatory"))
            uri = f"s3://observatory/{FOLDER}"
            yield Store(s3, uri, s3.options(timeout_s=3, retry_s=2), lambda: by_polars(s3, uri))
        else:
            hdfs = stack.enter_context(running_hdfs(quick_folder / "store"))
            uri = f"{hdfs.uri}/{FOLDER}"
            yield Store(hdfs, uri, {"timeout_s": 3}, lambda: by_pyarrow(hdfs))


def by_polars(store: ObjectStore, uri: str) -> list[str]:
    scanned = pl.scan_parquet(
        f"{uri}/alerts/**/*.parquet", storage_options=store.polars_options()
    ).select("objectId")
    return scanned.collect()["objectId"].to_list()


def by_pyarrow(store: HdfsServer) -> list[str]:
    hdfs = pafs.PyFileSystem(pafs.FSSpecHandler(HdfsFileSystem(LOOPBACK, store.port)))
    dataset = pads.dataset(f"/{FOLDER}/alerts", filesystem=hdfs, format="parquet")
    return list(dataset.to_table(columns=["objectId"])["objectId"].to_pylist())


@pytest.fixture
def archive(
    store: Store, tmp_path: Path, kafka: Kafka, topic: str, ray_cluster: LocalRay
) -> Iterator[ArchiveUnderTest]:
    under_test = ArchiveUnderTest(
        tmp_path / "archive",
        tmp_path,
        kafka.bootstrap_servers,
        [topic],
        ray_cluster.environment(),
        {"archive": {"uri": store.uri, "options": store.options}},
    )
    yield under_test
    under_test.kill()


@pytest.mark.parametrize(
    "store",
    [
        "s3",
        pytest.param(
            "hdfs",
            marks=pytest.mark.nightly(
                "tests/integration/test_object_chain.py::"
                "test_a_night_in_a_store_is_whole_though_the_store_was_killed[s3]"
            ),
        ),
    ],
    indirect=True,
)
def test_a_night_in_a_store_is_whole_though_the_store_was_killed(
    archive: ArchiveUnderTest,
    store: Store,
    kafka: Kafka,
    topic: str,
    packets: list[bytes],
) -> None:
    kafka.create_topic(topic, partitions=2)
    sent = send(kafka.bootstrap_servers, topic, [*packets, b"broken"], partitions=2)
    archive.start()
    archive.wait_for_offsets(sent)

    store.server.kill()
    sent += send(kafka.bootstrap_servers, topic, packets * 4, partitions=2)
    snapshot = wait_until("the alarm", lambda: storage_alarm(archive), wait_s=60)
    assert any(store.uri in alarm.message for alarm in snapshot.alarms), snapshot.alarms
    store.server.start()
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
    opened = finkray.open_archive(store.uri, store.options)
    table = opened.dataset().to_table(columns=["kafka_partition", "kafka_offset", "objectId"])
    found = Counter(zip(*(c.to_pylist() for c in table.columns[:2]), strict=True))
    assert set(found.values()) == {1}
    assert len(found) == sent - 1
    assert opened.audit(
        KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers}), deep="all"
    ).balanced
    assert sorted(store.object_ids()) == sorted(table["objectId"].to_pylist())
    assert list(archive.storage.walk("staging")) == []


def storage_alarm(archive: ArchiveUnderTest) -> Snapshot | None:
    snapshot = archive.snapshot()
    raised = snapshot is not None and any(alarm.code == "STORAGE" for alarm in snapshot.alarms)
    return snapshot if raised else None
