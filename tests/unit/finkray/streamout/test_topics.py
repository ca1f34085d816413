import json

import pytest
from confluent_kafka import KafkaError

from finkray.errors import KafkaUnavailable, SchemaError
from finkray.streamout.topics import FIRST_ID, SchemaBook, read_to_end
from tests.support.prepared_consumer import (
    END,
    NOWHERE,
    TOPIC,
    PreparedConsumer,
    event,
    message,
)

ONE, TWO = (json.dumps({"type": "record", "name": name, "fields": []}) for name in ("one", "two"))
URL = "http://registry:8081"


def test_an_id_is_given_once_and_is_known_to_the_next_process() -> None:
    book = SchemaBook(iter(()))
    records = [book.register(topic, text) for topic, text in (("a", ONE), ("b", ONE), ("a", TWO))]
    assert [schema_id for schema_id, _, _ in records] == [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2]
    again = SchemaBook((key, value) for _, key, value in records)
    assert again.texts() == {FIRST_ID: ONE, FIRST_ID + 1: ONE, FIRST_ID + 2: TWO}
    assert again.id_of("a", TWO) == FIRST_ID + 2
    assert again.id_of("b", TWO) is None


def test_an_id_of_a_registry_is_asked_for_again_only_of_another_registry() -> None:
    book = SchemaBook(iter(()))
    before = book.register("a", ONE)
    assert book.id_of("a", ONE, URL) is None, "the registry does not know it"
    records = [before, book.register("a", ONE, (URL, 7)), book.register("b", ONE, (URL, 7))]
    assert len({key for _, key, _ in records}) == len(records), "compaction keeps all"
    again = SchemaBook((key, value) for _, key, value in records)
    assert (again.id_of("a", ONE, URL), again.id_of("b", ONE, URL)) == (7, 7)
    assert again.id_of("a", ONE, "http://other:8081") is None
    assert again.id_of("a", ONE) == 7, "without a registry what is known goes on"
    assert again.texts() == {FIRST_ID: ONE, 7: ONE}, "older messages can be read"
    assert again.register("c", TWO)[0] == FIRST_ID + 1


def test_an_id_of_a_registry_that_is_taken_here_is_refused() -> None:
    book = SchemaBook(iter(()))
    book.register("a", ONE)
    with pytest.raises(
        SchemaError, match=f"gives the schema of b the id {FIRST_ID}, which another"
    ):
        book.register("b", TWO, (URL, FIRST_ID))


def test_a_topic_of_a_kafka_that_is_away_is_an_error_of_finkray(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("finkray.streamout.topics._READ_S", 0.1)
    with pytest.raises(KafkaUnavailable, match="progress could not be read"):
        list(read_to_end(NOWHERE, "progress"))


def test_no_right_on_a_group_is_needed_to_read_a_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = event(KafkaError.GROUP_AUTHORIZATION_FAILED, 0)
    consumer = PreparedConsumer([refused, message(0, b"a", b"1"), event(END, 1)])
    monkeypatch.setattr("finkray.streamout.topics.assigned_consumer", lambda *_, **__: consumer)
    assert list(read_to_end(NOWHERE, TOPIC)) == [(b"a", b"1")]
