"""Producers on a real Kafka: deliveries, transactions, fencing, a broker that goes away."""

import traceback
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from finkray.errors import KafkaUnavailable, MessageRefused, ProducerFenced, SettingsError
from finkray.kafka.config import BROKER_LOOKS_S
from finkray.kafka.consumer import assigned_consumer
from finkray.kafka.producer import Delivery, Producer
from finkray.kafka.topics import partition_count
from finkray.kafka.transactions import TransactionalProducer
from sim.broker.kafka import Kafka
from tests.support.archiving import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture
def client(kafka: Kafka) -> dict[str, Any]:
    return {"bootstrap.servers": kafka.bootstrap_servers}


@pytest.fixture
def own_kafka() -> Iterator[Kafka]:
    """A broker that the test may stop."""
    with Kafka.running(heap_mb=512) as broker:
        yield broker


def values(client: dict[str, Any], topic: str, partition: int = 0) -> list[bytes]:
    """Return the committed messages of a partition, up to its last stable offset."""
    with closing(assigned_consumer(client, queue_bytes=2**20, max_message_bytes=2**20)) as consumer:
        consumer.assign([KafkaPartition(topic, partition, 0)])
        messages = []
        for message in iter(lambda: consumer.poll(30), None):
            if message.error() is not None:
                return messages
            messages.append(message.value())
    raise AssertionError(f"{topic}[{partition}] has no end")


def send(producer: TransactionalProducer, topic: str, *values: Any) -> None:
    with producer.transaction():
        for value in values:
            producer.produce(topic, value)


def send_with_retries(producer: TransactionalProducer, topic: str, *values: Any) -> None:
    """Send in a transaction, and retry while Kafka is unavailable, as a program would."""
    for _ in range(5):
        try:
            send(producer, topic, *values)
        except KafkaUnavailable:
            continue
        return
    raise AssertionError(f"{topic}: five transactions failed")


def test_each_delivery_reports_partition_offset_and_time(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic, partitions=2)
    delivered: list[Delivery] = []
    with Producer(client) as producer:
        for number in range(4):
            producer.produce(
                topic,
                b"%d" % number,
                partition=number % 2,
                timestamp=1_700_000_000_000 + number,
                on_delivery=delivered.append,
            )
        producer.flush()
        assert producer.pending == 0
    assert sorted((at.partition, at.offset) for at in delivered) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {at.timestamp_ms - 1_700_000_000_000 for at in delivered} == {0, 1, 2, 3}
    assert (values(client, topic), values(client, topic, 1)) == ([b"0", b"2"], [b"1", b"3"])


def test_produce_waits_while_the_queue_is_full(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic)
    with Producer({**client, "queue.buffering.max.messages": 10}) as producer:
        assert not all(producer.offer(topic, b"offered") for _ in range(1000))
        for _ in range(50):
            producer.produce(topic, b"produced")
        producer.flush()
    assert values(client, topic).count(b"produced") == 50


def test_many_messages_at_once_keep_their_order_while_the_queue_is_full(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic, partitions=2)
    sent = [(b"key", b"%d" % number * (1 + 200 * (number % 3))) for number in range(300)]
    limits = {"queue.buffering.max.messages": 20, "delivery.report.only.error": True}
    with TransactionalProducer({**client, **limits}, topic) as producer:
        with producer.transaction():
            producer.produce_all(topic, 1, sent)
        with pytest.raises(MessageRefused, match="the message is too larg"), producer.transaction():
            producer.produce_all(topic, 1, [(b"key", b"small"), (b"key", bytes(2_000_000))])
    # Kafka acknowledges a commit before readers see it.
    wait_until("the commit to be seen", lambda: values(client, topic, 1))
    assert values(client, topic, 1) == [value for _, value in sent]
    assert values(client, topic) == []


def test_a_message_that_is_too_large_is_refused_and_the_others_arrive(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic, max_message_bytes="1000")
    with Producer({**client, "compression.type": "none"}) as producer:
        with pytest.raises(MessageRefused, match=f"{topic} was not taken: the message is too larg"):
            producer.produce(topic, bytes(2_000_000))
        producer.produce(topic, bytes(2000))
        with pytest.raises(MessageRefused, match=r"was not delivered: .*max\.message\.bytes"):
            producer.flush()
        producer.produce(topic, b"small")
        producer.flush()
    assert not MessageRefused.retriable
    assert values(client, topic) == [b"small"]


def test_a_committed_transaction_is_read_whole_and_an_aborted_one_not_at_all(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic)
    kafka.create_topic(f"{topic}_progress")
    with TransactionalProducer(client, topic) as producer:
        for number in range(3):
            producer.begin()
            producer.produce(topic, b"alert %d" % number)
            producer.produce(f"{topic}_progress", b"%d" % number)
            (producer.abort if number == 1 else producer.commit)()
    assert values(client, topic) == [b"alert 0", b"alert 2"]
    assert values(client, f"{topic}_progress") == [b"0", b"2"]


def test_a_transaction_whose_block_raises_is_aborted(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic)
    with TransactionalProducer(client, topic) as producer:
        with pytest.raises(TypeError):
            send(producer, topic, b"half", 1.5)
        send(producer, topic, b"whole")
    assert values(client, topic) == [b"whole"]


def test_a_message_that_is_refused_aborts_its_transaction_only(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic, max_message_bytes="1000")
    with TransactionalProducer({**client, "compression.type": "none"}, topic) as producer:
        with pytest.raises(MessageRefused):
            send(producer, topic, b"before", bytes(2000))
        send_with_retries(producer, topic, b"after")
    assert values(client, topic) == [b"after"]


