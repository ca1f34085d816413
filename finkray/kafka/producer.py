"""Producers: one that writes messages at once, and one that writes in transactions.

    with Producer(config) as producer:
        producer.produce("topic", b"value", key=b"object", partition=3)
        producer.flush()

    with TransactionalProducer(config, "finkray-streamout") as producer:
        with producer.transaction():
            producer.produce("alerts", b"value")
            producer.produce("progress", b"claims 1 to 7")

A transaction is visible to readers of committed messages as a whole or not at all. So what was
done (a progress record as above, or the offsets of a consumer, see `send_offsets`) and its output
cannot come apart: after a crash the next producer reads how far the last one came, and continues.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import Producer as KafkaProducer
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.errors import FinkrayError, KafkaUnavailable, ProducerFenced
from finkray.kafka.config import options_explained, producer_config, transactional_config
from finkray.kafka.errors import finkray_error

log = logging.getLogger(__name__)

DELIVERY_TIMEOUT_S: Final = 60.0
"""How long `produce` waits for room in the local queue, `flush` for deliveries and a step of a
transaction for the brokers. A new leader is elected within a few seconds; a broker that restarts
takes half a minute."""

_POLL_S: Final = 0.05
"""Pause between two looks for room or deliveries."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where Kafka put a message. In a transaction, it counts only once that is committed."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


_PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001 - public names
"""What a message is reported with that was discarded by ourselves."""

