"""librdkafka's properties for each type of client."""

from typing import Any

from finkray.kafka.config import (
    CLIENT_DEFAULTS,
    FETCH_BYTES,
    FETCH_OF_PARTITION_BYTES,
    TRANSACTION_TIMEOUT_MS,
    admin_config,
    assigned_consumer_config,
    one_batch_config,
    producer_config,
    transactional_config,
)
from finkray.settings.model import KafkaSettings


def config(**options: Any) -> dict[str, Any]:
    return dict(KafkaSettings(options=options).client_config())


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


def test_defaults_hold_without_options() -> None:
    producer = transactional_config(config(), "id")
    assert CLIENT_DEFAULTS.items() <= producer.items()
    assert producer["transaction.timeout.ms"] == TRANSACTION_TIMEOUT_MS
    assert producer["transactional.id"] == "id"
