"""What is read from Kafka again, whatever comes between its messages."""

import pytest
from confluent_kafka import KafkaError

from finkray.claim import Claim, TopicPartition
from finkray.errors import KafkaUnavailable
from finkray.redrive.reread import Rereader
from finkray.settings.model import load
from tests.support.prepared_consumer import TOPIC, PreparedConsumer, event, message

SPAN = Claim(TopicPartition("cluster", TOPIC, "id", 0), 0, 1)


def rereader() -> Rereader:
    return Rereader(load(None, {"FINKRAY__KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}))


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> PreparedConsumer:
    prepared = PreparedConsumer()
    monkeypatch.setattr("finkray.redrive.reread.assigned_consumer", lambda *_, **__: prepared)
    return prepared


def test_no_right_on_a_group_is_needed(consumer: PreparedConsumer) -> None:
    refused = event(KafkaError.GROUP_AUTHORIZATION_FAILED, 0)
    consumer.messages.extend([message(0), refused, message(1)])
    (cut,) = rereader().cuts(SPAN)
    assert [each.offset for each in cut.messages] == [0, 1]
    assert cut.claim == SPAN


def test_another_error_ends_it(consumer: PreparedConsumer) -> None:
    consumer.messages.extend([message(0), event(KafkaError.TOPIC_AUTHORIZATION_FAILED, 0)])
    with pytest.raises(KafkaUnavailable, match=r"failed at stars\[0\] 0-1"):
        list(rereader().cuts(SPAN))
