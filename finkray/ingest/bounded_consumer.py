"""A Kafka consumer in a process of its own, whose memory is bounded.

The Kafka client unpacks whole record batches, and Kafka sends the first batch of a fetch whole,
however small the fetch is. So the memory that a batch takes can only be bounded by a process that
may end. An ingest actor reads this way after it died, see `finkray.ingest.consumers`.

It reads one partition at a time, in turn, and fetches one record batch at a time. If its process
ends for lack of memory, each partition that it read gets a process of its own. When that ends too,
it is known which partition it read and from which offset: that batch is reported as one that cannot
be decompressed, and is treated as such (`finkray.ingest.unreadable`).
"""

import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, Message
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.ingest.bounded_messages import (
    NO_MEMORY_EXIT,
    READY,
    ReadReply,
    ReadRequest,
    Start,
)
from finkray.ingest.lane_consumer import PartitionKey
from finkray.kafka.config import one_batch_config

TURN_S: Final = 0.5
"""How long a partition is read before the next one, unless its end comes first."""

FIRST_TURN_S: Final = 5.0
"""The same for the first partition that a process reads: it takes a second to start and connect."""

RESTART_S: Final = 2.0
"""Pause before the process is started again after it ended for another reason than memory."""

END_S: Final = 5.0
"""How long a process that aborts may take to be gone, so that its exit code says why it ended."""

CLOSE_S: Final = 0.5
"""How long the process may take to end when its consumer is closed. It ends between two reads."""

log = logging.getLogger(__name__)


