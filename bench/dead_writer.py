"""`python -m bench.dead_writer`: how long readers of committed messages wait for a dead writer.

A process writes transactions to a topic, with the time-out of streaming out, and is killed: between
two of them; in an open one, with a successor; and in an open one, with none. Beside it another
writer puts messages without transactions into the same partition. A consumer that reads committed
messages notes when it has each. What counts is the longest wait from Kafka's timestamp of a message
of that other writer to its receipt, after the kill. It must not be longer than
`streamout.dead_writer_s`.
"""

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

from confluent_kafka import TopicPartition as KafkaPartition

from bench.options import add_common, working_folder
from finkray.kafka.config import DEAD_WRITER_S
from finkray.kafka.consumer import assigned_consumer
from finkray.kafka.producer import Producer
from finkray.kafka.transactions import TransactionalProducer
from sim.broker.kafka import Kafka

CASES: Final = {
    "between transactions": (False, False),
    "in an open one, a successor takes over": (True, True),
    "in an open one, nobody takes over": (True, False),
}
"""Whether a transaction is open at the kill, and whether a successor takes over."""

QUIET_S: Final = 5.0
LONGEST_S: Final = DEAD_WRITER_S + 5.0

_PERIOD_S: Final = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 1 if readers waited for longer than they may."""
    options = _parser().parse_args(arguments)
    if options.write:
        _write(*options.write)
    waits_s = {}
    with (
        working_folder("dead-writer", options.folder, keep=options.keep) as folder,
        Kafka.running(folder / "kafka") as kafka,
    ):
        config = {"bootstrap.servers": kafka.bootstrap_servers}
        for number, (name, (is_open, is_followed)) in enumerate(CASES.items()):
            kafka.create_topic(f"dead-{number}")
            waits_s[name] = wait_s(config, f"dead-{number}", open_=is_open, followed=is_followed)
            print(f"killed {name}: readers waited {waits_s[name]:.2f} s at the most")
    if options.json:
        options.json.write_text(json.dumps(waits_s, indent=2), encoding="utf-8")
    print(f"they may wait for {DEAD_WRITER_S:g} s")
    return 1 if max(waits_s.values()) > DEAD_WRITER_S else 0


def wait_s(config: dict[str, Any], topic: str, *, open_: bool, followed: bool) -> float:
    """Kill a writer, and return the longest wait of a reader after that."""
    command = [sys.executable, "-m", "bench.dead_writer", "--write"]
    arguments = [config["bootstrap.servers"], topic, "open" if open_ else "closed"]
    with _reading(config, topic) as received, _writing(config, topic):
        process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE)
        with process:
            assert process.stdout is not None
            process.stdout.readline()  # it is where it shall die
            process.send_signal(signal.SIGKILL)
        killed_unix_s = time.time()
        if followed:
            TransactionalProducer(config, topic).close()
        time.sleep(LONGEST_S if open_ and not followed else QUIET_S)
    late = [now - sent for now, sent in received if now >= killed_unix_s]
    return max(late)


def _write(bootstrap_servers: str, topic: str, state: str) -> None:
    """Write two transactions, and with `open` half of a third; tell, and wait for the end."""
    producer = TransactionalProducer({"bootstrap.servers": bootstrap_servers}, topic)
    for number in range(2):
        with producer.transaction():
            producer.produce(topic, b"%d" % number)
    if state == "open":
        producer.begin()
        producer.produce(topic, b"half")
        producer.flush()
    print(state, flush=True)
    threading.Event().wait()


@contextmanager
def _writing(config: dict[str, Any], topic: str) -> Iterator[None]:
    """Write messages without transactions, ten a second."""
    ended = threading.Event()

    def run() -> None:
        with Producer({**config, "linger.ms": 0}) as producer:
            while not ended.wait(_PERIOD_S):
                producer.produce(topic, b"other")
                producer.flush()

    thread = threading.Thread(target=run, name="other-writer")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _reading(config: dict[str, Any], topic: str) -> Iterator[list[tuple[float, float]]]:
    """Read the other writer's committed messages; yield when each was received and when sent."""
    received: list[tuple[float, float]] = []
    ended = threading.Event()
    consumer = assigned_consumer(config, queue_bytes=2**20, max_message_bytes=2**20)

    def run() -> None:
        while not ended.is_set():
            message = consumer.poll(_PERIOD_S)
            if message is not None and message.error() is None and message.value() == b"other":
                received.append((time.time(), message.timestamp()[1] / 1000))

    with closing(consumer):
        consumer.assign([KafkaPartition(topic, 0, 0)])
        thread = threading.Thread(target=run, name="reader")
        thread.start()
        try:
            yield received
        finally:
            ended.set()
            thread.join()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.dead_writer", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--write", nargs=3, help=argparse.SUPPRESS)
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
