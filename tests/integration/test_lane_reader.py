"""A lane is read to its end and no further, whatever offsets a real Kafka skips."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer

from finkray.claim import Gap, TopicPartition
from finkray.host.ports import free_ports
from finkray.ingest.messages import Assignment
from finkray.kafka.consumer import assigned_consumer
from sim.broker.kafka import Kafka
from tests.support import packets
from tests.support.lane_reading import Lanes, fill, made

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


@pytest.fixture
def lanes(kafka: Kafka) -> Iterator[Lanes]:
    made = Lanes(kafka.bootstrap_servers)
    yield made
    made.reader.flush()
    made.reader.read(0, 0.0)


@pytest.fixture
def source(kafka: Kafka, topic: str) -> TopicPartition:
    return made(kafka, topic)


def expire(kafka: Kafka, source: TopicPartition, before: int) -> None:
    packets.expire(kafka.bootstrap_servers, source.topic, before, partition=source.partition)


def test_a_backfill_stops_before_the_live_lane(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    fill(kafka, source, 30)
    lanes.reader.start(Assignment(source, 5, 1, end_offset=17))
    lanes.read_to_the_end()
    assert lanes.offsets == list(range(5, 17))
    lanes.assert_covered(source, 5, 17)


def test_a_lane_that_is_assigned_again_starts_at_its_offset(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    fill(kafka, source, 30)
    lanes.reader.start(Assignment(source, 0, 1, end_offset=30))
    lanes.read_until(lambda: len(lanes.cuts) > 1)
    lanes.cuts.clear()
    lanes.reader.start(Assignment(source, 4, 2, end_offset=30))
    lanes.read_to_the_end()
    lanes.assert_covered(source, 4, 30)


def test_the_live_lane_and_a_backfill_of_one_partition_are_read_side_by_side(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    fill(kafka, source, 30)
    live = Lanes(kafka.bootstrap_servers)
    live.reader.start(Assignment(source, 30, 1))
    lanes.reader.start(Assignment(source, 0, 2, end_offset=30))
    lanes.read_until(lambda: bool(lanes.cuts))
    fill(kafka, source, 5)
    live.read_until(lambda: len(live.offsets) == 5)
    lanes.read_to_the_end()
    assert live.offsets == list(range(30, 35))
    lanes.assert_covered(source, 0, 30)
    live.reader.flush()
    live.read_to_the_end()


def test_a_lane_whose_last_offsets_are_not_delivered_still_ends(
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
    lanes.reader.start(Assignment(source, 0, 1, end_offset=14))
    lanes.read_to_the_end()
    assert lanes.offsets == list(range(6))
    lanes.assert_covered(source, 0, 14)
    assert {gap.kind for gap in lanes.gaps} == {"not_delivered"}


@pytest.mark.parametrize(("expired", "read"), [(12, range(12, 20)), (20, []), (27, [])])
def test_expired_offsets_of_a_lane_are_accounted_for_up_to_its_end(
    kafka: Kafka, source: TopicPartition, lanes: Lanes, expired: int, read: range
) -> None:
    fill(kafka, source, 30)
    expire(kafka, source, expired)
    lanes.reader.start(Assignment(source, 4, 1, end_offset=20))
    lanes.read_to_the_end()
    assert lanes.offsets == list(read)
    assert lanes.gaps == [Gap("expired", 4, min(expired, 20) - 1)]
    lanes.assert_covered(source, 4, 20)


def test_offsets_that_expire_while_a_lane_is_paused_are_accounted_for(
    kafka: Kafka, source: TopicPartition, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room for long the client's queue is discarded, and must be fetched again."""
    monkeypatch.setattr("finkray.ingest.lane_consumer.STALL_BEFORE_PAUSE_S", 0.0)
    fill(kafka, source, 30)
    lanes.reader.start(Assignment(source, 0, 1, end_offset=25))
    while not lanes.offsets:
        lanes.reader.read(1, 0.5)
        lanes.reader.cut_due(flush=True)
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
    lanes.reader.start(Assignment(source, 0, 1))
    lanes.read_until(lambda: lanes.offsets == [0, 1, 2])
    # As the client says it, once and with no word when it is over.
    lanes.reader.troubles[source.topic, source.partition] = "it takes no connection"
    lanes.reader.troubles[None, None] = "all brokers are down"
    lanes.read_until(lambda: not lanes.reader.troubles)
    assert lanes.offsets == [0, 1, 2]


