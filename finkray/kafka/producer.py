"""A producer that writes each message at once, and waits for room and for deliveries.

    with Producer(config) as producer:
        producer.produce("topic", b"value", key=b"object", partition=3)
        producer.flush()

`finkray.kafka.transactions` has the one that writes in transactions.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn, Self

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as KafkaProducer

from finkray.errors import FinkrayError, KafkaUnavailable
from finkray.kafka.config import options_explained, producer_config
from finkray.kafka.errors import finkray_error

log = logging.getLogger(__name__)

DELIVERY_TIMEOUT_S: Final = 60.0
"""How long `produce` waits for room in the local queue, `flush` for deliveries and a step of a
transaction for the brokers. A new leader is elected within a few seconds; a broker that restarts
takes half a minute."""

POLL_S: Final = 0.05
"""Pause between two looks for room or deliveries."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where Kafka put a message. In a transaction, it counts only once that is committed."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


_PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 - public names
"""Errors with which a message is reported that this process discarded itself."""

OnDelivery = Callable[[Delivery], None]
"""Receives the delivery of one message, in the thread that calls the producer. It must not raise
and must not call the producer."""


def refuse_wrong_producer_options(config: Mapping[str, Any], named: str) -> None:
    """Create a producer and end it, without waiting for a broker.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included
    named
        the setting that has the options

    Raises
    ------
    SettingsError
        if librdkafka does not know an option, or not its value
    """
    with options_explained(named):
        KafkaProducer(producer_config(config))


