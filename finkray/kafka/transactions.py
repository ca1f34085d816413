"""A producer that writes messages in transactions.

    with TransactionalProducer(config, "finkray-streamout") as producer:
        with producer.transaction():
            producer.produce("alerts", b"value")
            producer.produce("progress", b"claims 1 to 7")

A transaction is visible to readers of committed messages as a whole or not at all. So what was
done (a progress record as above, or the offsets of a consumer, see `send_offsets`) and its output
cannot come apart: after a crash the next producer reads how far the last one came, and continues.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.errors import FinkrayError, ProducerFenced
from finkray.kafka.config import transactional_config
from finkray.kafka.producer import DELIVERY_TIMEOUT_S, POLL_S, Producer, kafka_error


class TransactionalProducer(Producer):
    """Writes messages in transactions. Not for several threads.

    Creating one fences every older producer with the same transactional id and ends its open
    transaction: their next call raises `ProducerFenced`. So first create it, then read how far
    the last one came: in the other order its last transaction can be missed.

    After any error but `ProducerFenced` abort the transaction and send its messages again (not a
    message that Kafka refused). `transaction` calls `abort` itself. After a message that was not
    delivered, the next transaction can fail once more, with "skipped sequence numbers": librdkafka
    2.16 renumbers its messages only then. That error is retriable as well.

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
                self._call(what, partial(step, max(left_s, POLL_S)))
            except FinkrayError as error:
                cause = kafka_error(error.__cause__)
                if left_s <= 0 or cause is None or not cause.retriable():
                    raise
                time.sleep(POLL_S)
            else:
                return
