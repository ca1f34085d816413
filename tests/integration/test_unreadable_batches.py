"""A record batch that the client cannot read holds its partition for some tries, not for ever."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition as KafkaPartition

from finkray.claim import Claim, Gap, TopicPartition
from finkray.ingest.lane_consumer import PartitionKey
from finkray.ingest.messages import Assignment
from finkray.ingest.unreadable_lanes import UnreadableLanes
from finkray.kafka.consumer import assigned_consumer
from finkray.ledger.claims import read_results, read_unreadable
from finkray.redrive.missing import RedriveResult
from finkray.redrive.reread import Rereader
from jobs.commands.audit import audit_now, redrive_now
from sim.broker.kafka import Kafka
from tests.support.avro_cases import container
from tests.support.damaged_log import changed_bit, send_batch
from tests.support.dead_letters import PAIR, Observatory, record
from tests.support.lane_reading import Lanes, made

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finkray.ingest.unreadable.RETRY_S", 0.2)


@pytest.fixture
def source(kafka: Kafka, topic: str) -> TopicPartition:
    return made(kafka, topic)


@pytest.fixture
def lanes(kafka: Kafka) -> Iterator[Lanes]:
    made_lanes = Lanes(kafka.bootstrap_servers)
    yield made_lanes
    made_lanes.reader.flush()
    made_lanes.reader.read(0, 0.0)


def three_batches(kafka: Kafka, source: TopicPartition, codec: str) -> None:
    """Send offsets 0 to 3, 4 to 10 and 11 to 14, each as a record batch."""
    for first, count in ((0, 4), (4, 7), (11, 4)):
        values = [b"%5d" % (first + n) * 100 for n in range(count)]
        send_batch(kafka, source.topic, values, codec)


def test_a_partition_that_answers_late_is_not_assigned_twice(
    kafka: Kafka, source: TopicPartition, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is due again while it is read: on a busy machine a batch is unpacked for long."""

    def due(self: UnreadableLanes) -> list[PartitionKey]:
        return [key for key in self.texts if not self.searching(key)]

    monkeypatch.setattr(UnreadableLanes, "due", due)
    three_batches(kafka, source, "gzip")
    with changed_bit(kafka, source.topic, 1):
        lanes.reader.start(Assignment(source, 0, 1, end_offset=15))
        lanes.read_until(lambda: bool(lanes.reader.unreadable))
        for _ in range(10):  # sooner than Kafka answers
            lanes.reader.read(100, 0.0)
        lanes.read_to_the_end()
    assert lanes.gaps == [Gap("unreadable", 4, 10)]


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd", "lz4", "snappy"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_batch_with_a_changed_bit_is_a_gap_and_all_others_are_read(
    kafka: Kafka, source: TopicPartition, lanes: Lanes, codec: str, number: int
) -> None:
    three_batches(kafka, source, codec)
    first, last = ((0, 3), (4, 10), (11, 14))[number]
    with changed_bit(kafka, source.topic, number):
        lanes.reader.start(Assignment(source, 0, 1, end_offset=15))
        lanes.read_until(lambda: bool(lanes.reader.unreadable))
        assert f"offset {first} cannot be read" in str(lanes.reader.unreadable)
        lanes.read_to_the_end()
    assert lanes.gaps == [Gap("unreadable", first, last)]
    assert lanes.offsets == [n for n in range(15) if not first <= n <= last]
    lanes.assert_covered(source, 0, 15)
    assert not lanes.reader.unreadable
    assert not lanes.reader.troubles


def test_a_live_lane_goes_on_behind_several_batches(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    three_batches(kafka, source, "none")
    with changed_bit(kafka, source.topic, 1), changed_bit(kafka, source.topic, 2):
        lanes.reader.start(Assignment(source, 6, 1))
        lanes.read_until(lambda: len(lanes.gaps) == 2)
        send_batch(kafka, source.topic, [b"new"] * 2)
        lanes.read_until(lambda: lanes.offsets == [15, 16])
    # It began in the middle of the first of them.
    assert lanes.gaps == [Gap("unreadable", 6, 10), Gap("unreadable", 11, 14)]
    lanes.assert_covered(source, 6, 17)


def test_a_fault_that_passes_loses_nothing(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    three_batches(kafka, source, "none")
    with changed_bit(kafka, source.topic, 1):
        lanes.reader.start(Assignment(source, 0, 1, end_offset=15))
        lanes.read_until(lambda: bool(lanes.reader.unreadable))
    lanes.read_to_the_end()
    assert lanes.offsets == list(range(15))
    assert not lanes.gaps


def test_a_batch_that_the_client_does_not_decompress_is_a_gap(
    kafka: Kafka, source: TopicPartition, lanes: Lanes
) -> None:
    """64 MiB of zeros take 3 kB in the broker's log, and more than the client allows for."""
    send_batch(kafka, source.topic, [b"good"] * 5)
    send_batch(kafka, source.topic, [bytes(1 << 20)] * 64, "zstd")
    send_batch(kafka, source.topic, [b"good"] * 5)
    lanes.reader.start(Assignment(source, 0, 1, end_offset=74))
    lanes.read_to_the_end()
    assert lanes.gaps == [Gap("unreadable", 5, 68)]
    assert lanes.offsets == [*range(5), *range(69, 74)]


def test_unreadable_offsets_are_read_again_on_command(
    tmp_path: Path, kafka: Kafka, source: TopicPartition
) -> None:
    packets = [container(PAIR, record(n)) for n in range(9)]
    for first in (0, 3, 6):
        send_batch(kafka, source.topic, packets[first : first + 3])
    observatory = Observatory(tmp_path, bootstrap_servers=kafka.bootstrap_servers)
    observatory.archive(0, packets[:3], source=source)
    with changed_bit(kafka, source.topic, 1):
        # The hole is read like anything else, and its batch cannot be read.
        observatory.archive(6, packets[6:], source=source)
        redriven = redrive_now(observatory.settings, print)
        assert redriven == RedriveResult()
        report = audit_now(observatory.settings)
        assert (report.archived, report.unreadable, report.difference) == (6, 3, 0)
        assert report.balanced
        assert redrive_now(observatory.settings, print) == RedriveResult()
    assert redrive_now(observatory.settings, print) == RedriveResult(alerts=3)
    report = audit_now(observatory.settings, deep="all")
    assert (report.archived, report.unreadable, report.difference) == (9, 0, 0)
    assert report.balanced


def test_a_repair_counts_what_kafka_cannot_send_any_more_as_unreadable(
    tmp_path: Path, kafka: Kafka, source: TopicPartition
) -> None:
    """A file of the archive vanished, and one of the record batches behind it is damaged by now."""
    packets = [container(PAIR, record(n)) for n in range(9)]
    for first in (0, 3, 6):
        send_batch(kafka, source.topic, packets[first : first + 3])
    observatory = Observatory(tmp_path, bootstrap_servers=kafka.bootstrap_servers)
    observatory.archive(0, packets[:5], source=source)
    observatory.archive(5, packets[5:], source=source)
    storage = observatory.storage
    claim = Claim(source, 0, 4)
    (vanished,) = read_results(storage, [claim])[claim].files
    (storage.root / vanished.path).unlink()
    with changed_bit(kafka, source.topic, 1):
        assert redrive_now(observatory.settings, print) == RedriveResult(alerts=3, files=1)
        # Offset 5 is in the same batch, and in a file that is still there.
        assert sorted(observatory.alert_offsets()) == [0, 1, 2, 5, 6, 7, 8]
        (repaired,) = read_unreadable(storage)
        assert repaired.gaps == (Gap("unreadable", 3, 4),)
        report = audit_now(observatory.settings, deep="all")
        assert (report.archived, report.unreadable, report.difference) == (7, 2, 0)
        assert report.balanced
        assert redrive_now(observatory.settings, print) == RedriveResult()
    assert redrive_now(observatory.settings, print) == RedriveResult(alerts=2)
    assert set(observatory.alert_offsets().values()) == {1}
    report = audit_now(observatory.settings, deep="all")
    assert (report.archived, report.unreadable, report.difference) == (9, 0, 0)
    assert report.balanced


def test_a_span_that_ends_before_a_bad_batch_is_read(
    tmp_path: Path, kafka: Kafka, source: TopicPartition
) -> None:
    three_batches(kafka, source, "none")
    settings = Observatory(tmp_path, bootstrap_servers=kafka.bootstrap_servers).settings
    with changed_bit(kafka, source.topic, 1):
        for span in (Claim(source, 1, 3), Claim(source, 2, 8)):
            cuts = list(Rereader(settings).cuts(span))
            assert cuts[0].claim.first_offset == span.first_offset
            assert cuts[-1].claim.last_offset == span.last_offset
            assert [gap for cut in cuts for gap in cut.gaps] == (
                [] if span.last_offset == 3 else [Gap("unreadable", 4, 8)]
            )


@pytest.mark.nightly(
    "tests/unit/finkray/host/test_time_limit.py::test_a_call_that_does_not_return_is_left_behind"
)
def test_each_consumer_closes_whatever_its_client_waits_for(
    kafka: Kafka,
    source: TopicPartition,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Behind a bad batch the client fetches from a wrong offset, within 4 ms on a calm machine."""
    monkeypatch.setattr("finkray.kafka.consumer.CLOSE_S", 2.0)
    three_batches(kafka, source, "none")
    pauses = random.Random(7)
    with changed_bit(kafka, source.topic, 1):
        for _ in range(5000):
            consumer = assigned_consumer(
                {"bootstrap.servers": kafka.bootstrap_servers},
                queue_bytes=2**20,
                max_message_bytes=2**20,
            )
            consumer.assign([KafkaPartition(source.topic, source.partition, 4)])
            assert consumer.poll(60) is not None
            time.sleep(pauses.uniform(0, 0.004))
            consumer.close()
    print(f"{len(caplog.messages)} of 5000 were left behind")