class Producer:
    """Writes messages to Kafka, each at once. Not for several threads.

    A message that could not be delivered raises its error at the next call of `produce`, `offer`,
    `poll` or `flush`; the messages after it are delivered all the same.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included
    timeout_s
        how long a call may wait for the brokers

    Raises
    ------
    SettingsError
        if librdkafka does not know an option, or not its value
    """

    def __init__(self, config: Mapping[str, Any], timeout_s: float = DELIVERY_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._failed: FinkrayError | None = None
        self._fatal: KafkaError | None = None
        with options_explained():
            self._producer = KafkaProducer({**self._config(config), "error_cb": _log_event})

    def _config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return producer_config(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pending(self) -> int:
        """Number of messages that wait for their delivery."""
        return len(self._producer)

    def produce(
        self,
        topic: str,
        value: bytes | None,
        *,
        on_delivery: OnDelivery | None = None,
        **placement: Any,
    ) -> None:
        """Put a message into the local queue; wait for room if that is full.

        Parameters
        ----------
        topic, value
            where to, and what
        on_delivery
            called when Kafka has the message
        placement
            `key`, `partition`, `timestamp` (milliseconds of Unix time) and `headers`, as
            librdkafka takes them

        Raises
        ------
        MessageRefused
            if Kafka will never take this message, or an earlier one
        KafkaUnavailable
            if there is no room in time, or an earlier message was not delivered
        ProducerFenced
            if another producer has the same transactional id
        """
        until_s = time.monotonic() + self._timeout_s
        while not self.offer(topic, value, on_delivery=on_delivery, **placement):
            if time.monotonic() >= until_s:
                raise self._no_room(topic)
            self.poll(POLL_S)

    def offer(
        self,
        topic: str,
        value: bytes | None,
        *,
        on_delivery: OnDelivery | None = None,
        **placement: Any,
    ) -> bool:
        """Put a message into the local queue if there is room; whether there was.

        Without room, call `poll` and try again. The rest is as in `produce`.
        """
        report = self._report if on_delivery is None else partial(self._report_to, on_delivery)
        raised = None
        try:
            # Not by `_call`: a message costs 4 us here, and each function in between 0.5 us more.
            self._producer.produce(topic, value, on_delivery=report, **placement)
            self._producer.poll(0)
        except BufferError:
            return False
        except _RAISED_BY_KAFKA as error:
            raised = error
        if raised is not None:
            self._raise(raised, f"a message to {topic} was not taken")
        self._raise_failure()
        return True

    def produce_all(
        self, topic: str, partition: int, messages: Sequence[tuple[bytes, bytes]]
    ) -> None:
        """Put messages into the local queue in their order; wait for room if that is full.

        It takes half of the CPU time that as many calls of `produce` take.

        Parameters
        ----------
        topic, partition
            where to
        messages
            key and value of each

        Raises
        ------
        FinkrayError
            as `produce`
        """
        left: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in messages]
        until_s = time.monotonic() + self._timeout_s
        while left := self._offer_all(topic, partition, left):
            if time.monotonic() >= until_s:
                raise self._no_room(topic)
            self.poll(POLL_S)

    def _offer_all(
        self, topic: str, partition: int, messages: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Put messages into the local queue up to the first without room; return the others."""
        taken = 0

        def offer() -> None:
            nonlocal taken
            taken = self._producer.produce_batch(
                topic, messages, partition=partition, on_delivery=self._report
            )
            self._producer.poll(0)

        what = f"a message to {topic} was not taken"
        self._call(what, offer)
        self._raise_failure()
        if taken == len(messages):
            return []
        left = [message for message in messages if "_error" in message]
        for message in left:  # after one without room none is taken: they keep their order
            error = message.pop("_error")
            if error.code() != KafkaError._QUEUE_FULL:  # noqa: SLF001 - a public name
                self._raise(KafkaException(error), what)
        return left

    def _no_room(self, topic: str) -> KafkaUnavailable:
        return KafkaUnavailable(
            f"no room for a message to {topic} within {self._timeout_s:.0f} s: Kafka has not "
            f"acknowledged the {self.pending} before it"
        )

    def poll(self, timeout_s: float) -> None:
        """Serve deliveries; wait for one at most this long.

        Raises
        ------
        FinkrayError
            as `produce`
        """
        self._call("waiting for deliveries", lambda: self._producer.poll(timeout_s))
        self._raise_failure()

    def flush(self) -> None:
        """Wait until Kafka has all messages.

        Raises
        ------
        FinkrayError
            as `produce`
        """
        until_s = time.monotonic() + self._timeout_s
        while self.pending:
            if time.monotonic() >= until_s:
                raise KafkaUnavailable(
                    f"{self.pending} messages were not delivered within {self._timeout_s:.0f} s"
                )
            # Not `poll`: that waits for what makes a batch larger ("linger.ms"), and to its end
            # where deliveries are not reported.
            self._call("waiting for deliveries", lambda: self._producer.flush(POLL_S))
            self._raise_failure()
        self._raise_failure()

    def close(self) -> None:
        """Leave Kafka. Messages that were not flushed are discarded."""
        with suppress(FinkrayError):
            self._call("closing the producer", self._producer.purge)
            self._call("closing the producer", lambda: self._producer.flush(POLL_S))

    def _report(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._note_failure(error, message.topic())

    def _report_to(
        self, on_delivery: OnDelivery, error: KafkaError | None, message: Message
    ) -> None:
        self._report(error, message)
        if error is None:
            on_delivery(_delivery(message))

    def _note_failure(self, error: KafkaError, topic: str) -> None:
        if self._failed is None and error.code() not in _PURGED:
            self._failed = finkray_error(error, f"a message to {topic} was not delivered")

    def _raise_failure(self) -> None:
        if self._failed is not None:
            error, self._failed = self._failed, None
            raise error

    def _call(self, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except _RAISED_BY_KAFKA as error:
            raised = error
        else:
            return
        self._raise(raised, what)

    def _raise(self, raised: Any, what: str) -> NoReturn:
        """Raise what confluent-kafka raised as an error of finkray.

        Not in the handler: a bare KafkaError as context breaks the printing of tracebacks.
        """
        cause = kafka_error(raised)
        if cause is None:
            raise raised
        raise finkray_error(self._reason(cause), what) from KafkaException(cause)

    def _reason(self, error: KafkaError) -> KafkaError:
        """Return the error itself, or the fatal one behind "the client has a fatal error"."""
        if error.fatal() and error.name() != "_FATAL":
            self._fatal = error
        elif self._fatal is None:
            # The client raises a fatal error from `poll` instead of passing it to `error_cb`.
            try:
                self._producer.poll(0)
            except _RAISED_BY_KAFKA as event:
                self._fatal = kafka_error(event)
        return self._fatal or error


_RAISED_BY_KAFKA: Final = (KafkaException, KafkaError, SystemError)
"""What confluent-kafka 2.16 raises: its exception; a fatal error as it is, although that derives
from no exception (`except BaseException` does not catch it); and SystemError with one of the two as
its cause where a callback ran during the call."""


def kafka_error(raised: Any) -> KafkaError | None:
    """Return the error of Kafka in what confluent-kafka raised; None if there is none."""
    if isinstance(raised, SystemError):
        raised = raised.__cause__
    if isinstance(raised, KafkaException):
        raised = raised.args[0]
    return raised if isinstance(raised, KafkaError) else None


def _log_event(error: KafkaError) -> None:
    # The client retries on its own; what it gives up is reported with the message.
    log.debug("Kafka client: %s", error.str())


def _delivery(message: Message) -> Delivery:
    return Delivery(message.topic(), message.partition(), message.offset(), message.timestamp()[1])
