"""What finkray asks of a real Kafka: partitions, ids, beginnings and ends."""

import time
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.claim import TopicPartition
from finkray.errors import KafkaUnavailable, SettingsError, TopicChanged
from finkray.kafka.cluster import KafkaCluster, Watermarks
from finkray.kafka.topics import create_topic, delete_topic
from sim.broker.kafka import Kafka
from tests.support.packets import add_partitions

pytestmark = pytest.mark.kafka


@pytest.fixture
def cluster(kafka: Kafka) -> KafkaCluster:
    return KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})


def produce(kafka: Kafka, topic: str, values: list[bytes], **kwargs: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for value in values:
        producer.produce(topic, value, partition=0, **kwargs)
    assert producer.flush(30) == 0


def found(cluster: KafkaCluster, topic: str, partitions: int = 1) -> list[TopicPartition]:
    """The topic's partitions, as soon as the broker's metadata tell of them."""
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        here = cluster.partitions(lambda name: name == topic)
        if len(here) == partitions:
            return here
        time.sleep(0.1)
    raise AssertionError(f"{topic} does not show up")


def source(cluster: KafkaCluster, topic: str) -> TopicPartition:
    return found(cluster, topic)[0]


def test_every_partition_of_the_wanted_topics_is_found(
    kafka: Kafka, topic: str, cluster: KafkaCluster
) -> None:
    kafka.create_topic(topic, partitions=3)
    kafka.create_topic(f"other_{topic}", partitions=1)
    here = found(cluster, topic, partitions=3)
    assert [(item.topic, item.partition) for item in here] == [(topic, 0), (topic, 1), (topic, 2)]
    assert {item.cluster_id for item in here} == {cluster.cluster_id()}


def test_partitions_that_a_topic_gains_can_be_asked_about_at_once(
    kafka: Kafka, topic: str, cluster: KafkaCluster
) -> None:
    kafka.create_topic(topic, partitions=1)
    found(cluster, topic)
    add_partitions(kafka.bootstrap_servers, topic, 2)
    found(cluster, topic, partitions=2)
    assert cluster.watermarks(topic, 1) == Watermarks(0, 0)


def test_a_topic_that_is_made_anew_has_another_id(
    kafka: Kafka, topic: str, cluster: KafkaCluster
) -> None:
    kafka.create_topic(topic, partitions=1)
    first = source(cluster, topic).topic_id
    kafka.delete_topic(topic)
    deadline_s = time.monotonic() + 20
    while cluster.topic_ids([topic]) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    kafka.create_topic(topic, partitions=1)
    assert source(cluster, topic).topic_id != first


def test_a_partition_is_begun_where_the_settings_say(
    kafka: Kafka, topic: str, cluster: KafkaCluster
) -> None:
    kafka.create_topic(topic, partitions=1)
    early, late = 1_700_000_000_000, 1_700_000_100_000
    produce(kafka, topic, [b"a", b"b"], timestamp=early)
    produce(kafka, topic, [b"c"], timestamp=late)
    where = source(cluster, topic)
    assert cluster.watermarks(topic, 0) == Watermarks(0, 3)
    assert cluster.start_offset(where, "earliest") == 0
    assert cluster.start_offset(where, "latest") == 3
    assert cluster.start_offset(where, datetime.fromtimestamp(late / 1000 - 1, UTC)) == 2
    assert cluster.start_offset(where, datetime.fromtimestamp(late / 1000 + 1, UTC)) == 3


def test_commits_are_seen_by_those_who_watch_the_group(
    kafka: Kafka, topic: str, cluster: KafkaCluster
) -> None:
    kafka.create_topic(topic, partitions=1)
    cluster.commit_offsets(f"group-{topic}", {source(cluster, topic): 7})
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"group-{topic}"}
    )
    (committed,) = consumer.committed([KafkaPartition(topic, 0)], timeout=10)
    consumer.close()
    assert committed.offset == 7


def test_trouble_is_told_in_our_own_errors(cluster: KafkaCluster) -> None:
    with pytest.raises(TopicChanged):
        cluster.watermarks("no-such-topic", 0)
    nobody = KafkaCluster({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    with pytest.raises(KafkaUnavailable):
        nobody.cluster_id()


def test_an_option_that_the_client_does_not_take_is_named() -> None:
    with pytest.raises(SettingsError, match=r"kafka\.options: .*no\.such\.option"):
        KafkaCluster({"bootstrap.servers": "127.0.0.1:1", "no.such.option": "1"})


def test_a_topic_that_was_just_created_is_known_at_once(
    kafka: Kafka, topic: str, cluster: KafkaCluster
) -> None:
    """The broker acknowledges a topic before it lists it: one of twenty was not listed."""
    config = {"bootstrap.servers": kafka.bootstrap_servers}
    for number in range(80):
        name = f"{topic}_{number}"
        create_topic(config, name, 2)
        listed = cluster.partitions(name.__eq__)
        assert [each.partition for each in listed] == [0, 1]
        delete_topic(config, name)