def test_offsets_of_a_group_are_committed_with_the_transaction(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic)
    group = {**client, "group.id": f"group-{topic}", "enable.auto.commit": False}
    with closing(Consumer(group)) as consumer, TransactionalProducer(client, topic) as producer:

        def committed() -> int:
            offset: int = consumer.committed([KafkaPartition(topic, 0)], timeout=10)[0].offset
            return offset

        with producer.transaction():
            producer.produce(topic, b"output")
            producer.send_offsets(consumer, {(topic, 0): 7})
        assert committed() == 7
        producer.begin()
        producer.send_offsets(consumer, {(topic, 0): 9})
        producer.abort()
        assert committed() == 7


def test_a_newer_producer_fences_the_older_and_ends_its_transaction(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic)
    with TransactionalProducer(client, topic) as older:
        older.begin()
        older.produce(topic, b"of the older")
        older.flush()
        with TransactionalProducer(client, topic) as newer:
            with newer.transaction():
                newer.produce(topic, b"of the newer")
            with pytest.raises(ProducerFenced):
                older.commit()
            for call in (older.abort, older.begin, lambda: older.produce(topic, b"again")):
                with pytest.raises(ProducerFenced):
                    call()
            with newer.transaction():
                newer.produce(topic, b"of the newer too")
    assert not ProducerFenced.retriable
    assert values(client, topic) == [b"of the newer", b"of the newer too"]


def test_a_fenced_producer_fails_when_it_sends(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    kafka.create_topic(topic)
    with TransactionalProducer(client, topic) as older:
        older.begin()
        with TransactionalProducer(client, topic):
            older.produce(topic, b"late")
            with pytest.raises(ProducerFenced) as fenced:
                older.flush()
    assert "fenced by a newer" in "".join(traceback.format_exception(fenced.value))
    assert values(client, topic) == []


def test_a_writer_that_is_silent_in_a_transaction_is_fenced_and_readers_go_on(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    """Nobody takes over. Where no transaction is open, readers do not wait for it at all."""
    kafka.create_topic(topic)
    timeout = {"transaction.timeout.ms": 1000}
    with TransactionalProducer({**client, **timeout}, topic) as producer, Producer(client) as other:
        send(producer, topic, b"first")
        other.produce(topic, b"other")
        other.flush()
        wait_until("the commit to be seen", lambda: values(client, topic))
        assert values(client, topic) == [b"first", b"other"]
        producer.begin()
        producer.produce(topic, b"late")
        producer.flush()
        other.produce(topic, b"behind")
        other.flush()
        # The broker looks for such transactions now and then, see `transaction_timeout_ms`.
        wait_until("the readers to go on", lambda: values(client, topic)[2:] == [b"behind"])
        with pytest.raises(ProducerFenced):
            producer.commit()
    assert values(client, topic) == [b"first", b"other", b"behind"]


def test_a_broker_looks_for_silent_writers_as_often_as_the_time_out_allows_for(
    client: dict[str, Any],
) -> None:
    admin = AdminClient(client)
    (broker_id,) = admin.list_topics(timeout=30).brokers
    broker = ConfigResource(ResourceType.BROKER, str(broker_id))
    found = admin.describe_configs([broker])[broker].result(30)
    looks = found["transaction.abort.timed.out.transaction.cleanup.interval.ms"]
    assert int(looks.value) == 1000 * BROKER_LOOKS_S


def test_a_broker_that_goes_away_in_a_transaction_loses_and_doubles_nothing(
    own_kafka: Kafka, topic: str
) -> None:
    client = {"bootstrap.servers": own_kafka.bootstrap_servers, "message.timeout.ms": 5000}
    own_kafka.create_topic(topic)
    with TransactionalProducer(client, topic, timeout_s=30) as producer:
        with producer.transaction():
            producer.produce(topic, b"first")
        producer.begin()
        producer.produce(topic, b"second")
        producer.flush()
        own_kafka.kill()
        producer.produce(topic, b"third")
        with pytest.raises(KafkaUnavailable) as refusal:
            producer.commit()
        assert refusal.value.retriable
        own_kafka.restart()
        try:
            producer.abort()
        except ProducerFenced:  # a broker that was away for long ended the transaction by itself
            with TransactionalProducer(client, topic, timeout_s=30) as successor:
                send_with_retries(successor, topic, b"second", b"third")
        else:
            send_with_retries(producer, topic, b"second", b"third")
    assert values(client, topic) == [b"first", b"second", b"third"]


def test_an_unreachable_broker_fails_in_time_and_delivery_resumes(
    own_kafka: Kafka, topic: str
) -> None:
    client = {"bootstrap.servers": own_kafka.bootstrap_servers}
    own_kafka.create_topic(topic)
    with Producer(client, timeout_s=2) as producer:
        producer.produce(topic, b"first")
        while producer.pending:  # on a busy machine the first connection takes longer than 2 s
            producer.poll(1)
        own_kafka.kill()
        producer.produce(topic, b"second")
        with pytest.raises(KafkaUnavailable, match="1 messages were not delivered within 2 s"):
            producer.flush()
        own_kafka.restart()
        while producer.pending:
            producer.poll(1)
    assert values(client, topic) == [b"first", b"second"]
    with pytest.raises(KafkaUnavailable, match="taking over the transactional id"):
        TransactionalProducer({"bootstrap.servers": "127.0.0.1:1"}, topic, timeout_s=1)


def test_an_unknown_option_of_a_producer_is_named(client: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.options: .*no\.such\.option"):
        Producer({**client, "no.such.option": "1"})


def test_the_partitions_of_a_topic_are_counted(
    kafka: Kafka, client: dict[str, Any], topic: str
) -> None:
    assert partition_count(client, topic) is None
    kafka.create_topic(topic, partitions=3)
    assert partition_count(client, topic) == 3
