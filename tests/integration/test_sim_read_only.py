"""A broker that was told to forbid writing does, and can still be read."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from finkray.errors import KafkaUnavailable
from sim.broker.kafka import Kafka
from sim.broker.read_only import AUTHORIZER, forbid_writing
from sim.player.play import play
from sim.player.sources import Packet

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


def test_reading_is_all_that_is_left(tmp_path: Path) -> None:
    with Kafka.running(tmp_path, heap_mb=512, properties=AUTHORIZER) as kafka:
        servers = kafka.bootstrap_servers
        play([Packet(b"alert")], servers, "night", partitions=1)
        forbid_writing(servers)

        with pytest.raises(KafkaUnavailable, match="uthorization failed"):
            play([Packet(b"alert")], servers, "night")
        with pytest.raises(KafkaUnavailable, match="uthorization failed"):
            kafka.create_topic("another")
        with pytest.raises(KafkaUnavailable, match="uthorization failed"):
            kafka.delete_topic("night")

        reader = Consumer({"bootstrap.servers": servers, "group.id": "archive"})
        reader.assign([TopicPartition("night", 0, 0)])
        message = reader.poll(30)
        assert message is not None
        assert message.value() == b"alert"
        with pytest.raises(KafkaException) as refused:
            reader.commit(message=message, asynchronous=False)
        reader.close()
        assert refused.value.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED
