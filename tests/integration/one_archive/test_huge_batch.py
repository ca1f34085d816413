"""A record batch that takes all memory of an ingest actor."""

import pytest

from sim.broker.kafka import Kafka
from tests.support.actor_process import MIB
from tests.support.archiving import ArchiveUnderTest
from tests.support.damaged_log import send_batch
from tests.support.lane_reading import fill, made
from tests.support.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

MESSAGES, MESSAGE_BYTES = 4, 144 * MIB
"""Together more than the archive's `ingest.memory_bytes`, 440 MiB. Few, because each try of the
search for the end of the batch unpacks it again."""


@pytest.mark.nightly(
    "tests/integration/test_actor_memory.py::"
    "test_an_actor_ends_before_a_batch_takes_all_memory_and_its_successor_skips_the_batch"
)
def test_an_archive_goes_past_a_batch_that_takes_all_memory_and_says_so(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    source = made(kafka, topic)
    fill(kafka, source, 1)
    sent = send(kafka.bootstrap_servers, topic, packets)
    send_batch(kafka, topic, [bytes(MESSAGE_BYTES)] * MESSAGES, "gzip")
    sent += send(kafka.bootstrap_servers, topic, packets)
    archive.wait_for_offsets(MESSAGES + 1 + sent, wait_s=400, topic=topic)
    archive.wait_for_topic(topic, MESSAGES + 1 + sent)
    balance = archive.balance(topic)
    assert (balance.archived, balance.dead_lettered) == (sent, 1)
    assert balance.unreadable == MESSAGES
    assert set(archive.offsets(topic).values()) == {1}
    snapshot = archive.snapshot()
    assert snapshot is not None
    messages = {alarm.code: alarm.message for alarm in snapshot.alarms}
    assert f"{topic}[0] at offset" in messages["ACTOR_MEMORY"]
    assert f"{topic}[0] {1 + len(packets)}-" in messages["UNREADABLE"]
    assert "was restarted by Ray; its lanes are read again" in archive.log.read_text()
