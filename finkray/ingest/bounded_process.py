"""The process of a bounded consumer: `python -m finkray.ingest.bounded_process DESCRIPTOR`.

It reads one partition at a time. The kernel refuses memory beyond its bound, and librdkafka aborts
a process to which memory is refused: a record batch that unpacks to more ends this process, and
nothing else. It may end at any moment: it exists to contain that.
"""

import ctypes
import os
import resource
import sys
from multiprocessing.connection import Connection
from typing import Final

import psutil
from confluent_kafka import Consumer, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.ingest.bounded_messages import (
    NO_MEMORY_EXIT,
    READY,
    ReadReply,
    ReadRequest,
    Start,
)
from finkray.ingest.lane_consumer import PartitionKey

REPLY_BYTES: Final = 4 * 1024 * 1024
"""Size of the messages after which a reply is sent, so that the copies of them stay small."""

STACK_BYTES: Final = 1024 * 1024
"""Stack of a thread of librdkafka, in place of 8 MiB: the kernel counts all of it as taken."""

PTHREAD_ATTRIBUTES_BYTES: Final = 256
"""Room for a `pthread_attr_t`, which has 56 bytes on x86-64 and 64 on AArch64."""

STACKS_BYTES: Final = 32 * STACK_BYTES
"""Room for the stacks of librdkafka's threads: three, and one for each broker."""


def main(descriptor: int) -> None:
    """Read what is requested until the other end closes the connection."""
    connection = Connection(descriptor)
    start: Start = connection.recv()
    _make_stacks_small()
    consumer = Consumer(start.config)
    _bound_memory(start.memory_bytes)
    connection.send(READY)
    while True:
        try:
            request: ReadRequest = connection.recv()
        except (EOFError, ConnectionResetError):
            return
        if request.offset is not None:
            consumer.assign([KafkaPartition(*request.key, request.offset)])
        messages = _read(consumer, request)
        try:
            connection.send(ReadReply(messages, _high_watermark(consumer, request.key)))
        except (BrokenPipeError, ConnectionResetError):
            return


def _make_stacks_small() -> None:
    """Let threads that start from now on have small stacks, where the C library can (glibc)."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "pthread_setattr_default_np"):
        return
    attributes = ctypes.create_string_buffer(PTHREAD_ATTRIBUTES_BYTES)
    libc.pthread_attr_init(attributes)
    libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(STACK_BYTES))
    libc.pthread_setattr_default_np(attributes)


def _bound_memory(memory_bytes: int) -> None:
    """Let this process take so much memory from now on, and leave no core file behind.

    Raises
    ------
    MemoryError
        if not even half of that can be had: no record batch is the cause
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    taken_bytes = psutil.Process().memory_info().data
    bound_bytes = taken_bytes + STACKS_BYTES + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (bound_bytes, bound_bytes))
    bytearray(memory_bytes // 2)


def _read(consumer: Consumer, request: ReadRequest) -> list[Message]:
    messages = consumer.consume(1, request.timeout_s)
    size_bytes = _size_bytes(messages)
    while messages and len(messages) < request.messages and size_bytes < REPLY_BYTES:
        more = consumer.consume(1, 0.0)
        if not more:
            break
        messages += more
        size_bytes += _size_bytes(more)
    return messages


def _size_bytes(messages: list[Message]) -> int:
    return sum(len(message.value() or b"") for message in messages)


def _high_watermark(consumer: Consumer, key: PartitionKey) -> int | None:
    try:
        _, high = consumer.get_watermark_offsets(KafkaPartition(*key), cached=True)
    except KafkaException:
        return None
    return high if high >= 0 else None


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except MemoryError:
        os._exit(NO_MEMORY_EXIT)
    os._exit(0)  # the end of a client may hang: see `finkray.kafka.consumer.AssignedConsumer`