OnDelivery = Callable[[Delivery], None]
"""Receives the delivery of one message, in the thread that calls the producer. It must not raise
and must not call the producer."""


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
                raise KafkaUnavailable(
                    f"no room for a message to {topic} within {self._timeout_s:.0f} s: Kafka "
                    f"has not acknowledged the {self.pending} before it"
                )
            self.poll(_POLL_S)

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

        def report(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._note_failure(error, message.topic())
            elif on_delivery is not None:
                on_delivery(_delivery(message))

        try:
            self._call(
                f"a message to {topic} was not taken",
                lambda: self._producer.produce(topic, value, on_delivery=report, **placement),
            )
        except BufferError:
            return False
        self.poll(0)
        return True

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
            self.poll(_POLL_S)
        self._raise_failure()

    def close(self) -> None:
        """Leave Kafka. Messages that were not flushed are discarded."""
        with suppress(FinkrayError):
            self._call("closing the producer", self._producer.purge)
            self._call("closing the producer", lambda: self._producer.flush(_POLL_S))

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
            cause = _kafka_error(error)
            if cause is None:
                raise
        else:
            return
        # Outside of the handler: a bare KafkaError as context breaks the printing of tracebacks.
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
                self._fatal = _kafka_error(event)
        return self._fatal or error


_RAISED_BY_KAFKA: Final = (KafkaException, KafkaError, SystemError)
"""What confluent-kafka 2.16 raises: its exception; a fatal error as it is, although that derives
from no exception (`except BaseException` does not catch it); and SystemError with one of the two as
its cause where a callback ran during the call."""


def _kafka_error(raised: Any) -> KafkaError | None:
    if isinstance(raised, SystemError):
        raised = raised.__cause__
    if isinstance(raised, KafkaException):
        raised = raised.args[0]
    return raised if isinstance(raised, KafkaError) else None


def _log_event(error: KafkaError) -> None:
    # The client retries by itself; what it gives up is reported with the message.
    log.debug("Kafka client: %s", error.str())


def _delivery(message: Message) -> Delivery:
    return Delivery(message.topic(), message.partition(), message.offset(), message.timestamp()[1])


class TransactionalProducer(Producer):
    """Writes messages in transactions. Not for several threads.

    Creating one fences every older producer with the same transactional id and ends its open
    transaction: their next call raises `ProducerFenced`. So first create it, then read how far
    the last one came: in the other order its last transaction can be missed.

    After any error but `ProducerFenced` abort the transaction and send its messages again (not a
    message that Kafka refused). `transaction` aborts by itself. After a message that was not
    delivered, the next transaction can fail once more, with "skipped sequence numbers": librdkafka
    2.16 numbers its messages anew only then. That error is retriable as well.

    Parameters
    ----------
    config
        librdkafka's properties, secrets included
    transactional_id
        the same for a producer and its successors, and for no other
    timeout_s
        how long a call may wait for the brokers

    Raises
    ------
    SettingsError
        if librdkafka does not know an option, or not its value
    KafkaUnavailable
        if no broker answers in time, or the login lacks the right
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        transactional_id: str,
        timeout_s: float = DELIVERY_TIMEOUT_S,
    ) -> None:
        self._transactional_id = transactional_id
        self._open = False
        super().__init__(config, timeout_s)
        self._step("taking over the transactional id", self._producer.init_transactions)

    def _config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return transactional_config(config, self._transactional_id)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begin a transaction, commit it at the end of the block, abort it if the block raises.

        Raises
        ------
        FinkrayError
            as `commit`
        """
        self.begin()
        try:
            yield
            self.commit()
        except BaseException as error:
            if not isinstance(error, ProducerFenced):
                # What went wrong first is the reason; an abort that fails too does not hide it.
                with suppress(FinkrayError):
                    self.abort()
            raise

    def begin(self) -> None:
        """Begin a transaction.

        Raises
        ------
        ProducerFenced
            if a newer producer has the same transactional id
        """
        self._call("beginning a transaction", self._producer.begin_transaction)
        self._open = True

    def send_offsets(self, consumer: Consumer, offsets: Mapping[tuple[str, int], int]) -> None:
        """Commit a consumer's offsets with the transaction.

        Parameters
        ----------
        consumer
            whose group the offsets are for
        offsets
            by topic and partition, the first offset that is not processed yet

        Raises
        ------
        FinkrayError
            as `commit`
        """
        positions = [KafkaPartition(*source, offset) for source, offset in offsets.items()]
        group = consumer.consumer_group_metadata()
        self._step(
            "adding offsets to the transaction",
            lambda timeout_s: self._producer.send_offsets_to_transaction(
                positions, group, timeout_s
            ),
        )

    def commit(self) -> None:
        """Commit the transaction: wait for its messages, then make all of them visible.

        Raises
        ------
        MessageRefused
            if Kafka will never take one of the messages
        KafkaUnavailable
            if a message was not delivered, or no broker answers in time. The transaction is not
            committed: abort it.
        ProducerFenced
            if a newer producer has the same transactional id, or the transaction took longer than
            "transaction.timeout.ms". Nothing of it is visible.
        """
        self.flush()
        self._step("committing a transaction", self._producer.commit_transaction)
        self._open = False

    def abort(self) -> None:
        """Abort the transaction: none of its messages becomes visible.

        Raises
        ------
        KafkaUnavailable
            if no broker answers in time: call it again
        ProducerFenced
            if a newer producer has the same transactional id
        """
        self._step("aborting a transaction", self._producer.abort_transaction)
        self._failed = None
        self._open = False

    def close(self) -> None:
        """Leave Kafka. A transaction that is open is aborted if a broker answers."""
        if self._open and self._fatal is None:
            with suppress(FinkrayError):
                self.abort()
        super().close()

    def _step(self, what: str, step: Callable[[float], None]) -> None:
        """Call a step of a transaction until it is done, as long as librdkafka advises a retry."""
        what = f"{what} ({self._transactional_id})"
        until_s = time.monotonic() + self._timeout_s
        while True:
            left_s = until_s - time.monotonic()
            try:
                self._call(what, partial(step, max(left_s, _POLL_S)))
            except FinkrayError as error:
                cause = _kafka_error(error.__cause__)
                if left_s <= 0 or cause is None or not cause.retriable():
                    raise
                time.sleep(_POLL_S)
            else:
                return
