"""A record batch that unpacks to too much ends a process made for that, and becomes a gap."""

import functools
import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.claim import Claim, Gap, TopicPartition
from finkray.host.processes import command_of
from finkray.ingest.bounded_consumer import BoundedConsumer
from finkray.ingest.messages import Assignment
from finkray.kafka.cluster import KafkaCluster
from finkray.redrive.reread import Rereader
from finkray.settings.ingest import IngestSettings
from finkray.settings.kafka import KafkaSettings
from finkray.settings.model import Settings
from sim.broker.kafka import Kafka
from tests.support.archiving import wait_until
from tests.support.damaged_log import changed_bit, send_batch
from tests.support.lane_reading import Lanes, fill, made
from tests.support.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

MIB = 2**20
MEMORY_BYTES = 128 * MIB


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finkray.ingest.unreadable.RETRY_S", 0.2)


@pytest.fixture
def source(kafka: Kafka, topic: str) -> TopicPartition:
    return made(kafka, topic)


@pytest.fixture
def ended() -> list[float]:
    """When a batch ended the process, on the monotonic clock."""
    return []


@pytest.fixture
def lanes(kafka: Kafka, ended: list[float]) -> Iterator[Lanes]:
    make_consumer = functools.partial(
        BoundedConsumer,
        {"bootstrap.servers": kafka.bootstrap_servers},
        max_message_bytes=MIB,
        memory_bytes=MEMORY_BYTES,
        on_no_memory=lambda: ended.append(time.monotonic()),
    )
    made_lanes = Lanes(kafka.bootstrap_servers, make_consumer)
    yield made_lanes
    made_lanes.reader.flush()
    made_lanes.reader.read(0, 0.0)
    assert not processes()


def processes() -> list[psutil.Process]:
    """Return the processes of bounded consumers that this one has."""
    return [
        process
        for process in psutil.Process().children()
        if "finkray.ingest.bounded_process" in command_of(process)
    ]


@pytest.mark.parametrize("codec", ["gzip", "lz4"])
def test_a_batch_that_unpacks_to_too_much_is_a_gap_and_all_others_are_read(
    kafka: Kafka, source: TopicPartition, lanes: Lanes, ended: list[float], codec: str
) -> None:
    send_batch(kafka, source.topic, [b"good"] * 5)
    send_batch(kafka, source.topic, [bytes(MIB)] * 20, codec)
    send_batch(kafka, source.topic, [bytes(15 * MIB)] * 20, codec)
    send_batch(kafka, source.topic, [b"good"] * 5)
    before = psutil.Process().memory_info().rss

    lanes.reader.start(Assignment(source, 0, 1, end_offset=50))
    lanes.read_until(lambda: bool(lanes.reader.unreadable))
    told = str(lanes.reader.unreadable)
    assert "offset 25 cannot be read" in told
    assert "takes more than 128 MiB of memory" in told
    lanes.read_to_the_end()

    assert lanes.gaps == [Gap("unreadable", 25, 44)]
    assert lanes.offsets == [*range(25), *range(45, 50)]
    lanes.assert_covered(source, 0, 50)
    assert len(ended) >= 3
    assert not lanes.reader.troubles
    assert psutil.Process().memory_info().rss - before < 150 * MIB


def test_a_redrive_reads_such_a_batch_in_a_bounded_process_too(
    kafka: Kafka, source: TopicPartition
) -> None:
    send_batch(kafka, source.topic, [b"good"] * 3)
    send_batch(kafka, source.topic, [bytes(25 * MIB)] * 16, "gzip")
    send_batch(kafka, source.topic, [b"good"] * 2)
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka.bootstrap_servers, topics=(source.topic,)),
        ingest=IngestSettings(memory_bytes=512 * MIB, held_bytes=64 * MIB),
    )
    before = psutil.Process().memory_info().rss
    cuts = list(Rereader(settings).cuts(Claim(source, 0, 20), bounded=True))
    assert [gap for cut in cuts for gap in cut.gaps] == [Gap("unreadable", 3, 18)]
    assert [message.offset for cut in cuts for message in cut.messages] == [0, 1, 2, 19, 20]
    assert psutil.Process().memory_info().rss - before < 150 * MIB
    assert not processes()