class BoundedConsumer:
    """Reads partitions as `confluent_kafka.Consumer` does. Not thread-safe.

    Parameters
    ----------
    config
        librdkafka's properties, as for `finkray.kafka.consumer.assigned_consumer`
    max_message_bytes
        size of the largest message
    memory_bytes
        how much memory its process may take for what it unpacks
    on_no_memory
        called when that was not enough for a record batch
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        max_message_bytes: int,
        memory_bytes: int,
        on_no_memory: Callable[[], None],
    ) -> None:
        self._config = one_batch_config(config, max_message_bytes=max_message_bytes)
        self._memory_bytes = memory_bytes
        self._on_no_memory = on_no_memory
        self._positions: dict[PartitionKey, int] = {}
        self._serials: dict[PartitionKey, int] = {}
        self._serial = 0
        self._unread: set[PartitionKey] = set()
        self._paused: set[PartitionKey] = set()
        self._high_watermarks: dict[PartitionKey, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._ready = False
        self._start_at_s = 0.0
        self._turn: tuple[PartitionKey, int] | None = None
        self._read_by_process: set[PartitionKey] = set()
        self._suspects: set[PartitionKey] = set()
        self._turn_ends_s = 0.0
        self._awaited: ReadRequest | None = None
        self._leaders: Consumer | None = None
        self.closed = False
        """Whether `close` was called; nothing is read then."""

    # What a lane consumer and probes call.

    def assign(self, partitions: Sequence[KafkaPartition], /) -> None:
        """Read these partitions and no others."""
        self._positions.clear()
        self._serials.clear()
        self._unread.clear()
        self.incremental_assign(partitions)

    def incremental_assign(self, partitions: Sequence[KafkaPartition], /) -> None:
        """Read these partitions too."""
        for partition in partitions:
            key = (partition.topic, partition.partition)
            self._serial += 1
            self._positions[key], self._serials[key] = partition.offset, self._serial
            self._unread.add(key)

    def incremental_unassign(self, partitions: Sequence[KafkaPartition], /) -> None:
        """Stop reading these partitions."""
        for partition in partitions:
            key = (partition.topic, partition.partition)
            self._positions.pop(key, None)
            self._serials.pop(key, None)
            self._unread.discard(key)

    def pause(self, partitions: Sequence[KafkaPartition], /) -> None:
        """Leave these partitions out."""
        self._paused |= {(partition.topic, partition.partition) for partition in partitions}

    def resume(self, partitions: Sequence[KafkaPartition], /) -> None:
        """Read paused partitions again."""
        self._paused -= {(partition.topic, partition.partition) for partition in partitions}

    @property
    def all_read(self) -> bool:
        """Whether each partition has answered since it was assigned, but for paused ones."""
        return self.closed or self._unread <= self._paused

    def poll(self, timeout: float, /) -> Message | None:
        """Return the next message, or None if there is none yet."""
        messages = self.consume(1, timeout)
        return messages[0] if messages else None

    def consume(self, num_messages: int, timeout: float, /) -> list[Message]:
        """Return the next messages of one partition; none while its process unpacks a batch."""
        try:
            if self._awaited is None and not self._request(num_messages, timeout):
                time.sleep(timeout)
                return []
            reply = self._reply(timeout)
        except (EOFError, OSError):
            return self._ended()
        if reply is None or self._awaited is None:
            return []
        request, self._awaited = self._awaited, None
        if self._serials.get(request.key) != request.serial:
            return []  # the partition was unassigned, or is read from elsewhere now
        self._note(request.key, reply)
        return reply.messages

    def get_watermark_offsets(
        self, partition: KafkaPartition, /, timeout: float = -1, *, cached: bool = False
    ) -> tuple[int, int]:
        """Return the low and the high watermark; of `cached` ones, only the high one is known."""
        if cached:
            return -1, self._high_watermarks.get((partition.topic, partition.partition), -1)
        if self._leaders is None:
            self._leaders = Consumer(self._config)
        low, high = self._leaders.get_watermark_offsets(partition, timeout=timeout)
        return low, high

    def close(self) -> None:
        """End the process."""
        self.closed = True
        self._end_process(CLOSE_S)
        if self._leaders is not None:
            self._leaders.close()
            self._leaders = None

    # The process.

    def _request(self, messages: int, timeout_s: float) -> bool:
        """Request messages of the partition whose turn it is; False if none is to be read."""
        key = self._next_key()
        if key is None:
            return False
        if self._read_by_process - {key} and (self._read_by_process | {key}) & self._suspects:
            self._end_process(0.0)
        if not self._started():
            return False
        self._read_by_process.add(key)
        turn = (key, self._serials[key])
        offset = None if turn == self._turn else self._positions[key]
        if self._turn is None or self._turn[0] != key:
            turn_s = TURN_S if self._ready else FIRST_TURN_S
            self._turn_ends_s = time.monotonic() + turn_s
        self._turn = turn
        self._awaited = ReadRequest(key, turn[1], offset, messages, max(timeout_s, 0.01))
        self._connected().send(self._awaited)
        return True

    def _next_key(self) -> PartitionKey | None:
        keys = sorted(self._positions.keys() - self._paused)
        last = self._turn[0] if self._turn else None
        if last in keys and (len(keys) == 1 or time.monotonic() < self._turn_ends_s):
            return last
        return next((key for key in keys if last is None or key > last), keys[0] if keys else None)

    def _started(self) -> bool:
        """Start the process if it does not run; return whether it does."""
        if self._process is not None:
            return True
        if time.monotonic() < self._start_at_s:
            return False
        mine, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "finkray.ingest.bounded_process", str(its.fileno())],
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self._connection = Connection(mine.detach())
        # Over the connection, because the properties contain secrets.
        self._connection.send(Start(self._config, self._memory_bytes))
        return True

    def _reply(self, timeout_s: float) -> ReadReply | None:
        connection = self._connected()
        ends_s = time.monotonic() + timeout_s
        while connection.poll(max(0.0, ends_s - time.monotonic())):
            received = connection.recv()
            if received != READY:
                return ReadReply(*received)
            self._ready = True
        return None

    def _note(self, key: PartitionKey, reply: ReadReply) -> None:
        """Take note of where the partition is read next, and of its end."""
        if reply.high_watermark is not None:
            self._high_watermarks[key] = reply.high_watermark
        if reply.messages:
            self._unread.discard(key)
        for message in reply.messages:
            error, offset = message.error(), message.offset()
            if error is None and offset is not None:
                self._positions[key] = offset + 1
            elif error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                self._turn_ends_s = 0.0
                self._suspects.discard(key)

    def _ended(self) -> list[Message]:
        """Return what the end of the process says about the batch that it read."""
        request, ready, read = self._awaited, self._ready, self._read_by_process
        exit_code = self._end_process(END_S)
        # An abort before it was ready has another cause than a record batch.
        no_memory = ready and exit_code in (-signal.SIGABRT, NO_MEMORY_EXIT)
        if no_memory:
            self._on_no_memory()
        else:
            self._start_at_s = time.monotonic() + RESTART_S
        if no_memory and len(read) > 1:
            # The client may still have unpacked a batch of the partition before. Each of them is
            # read by a process of its own now, until its end.
            self._suspects |= read
            return []
        if request is None or self._serials.get(request.key) != request.serial:
            return []
        topic, partition = request.key
        position = self._positions[request.key]
        if no_memory:
            self._suspects.add(request.key)
            code = KafkaError._BAD_COMPRESSION  # noqa: SLF001 - the client's public name for it
            why = (
                f"unpacking what lies at offset {position} or soon behind it takes more than "
                f"{self._memory_bytes >> 20} MiB of memory"
            )
        else:
            code = KafkaError._FAIL  # noqa: SLF001
            why = f"the process that reads it from offset {position} ended with {exit_code}"
        log.warning("%s[%d]: %s", topic, partition, why)
        # Without an offset: where the batch begins is not known.
        return [Message(topic=topic, partition=partition, error=KafkaError(code, why))]

    def _connected(self) -> Connection:
        if self._connection is None:
            raise EOFError
        return self._connection

    def _end_process(self, wait_s: float) -> int:
        """End the process, kill it if it is still there after a time, and return its exit code."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._awaited, self._turn, self._ready = None, None, None, False
        self._read_by_process = set()
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=wait_s)
        process.kill()
        return process.wait()
