"""A consumer that closes, also when the client does not."""

from threading import Event

import pytest

from finkray.kafka.consumer import assigned_consumer, returns_within


def test_a_call_that_does_not_return_is_left_behind() -> None:
    end = Event()
    assert not returns_within(end.wait, 0.05)
    end.set()
    assert returns_within(end.wait, 60)


def test_what_a_call_raises_reaches_its_caller() -> None:
    def refuse() -> None:
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        returns_within(refuse, 60)


def test_a_consumer_that_never_reached_a_broker_closes() -> None:
    consumer = assigned_consumer(
        {"bootstrap.servers": "127.0.0.1:9"}, queue_bytes=2**20, max_message_bytes=2**20
    )
    consumer.close()
    with pytest.raises(RuntimeError, match="closed"):
        consumer.poll(0)