def test_a_lane_of_an_older_generation_does_not_replace_a_newer_one(
    kafka: Kafka, lanes: Lanes, source: TopicPartition
) -> None:
    """Two calls of the driver may overtake each other on their way."""
    fill(kafka, source, 9)
    lanes.reader.start(Assignment(source, 5, 2, end_offset=9))
    lanes.reader.start(Assignment(source, 0, 1, end_offset=9))
    lanes.read_to_the_end()
    lanes.reader.start(Assignment(source, 0, 1, end_offset=9))
    lanes.read_to_the_end()
    lanes.assert_covered(source, 5, 9)


def test_stopping_a_deleted_topic_does_not_stop_the_new_one_of_its_name(
    kafka: Kafka, lanes: Lanes, source: TopicPartition
) -> None:
    fill(kafka, source, 6)
    lanes.reader.start(Assignment(source, 0, 1))
    lanes.read_until(lambda: len(lanes.offsets) == 6)
    lanes.cuts.clear()
    kafka.delete_topic(source.topic)
    anew = made(kafka, source.topic)
    assert anew.topic_id != source.topic_id
    lanes.reader.start(Assignment(anew, 0, 2))
    lanes.reader.stop(source)
    fill(kafka, anew, 3)
    lanes.read_until(lambda: len(lanes.offsets) == 3)
    lanes.assert_covered(anew, 0, 3)
    assert set(lanes.reader.high_watermarks) == {anew}


def test_a_topic_created_anew_is_not_read_as_the_old_one(
    kafka: Kafka, lanes: Lanes, source: TopicPartition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the client reports an offset out of range, it does not know of which topic it was."""
    monkeypatch.setattr("finkray.ingest.troubles.CHECK_TROUBLES_S", 0.2)
    fill(kafka, source, 6)
    lanes.reader.start(Assignment(source, 0, 1))
    lanes.read_until(lambda: len(lanes.offsets) == 6)
    kafka.delete_topic(source.topic)
    anew = made(kafka, source.topic)
    lanes.read_until(lambda: bool(lanes.reader.troubles))
    fill(kafka, anew, 9)
    lanes.read_for(1.0)
    assert lanes.offsets == list(range(6))
    assert list(lanes.reader.troubles.values()) == [
        "the topic was deleted, or deleted and created again"
    ]
    lanes.reader.start(Assignment(anew, 0, 2))
    lanes.read_until(lambda: len(lanes.offsets) == 15)
    assert lanes.offsets[6:] == list(range(9))
    assert not lanes.reader.troubles


def test_a_consumer_that_gets_no_answer_is_replaced(
    kafka: Kafka, source: TopicPartition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a broker that hung: some clients never connect again."""
    servers = iter([f"127.0.0.1:{free_ports(1)[0]}"])

    def consumer() -> Consumer:
        found = next(servers, kafka.bootstrap_servers)
        config = {"bootstrap.servers": found}
        return assigned_consumer(config, queue_bytes=2**20, max_message_bytes=2**20)

    monkeypatch.setattr("finkray.ingest.silence.QUIET_S", 1.0)
    monkeypatch.setattr("finkray.ingest.silence.RENEW_CLIENT_S", 3.0)
    fill(kafka, source, 12)
    lanes = Lanes(kafka.bootstrap_servers, consumer)
    lanes.reader.start(Assignment(source, 5, 1, end_offset=12))
    lanes.read_until(lambda: bool(lanes.reader.troubles))
    assert lanes.offsets == []
    lanes.read_to_the_end()
    lanes.assert_covered(source, 5, 12)
    assert not lanes.reader.troubles
