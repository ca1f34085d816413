"""Kafka loses the end of a partition, and the only leader of another."""

import functools
import queue
import shutil
from collections.abc import Iterator

import pytest

from finkray.claim import TopicPartition
from finkray.driver.lanes import PartitionOffsets
from finkray.driver.topic_discovery import DiscoveredPartitions, TopicDiscovery
from finkray.errors import FinkrayError
from finkray.ingest.messages import Assignment
from finkray.kafka.cluster import KafkaCluster
from finkray.settings.kafka import KafkaSettings
from sim.broker.kafka import Kafka
from tests.support.archiving import wait_until
from tests.support.lane_reading import Lanes, fill, made

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker with two disks, so that it may lose one of them."""
    folder = tmp_path_factory.mktemp("kafka")
    disks = {"log.dirs": f"{folder}/data,{folder}/more"}
    with Kafka.running(folder, heap_mb=512, properties=disks) as running:
        yield running


def test_a_partition_that_lost_its_end_is_read_on_once_it_is_as_long_again(
    broker: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finkray.ingest.troubles.CHECK_TROUBLES_S", 0.2)
    lanes = Lanes(broker.bootstrap_servers)
    source = made(broker, topic)
    fill(broker, source, 6)
    lanes.reader.start(Assignment(source, 0, 1))
    lanes.read_until(lambda: len(lanes.offsets) == 6)
    broker.kill()
    lose_all_messages(broker, source)
    broker.restart()
    lanes.read_until(lambda: "ends at offset 0" in str(lanes.reader.troubles))
    fill(broker, source, 4)
    lanes.read_until(lambda: "ends at offset 4" in str(lanes.reader.troubles))
    fill(broker, source, 5)
    lanes.read_until(lambda: len(lanes.offsets) == 9)
    assert not lanes.reader.troubles
    lanes.assert_covered(source, 0, 9)
    lanes.reader.flush()
    lanes.read_to_the_end()


def test_a_partition_without_a_leader_does_not_keep_others_from_being_read(
    broker: Kafka, topic: str
) -> None:
    broker.create_topic(topic, partitions=2)
    cluster = KafkaCluster({"bootstrap.servers": broker.bootstrap_servers})
    there = wait_until("it is there", lambda: cluster.partitions(lambda name: name == topic))
    for source in there:
        wait_until("it has a leader", functools.partial(has_leader, cluster, source))
    (lost,) = (folder.name for folder in broker.folder.glob(f"more/{topic}-*"))
    shutil.rmtree(broker.folder / "more")
    silent = next(source for source in there if lost == f"{topic}-{source.partition}")
    wait_until("its leader is gone", lambda: not has_leader(cluster, silent))
    settings = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, topics=(topic,))
    looks = queue.SimpleQueue[DiscoveredPartitions]()
    topic_discovery = TopicDiscovery(settings, new_archive=True, on_discovery=looks.put)
    found = looks.get(timeout=60)
    topic_discovery.close()
    cluster.close()
    assert found.partitions == set(there)
    assert dict(found.new) == {one: PartitionOffsets(0, 0) for one in there if one != silent}
    assert set(found.unreadable) == {silent}
    assert f"{topic}[{silent.partition}]" in found.trouble


def has_leader(cluster: KafkaCluster, source: TopicPartition) -> bool:
    try:
        cluster.watermarks(source.topic, source.partition)
    except FinkrayError:
        return False
    return True


def lose_all_messages(kafka: Kafka, source: TopicPartition) -> None:
    """As a leader that never had them: what it says of itself stays."""
    (folder,) = kafka.folder.glob(f"*/{source.topic}-{source.partition}")
    for file in folder.iterdir():
        if file.name != "partition.metadata":
            file.unlink()
