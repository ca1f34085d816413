"""A lane is read to its end and no further, whatever a real Kafka leaves out of it."""

import functools
import time
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Producer

from finkray.claim import Claim, Gap, TopicPartition
from finkray.ingest.intake import Cut, CutLimits
from finkray.ingest.kafka import KafkaCluster, reader
from finkray.ingest.lane_reader import LaneReader, Polled
from finkray.ingest.words import Assignment
from sim.kafka import Kafka
from tests import packets
from tests.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

LIMITS = CutLimits(claim_bytes=10**6, claim_rows=4, linger_s=0.1)


class Lanes:
    """A reader, and what it was given to hold."""

    def __init__(self, bootstrap_servers: str) -> None:
        config = {"bootstrap.servers": bootstrap_servers}
        self.cuts: list[Cut[Polled]] = []
        self.reader = LaneReader(
            functools.partial(reader, config, queue_bytes=2**20, max_message_bytes=2**20),
            KafkaCluster(config),
            LIMITS,
            lambda _, cut: self.cuts.append(cut),
        )

    def read_until(self, done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 60
        while not done():
            assert time.monotonic() < deadline_s
            self.reader.read(100, 0.05)
            self.reader.publish_due()

    def read_to_the_end(self) -> None:
        self.read_until(lambda: not self.reader.active)

    @property
    def offsets(self) -> list[int]:
        return [message.offset for cut in self.cuts for message in cut.messages]

    @property
    def gaps(self) -> list[Gap]:
        return [gap for cut in self.cuts for gap in cut.gaps]

    def assert_covered(self, source: TopicPartition, first: int, end: int) -> None:
        """Every offset is in one claim, and the claims follow each other."""
        for cut in self.cuts:
            assert cut.claim == Claim(source, first, cut.claim.last_offset)
            first = cut.claim.last_offset + 1
        assert first == end


@pytest.fixture
def lanes(kafka: Kafka) -> Iterator[Lanes]:
    made = Lanes(kafka.bootstrap_servers)
    yield made
    made.reader.flush()
    made.reader.read(0, 0.0)


@pytest.fixture
def source(kafka: Kafka, topic: str) -> TopicPartition:
    kafka.create_topic(topic)
    return TopicPartition("cluster", topic, "id", 0)


def fill(kafka: Kafka, source: TopicPartition, messages: int) -> None:
    send(kafka.bootstrap_servers, source.topic, [b"alert"] * messages)


def expire(kafka: Kafka, source: TopicPartition, before: int) -> None:
    packets.expire(kafka.bootstrap_servers, source.topic, before, partition=source.partition)


def test_a_backfill_stops_before_the_live_lane(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    fill(kafka, source, 30)
    lanes.reader.begin(Assignment(source, 5, 1, end_offset=17))
    lanes.read_to_the_end()
    assert lanes.offsets == list(range(5, 17))
    lanes.assert_covered(source, 5, 17)


def test_a_lane_that_is_read_again_begins_anew(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    fill(kafka, source, 30)
    lanes.reader.begin(Assignment(source, 0, 1, end_offset=30))
    lanes.read_until(lambda: len(lanes.cuts) > 1)
    lanes.cuts.clear()
    lanes.reader.begin(Assignment(source, 4, 2, end_offset=30))
    lanes.read_to_the_end()
    lanes.assert_covered(source, 4, 30)


def test_the_live_lane_and_a_backfill_of_one_partition_are_read_side_by_side(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    fill(kafka, source, 30)
    live = Lanes(kafka.bootstrap_servers)
    live.reader.begin(Assignment(source, 30, 1))
    lanes.reader.begin(Assignment(source, 0, 2, end_offset=30))
    lanes.read_until(lambda: bool(lanes.cuts))
    fill(kafka, source, 5)
    live.read_until(lambda: len(live.offsets) == 5)
    lanes.read_to_the_end()
    assert live.offsets == list(range(30, 35))
    lanes.assert_covered(source, 0, 30)
    live.reader.flush()
    live.read_to_the_end()


def test_a_lane_that_ends_with_what_is_not_delivered_still_ends(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    """Six messages and a marker, six aborted ones and a marker, and nothing after them."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": source.topic}
    )
    producer.init_transactions(60)
    for commits in (True, False):
        producer.begin_transaction()
        for _ in range(6):
            producer.produce(source.topic, b"alert", partition=0)
        producer.flush(30)
        (producer.commit_transaction if commits else producer.abort_transaction)(60)
    lanes.reader.begin(Assignment(source, 0, 1, end_offset=14))
    lanes.read_to_the_end()
    assert lanes.offsets == list(range(6))
    lanes.assert_covered(source, 0, 14)
    assert {gap.kind for gap in lanes.gaps} == {"not_delivered"}


@pytest.mark.parametrize(("expired", "read"), [(12, range(12, 20)), (20, []), (27, [])])
def test_what_expired_of_a_lane_is_accounted_for_up_to_its_end(
    kafka: Kafka, source: TopicPartition, lanes: Lanes, expired: int, read: range
) -> None:
    fill(kafka, source, 30)
    expire(kafka, source, expired)
    lanes.reader.begin(Assignment(source, 4, 1, end_offset=20))
    lanes.read_to_the_end()
    assert lanes.offsets == list(read)
    assert lanes.gaps == [Gap("expired", 4, min(expired, 20) - 1)]
    lanes.assert_covered(source, 4, 20)


def test_what_expires_while_a_lane_is_paused_is_accounted_for(
    kafka: Kafka, source: TopicPartition, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no room for long the client's queue is thrown away, and must be fetched again."""
    monkeypatch.setattr("finkray.ingest.lane_reader.STALL_BEFORE_PAUSE_S", 0.0)
    fill(kafka, source, 30)
    lanes.reader.begin(Assignment(source, 0, 1, end_offset=25))
    while not lanes.offsets:
        lanes.reader.read(1, 0.5)
        lanes.reader.publish_due(flush=True)
    for _ in range(2):
        lanes.reader.read(0, 0.0)
    expire(kafka, source, 18)
    lanes.read_to_the_end()
    lanes.assert_covered(source, 0, 25)
    assert lanes.offsets == [0, *range(18, 25)]
    assert lanes.gaps == [Gap("expired", 1, 17)]


def test_trouble_with_a_quiet_partition_ends_when_its_leader_answers(
    kafka: Kafka, lanes: Lanes, source: TopicPartition
) -> None:
    fill(kafka, source, 3)
    lanes.reader.begin(Assignment(source, 0, 1))
    lanes.read_until(lambda: lanes.offsets == [0, 1, 2])
    # As the client says it, once and with no word when it is over.
    lanes.reader.troubles[source.topic, source.partition] = "it takes no connection"
    lanes.reader.troubles[None, None] = "all brokers are down"
    lanes.read_until(lambda: not lanes.reader.troubles)
    assert lanes.offsets == [0, 1, 2]
