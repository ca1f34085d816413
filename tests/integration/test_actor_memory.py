"""An ingest actor's memory is bounded, whatever the record batches of Kafka unpack to."""

import pytest

from finkray.claim import TopicPartition
from sim.broker.kafka import Kafka
from tests.support.actor_process import MIB, run_actor
from tests.support.damaged_log import send_batch
from tests.support.lane_reading import fill, made

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1500)]

PROCESS_BYTES = 200 * MIB
"""What an actor's process takes when it reads nothing."""

HELD_BYTES = 64 * MIB


@pytest.fixture
def source(kafka: Kafka, topic: str) -> TopicPartition:
    return made(kafka, topic)


def test_a_fetch_of_many_small_batches_does_not_unpack_all_of_them(
    kafka: Kafka, source: TopicPartition
) -> None:
    """320 MiB of zeros take 320 kB in Kafka, less than one full fetch."""
    for _ in range(10):
        send_batch(kafka, source.topic, [bytes(MIB)] * 32, "gzip")
    outcome = run_actor(
        kafka.bootstrap_servers, source.topic, end_offset=320, memory_bytes=0, restarted=False
    )
    assert (outcome.read_to, outcome.gaps) == (320, [])
    assert outcome.peak_bytes < PROCESS_BYTES + 2 * HELD_BYTES + 100 * MIB


def test_an_actor_ends_before_a_batch_takes_all_memory_and_its_successor_skips_the_batch(
    kafka: Kafka, source: TopicPartition
) -> None:
    fill(kafka, source, 3)
    # Few large messages: each try of the search for the end of the batch unpacks it again.
    send_batch(kafka, source.topic, [bytes(128 * MIB)] * 4, "gzip")
    fill(kafka, source, 2)
    memory_bytes = 500 * MIB

    first = run_actor(
        kafka.bootstrap_servers,
        source.topic,
        end_offset=9,
        memory_bytes=memory_bytes,
        restarted=False,
    )
    assert first.exit_code == 1
    assert f"{source.topic}[0] at offset" in first.out_of_memory
    assert "of at most 500" in first.out_of_memory
    assert first.peak_bytes < memory_bytes + 500 * MIB

    second = run_actor(
        kafka.bootstrap_servers,
        source.topic,
        end_offset=9,
        memory_bytes=memory_bytes,
        restarted=True,
    )
    assert second.exit_code == 0
    assert second.gaps == [["unreadable", 3, 6]]
    assert "takes more than 250 MiB of memory" in second.unreadable
    assert second.peak_bytes < memory_bytes
