"""librdkafka's properties for each type of client."""

from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException
from pydantic import ValidationError

from finkray.errors import SettingsError
from finkray.kafka.config import (
    ABORTING_S,
    BROKER_LOOKS_S,
    CLIENT_DEFAULTS,
    COMMON_OPTIONS,
    DEAD_WRITER_S,
    FETCH_BYTES,
    FETCH_OF_PARTITION_BYTES,
    admin_config,
    assigned_consumer_config,
    one_batch_config,
    producer_config,
    transaction_timeout_ms,
    transactional_config,
)
from finkray.kafka.consumer import refuse_wrong_options
from finkray.settings.model import KafkaSettings
from finkray.settings.streamout import StreamoutSettings


def config(**options: Any) -> dict[str, Any]:
    return dict(KafkaSettings().client_config()) | options


def test_what_only_a_consumer_takes_goes_to_consumers_alone() -> None:
    given = config(**{"fetch.wait.max.ms": 5, "queued.min.messages": 7})
    for other in (admin_config(given), producer_config(given)):
        assert not {"group.id", "fetch.wait.max.ms", "queued.min.messages"} & other.keys()
        assert other["bootstrap.servers"] == given["bootstrap.servers"]
    consumer = assigned_consumer_config(given, queue_bytes=2**20, max_message_bytes=2**20)
    assert given.items() <= (consumer | {"message.max.bytes": given["message.max.bytes"]}).items()


def test_a_fetch_is_small_however_large_queue_and_messages_are() -> None:
    """The client decompresses a whole fetch, up to 1000 times its size."""
    consumer = assigned_consumer_config(config(), queue_bytes=2**25, max_message_bytes=2**25)
    assert consumer["fetch.message.max.bytes"] == FETCH_OF_PARTITION_BYTES
    assert consumer["fetch.max.bytes"] == consumer["message.max.bytes"] == FETCH_BYTES
    far = config(**{"fetch.message.max.bytes": 2**23, "fetch.max.bytes": 2**24})
    wanted = assigned_consumer_config(far, queue_bytes=2**24, max_message_bytes=2**23)
    assert (wanted["fetch.message.max.bytes"], wanted["fetch.max.bytes"]) == (2**23, 2**24)


def test_no_option_lets_a_bounded_consumer_fetch_more_than_one_batch() -> None:
    far = config(**{"fetch.message.max.bytes": 2**23, "queued.min.messages": 1000})
    wanted = one_batch_config(far, max_message_bytes=2**23)
    assert (wanted["fetch.message.max.bytes"], wanted["queued.min.messages"]) == (1, 1)
    # The client raises the bound of a fetch to that of a message.
    assert wanted["message.max.bytes"] <= wanted["fetch.max.bytes"] <= 1000


def test_options_win_over_defaults_and_not_over_guarantees() -> None:
    given = config(
        **{
            "log_level": 7,
            "compression.type": "lz4",
            "transaction.timeout.ms": 5,
            "enable.idempotence": False,
            "isolation.level": "read_uncommitted",
        }
    )
    producer = transactional_config(given, "id")
    assert (producer["log_level"], producer["compression.type"]) == (7, "lz4")
    assert producer["transaction.timeout.ms"] == 5
    assert producer["enable.idempotence"] is True
    consumer = assigned_consumer_config(given, queue_bytes=2**20, max_message_bytes=2**20)
    assert consumer["isolation.level"] == "read_committed"


def test_a_hint_at_a_misspelt_option_is_an_option_that_librdkafka_knows() -> None:
    for name in COMMON_OPTIONS:
        with pytest.raises(KafkaException) as refused:
            Consumer({"group.id": "a", name: "a value", "no such option": 1})
        assert f'No such configuration property: "{name}"' not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"security.protocl": "SSL"}, r'"security\.protocl"; did you mean security\.protocol\?$'),
        ({"fetch.nonsense.at.all": 1}, r'"fetch\.nonsense\.at\.all"$'),
        ({"socket.timeout.ms": 1}, r"is outside allowed range 10\.\.300000$"),
        ({"stats_cb": "x"}, "cannot be given in a settings file: expected stats_cb"),
        ({"default.topic.config": "x"}, "cannot be given in a settings file"),
    ],
)
def test_a_wrong_option_is_named_without_waiting_for_a_broker(
    options: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        refuse_wrong_options(config(**options))


def test_the_options_of_a_site_are_taken() -> None:
    refuse_wrong_options(config(**{"client.rack": "a", "fetch.min.bytes": 9}))


def test_defaults_hold_without_options() -> None:
    producer = transactional_config(config(), "id")
    assert CLIENT_DEFAULTS.items() <= producer.items()
    assert producer["transaction.timeout.ms"] == transaction_timeout_ms(DEAD_WRITER_S)
    assert producer["transactional.id"] == "id"


@pytest.mark.parametrize("dead_writer_s", [13.0, DEAD_WRITER_S, 60.5])
def test_time_out_and_the_brokers_interval_are_no_more_than_readers_may_wait(
    dead_writer_s: float,
) -> None:
    timeout_s = transaction_timeout_ms(dead_writer_s) / 1000
    assert timeout_s + BROKER_LOOKS_S + ABORTING_S == dead_writer_s


def test_the_setting_and_the_default_of_a_dead_writer_agree_and_leave_time_to_write() -> None:
    assert StreamoutSettings().dead_writer_s == DEAD_WRITER_S
    least_s = 13.0
    assert transaction_timeout_ms(StreamoutSettings(dead_writer_s=least_s).dead_writer_s) == 2000
    with pytest.raises(ValidationError, match="greater than or equal to 13"):
        StreamoutSettings(dead_writer_s=least_s - 0.1)
