"""Kafka's errors in finkray's tree: what a retry may help, and what a person must do."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from finkray.errors import (
    FinkrayError,
    KafkaUnavailable,
    MessageRefused,
    ProducerFenced,
    TopicChanged,
)
from finkray.kafka.errors import HELP, explain, finkray_error


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError._TRANSPORT, KafkaUnavailable),
        (KafkaError.REQUEST_TIMED_OUT, KafkaUnavailable),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaUnavailable),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicChanged),
        (KafkaError.TOPIC_EXCEPTION, FinkrayError),
        (KafkaError._UNKNOWN_PARTITION, TopicChanged),
        (KafkaError.MSG_SIZE_TOO_LARGE, MessageRefused),
        (KafkaError._FENCED, ProducerFenced),
        (KafkaError.INVALID_PRODUCER_EPOCH, ProducerFenced),
    ],
)
def test_each_error_has_its_class_and_keeps_kafkas_text(
    code: int, expected: type[FinkrayError]
) -> None:
    error = KafkaError(code)
    for given in (error, KafkaException(error)):
        known = finkray_error(given, "sending")
        assert type(known) is expected
        assert str(known).startswith("sending: ")
        assert error.str() in str(known)


def test_what_a_person_can_do_stands_before_kafkas_text() -> None:
    for name, advice in HELP.items():
        error = KafkaError(getattr(KafkaError, name))
        assert explain(error) == f"{advice} Kafka says: {error.str()} ({name})"


def test_an_exception_without_an_error_of_kafka_is_a_kafka_that_is_away() -> None:
    assert isinstance(finkray_error(KafkaException("odd")), KafkaUnavailable)
