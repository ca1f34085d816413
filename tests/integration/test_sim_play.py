"""What is played arrives in a real Kafka, byte for byte, once, at its pace."""

import itertools
import threading
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from finkray.errors import KafkaUnavailable, MessageRefused
from sim.broker.kafka import Kafka
from sim.player.pace import Pace
from sim.player.play import Played, play, unix_ms
from sim.player.sender import Progress
from sim.player.sources import Packet, from_files, made
from sim.ztf.alerts import ZtfMaker

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]


def _arrived(kafka: Kafka, topic: str, played: Played) -> list[Message]:
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "t", "message.max.bytes": 10**8}
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in played.partitions])
    try:
        messages = [consumer.poll(20) for _ in range(played.alerts)]
        assert consumer.poll(0.5) is None
    finally:
        consumer.close()
    return [message for message in messages if message is not None and message.error() is None]


def _packets(count: int, seed: int = 3) -> list[Packet]:
    return list(itertools.islice(made(ZtfMaker(seed, alerts_per_visit=10)), count))


def test_every_packet_arrives_once_and_partitions_take_turns(kafka: Kafka, topic: str) -> None:
    packets = _packets(100)
    played = play(
        packets, kafka.bootstrap_servers, topic, partitions=4, count=90, keep_candids=True
    )
    assert (played.alerts, played.stopped) == (90, False)
    assert played.size_bytes == sum(len(packet.data) for packet in packets[:90])
    assert played.candids == tuple(packet.candid for packet in packets[:90])
    assert [part.alerts for part in played.partitions.values()] == [23, 23, 22, 22]
    for part in played.partitions.values():
        assert (part.first_offset, part.last_offset) == (0, part.alerts - 1)

    messages = _arrived(kafka, topic, played)
    assert sorted(message.value() for message in messages) == sorted(p.data for p in packets[:90])
    assert {message.key() for message in messages} == {None}
    now_ms = time.time() * 1000
    assert all(now_ms - 60_000 < message.timestamp()[1] <= now_ms for message in messages)


def test_by_object_keeps_each_object_in_one_partition(kafka: Kafka, topic: str) -> None:
    packets = _packets(20) * 3
    played = play(packets, kafka.bootstrap_servers, topic, partitions=3, by_object=True)
    messages = _arrived(kafka, topic, played)
    places = {(message.key(), message.partition()) for message in messages}
    assert {key.decode() for key, _ in places} == {packet.object_id for packet in packets}
    assert len(places) == len({packet.object_id for packet in packets})


def test_messages_can_have_the_time_of_the_observation(
    kafka: Kafka, topic: str, test_data: Path
) -> None:
    night = test_data / "ztf" / "ztf_20200101_fink-broker_50.tar.xz"
    packets = list(from_files(night, in_order=True))
    played = play(packets, kafka.bootstrap_servers, topic, partitions=1, original_timestamps=True)
    messages = _arrived(kafka, topic, played)
    assert [m.timestamp()[1] for m in messages] == [unix_ms(p.jd) for p in packets if p.jd]
    assert messages[0].timestamp()[1] // 1000 == 1_577_886_748  # 2020-01-01 13:52:28 UTC


def test_a_rate_is_kept_and_progress_is_told(kafka: Kafka, topic: str) -> None:
    reports: list[Progress] = []
    played = play(
        _packets(60),
        kafka.bootstrap_servers,
        topic,
        partitions=1,
        pace=Pace(per_s=30),
        on_progress=reports.append,
        progress_every_s=0.25,
    )
    assert played.elapsed_s >= 59 / 30
    counts = [report.alerts for report in reports]
    assert counts == sorted(counts)
    assert len(set(counts)) > 3
    assert counts[-1] == 60
    assert reports[-1].size_bytes == played.size_bytes


def test_the_original_pace_leaves_the_pauses_between_visits(kafka: Kafka, topic: str) -> None:
    visits = ZtfMaker(3, alerts_per_visit=5).visits()
    packets = [
        Packet(alert.packet) for visit in itertools.islice(visits, 4) for alert in visit.alerts
    ]
    played = play(packets, kafka.bootstrap_servers, topic, partitions=1, pace=Pace(speed=80))
    # Three times 40 s, eighty times as fast.
    assert 1.5 <= played.elapsed_s < 30
    stamps = [message.timestamp()[1] for message in _arrived(kafka, topic, played)]
    gaps = sorted(after - before for before, after in itertools.pairwise(stamps))
    assert min(gaps[-3:]) > 250


def test_a_play_without_end_can_be_stopped(kafka: Kafka, topic: str) -> None:
    stop = threading.Event()
    threading.Timer(3.0, stop.set).start()
    played = play(
        itertools.cycle(_packets(10)), kafka.bootstrap_servers, topic, partitions=2, stop=stop
    )
    assert played.stopped
    assert played.alerts == sum(part.alerts for part in played.partitions.values()) > 0
    assert played.elapsed_s < 20

    waiting = play(_packets(10), kafka.bootstrap_servers, topic, pace=Pace(per_s=0.01), stop=stop)
    assert (waiting.alerts, waiting.stopped) == (0, True)


def test_what_kafka_does_not_take_is_an_error(kafka: Kafka, topic: str) -> None:
    with pytest.raises(KafkaUnavailable, match=r"number of partitions"):
        play(_packets(1), kafka.bootstrap_servers, topic)
    # The client would let it pass, the broker does not.
    too_large = Packet(bytes(12_000_000))
    with pytest.raises(MessageRefused, match=r"was not delivered: .*[Tt]oo large"):
        play(
            [too_large],
            kafka.bootstrap_servers,
            topic,
            partitions=1,
            client={"message.max.bytes": 20_000_000},
        )


def test_a_broker_that_is_killed_and_comes_back_gets_each_packet_once(tmp_path: Path) -> None:
    with Kafka.running(tmp_path, heap_mb=512) as broker:
        packets = _packets(200)

        crashes: list[threading.Thread] = []

        def crash() -> None:
            broker.kill()
            broker.restart()

        def crash_once(progress: Progress) -> None:
            if progress.alerts > 20 and not crashes:
                crashes.append(threading.Thread(target=crash))
                crashes[0].start()

        played = play(
            packets,
            broker.bootstrap_servers,
            "night",
            partitions=2,
            pace=Pace(per_s=60),
            on_progress=crash_once,
            progress_every_s=0.1,
        )
        crashes[0].join()
        messages = _arrived(broker, "night", played)
        assert sorted(m.value() for m in messages) == sorted(p.data for p in packets)
