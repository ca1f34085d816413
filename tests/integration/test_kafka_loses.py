"""Kafka loses what it had: the end of a partition, and a partition's only leader."""

from collections.abc import Iterator

import pytest

from finkray.claim import TopicPartition
from finkray.ingest.words import Assignment
from sim.kafka import Kafka
from tests.lane_reading import Lanes, fill, made

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One with two disks, so that it may lose one of them."""
    folder = tmp_path_factory.mktemp("kafka")
    disks = {"log.dirs": f"{folder}/data,{folder}/more"}
    with Kafka.running(folder, heap_mb=512, properties=disks) as running:
        yield running


def test_a_partition_that_lost_its_end_is_read_on_once_it_is_as_long_again(
    broker: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finkray.ingest.lane_reader.ASK_AGAIN_S", 0.2)
    lanes = Lanes(broker.bootstrap_servers)
    source = made(broker, topic)
    fill(broker, source, 6)
    lanes.reader.begin(Assignment(source, 0, 1))
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


def lose_all_messages(kafka: Kafka, source: TopicPartition) -> None:
    """As a leader that never had them: what it says of itself stays."""
    (folder,) = kafka.folder.glob(f"*/{source.topic}-{source.partition}")
    for file in folder.iterdir():
        if file.name != "partition.metadata":
            file.unlink()