@pytest.mark.nightly(
    "tests/integration/test_bounded_consumer.py::"
    "test_a_batch_that_unpacks_to_too_much_is_a_gap_and_all_others_are_read[gzip]"
)
def test_another_partition_is_read_while_one_has_such_a_batch(
    kafka: Kafka, topic: str, lanes: Lanes
) -> None:
    kafka.create_topic(topic, partitions=2)
    cluster = KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    bad, good = cluster.partitions(lambda name: name == topic)
    cluster.close()
    send(kafka.bootstrap_servers, topic, [b"alert"] * 4, partitions=2)
    send_batch(kafka, topic, [bytes(15 * MIB)] * 20, "gzip")
    lanes.reader.start(Assignment(bad, 0, 1, end_offset=22))
    lanes.reader.start(Assignment(good, 0, 1))
    lanes.read_until(lambda: len(lanes.offsets) == 4)
    lanes.read_until(lambda: bool(lanes.reader.unreadable))
    send(kafka.bootstrap_servers, topic, [b"alert"] * 4, partitions=2)
    lanes.read_until(lambda: len(lanes.offsets) == 6 and bool(lanes.gaps))
    assert lanes.gaps == [Gap("unreadable", 2, 21)]


def test_it_is_known_when_each_partition_has_answered(kafka: Kafka, topic: str) -> None:
    """So an actor reads this way until it has met the batch that ended the one before it."""
    kafka.create_topic(topic, partitions=3)
    consumer = BoundedConsumer(
        {"bootstrap.servers": kafka.bootstrap_servers},
        max_message_bytes=MIB,
        memory_bytes=MEMORY_BYTES,
        on_no_memory=lambda: None,
    )
    first, second, third = (KafkaPartition(topic, number, 0) for number in range(3))
    try:
        consumer.incremental_assign([first, second])
        assert not consumer.all_read
        send(kafka.bootstrap_servers, topic, [b"alert"] * 3, partitions=3)
        wait_until("both answered", lambda: bool(consumer.consume(10, 0.1)) and consumer.all_read)
        consumer.incremental_assign([third])
        assert not consumer.all_read
        consumer.pause([third])
        assert consumer.all_read
    finally:
        consumer.close()


def test_a_bounded_consumer_reads_what_another_one_reads(
    kafka: Kafka, source: TopicPartition, lanes: Lanes, ended: list[float]
) -> None:
    for first, count in ((0, 4), (4, 7), (11, 4)):
        send_batch(kafka, source.topic, [b"%5d" % (first + n) * 100 for n in range(count)], "zstd")
    with changed_bit(kafka, source.topic, 1):
        lanes.reader.start(Assignment(source, 0, 1, end_offset=15))
        lanes.read_to_the_end()
    assert lanes.gaps == [Gap("unreadable", 4, 10)]
    assert lanes.offsets == [*range(4), *range(11, 15)]
    values = [message.raw.value for cut in lanes.cuts for message in cut.messages]
    assert values[-1] == b"%5d" % 14 * 100
    assert all(message.raw.timestamp_ms for cut in lanes.cuts for message in cut.messages)
    assert not ended


def test_a_process_that_is_killed_is_no_fault_of_a_batch(
    kafka: Kafka,
    source: TopicPartition,
    lanes: Lanes,
    ended: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(kafka, source, 5)
    lanes.reader.start(Assignment(source, 0, 1))
    lanes.read_until(lambda: len(lanes.offsets) == 5)
    (process,) = processes()
    os.kill(process.pid, signal.SIGKILL)
    lanes.read_until(lambda: "ended with -9" in caplog.text)
    fill(kafka, source, 5)
    lanes.read_until(lambda: len(lanes.offsets) == 10)
    assert not lanes.gaps
    assert not lanes.reader.unreadable
    assert not lanes.reader.troubles
    assert not ended


def test_a_reader_goes_on_with_another_consumer_where_it_was(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    fill(kafka, source, 7)
    lanes.reader.start(Assignment(source, 0, 1))
    for messages in range(7, 28, 7):
        lanes.read_until(lambda messages=messages: len(lanes.offsets) == messages)
        fill(kafka, source, 7)
        lanes.reader.reopen()
    lanes.read_until(lambda: len(lanes.offsets) == 28)
    lanes.assert_covered(source, 0, 28)
