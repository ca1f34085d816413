"""Processes are killed at random moments of a stream, and nobody ever sees a trace of it.

`make chaos KILLS=200` kills more; `FINKRAY_CHAOS_SEED` repeats a night.
"""

import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from confluent_kafka import KafkaError, Message, Producer

from finkray.audit.audit import audit
from finkray.ingest.kafka import KafkaCluster
from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from jobs.local_ray import LocalRay
from sim.alerts import AlertMaker, Made
from sim.kafka import Kafka
from tests.archiving import ArchiveUnderTest, wait_until
from tests.killing import KINDS
from tests.packets import send

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark]

KILLS = int(os.environ.get("FINKRAY_CHAOS_KILLS", "12"))
SEED = int(os.environ.get("FINKRAY_CHAOS_SEED", str(random.randrange(10**6))))
PARTITIONS = 3
ALERTS_PER_S = 40
BACKLOG = 1200
"""Alerts that are there before the archive: a backfill works beside the stream, kill after kill."""


class Stream:
    """Plays made alerts until it is told to stop, and remembers what Kafka has of them.

    The first so many come at once, before it is made.
    """

    def __init__(self, bootstrap_servers: str, topic: str, at_once: int = 0) -> None:
        self._topic = topic
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "message.timeout.ms": 600_000,
                "log_level": 0,
            }
        )
        self.candids: list[int] = []
        self.failed: list[KafkaError] = []
        self._stop = threading.Event()
        alerts = enumerate(AlertMaker(seed=SEED).alerts())
        for number, alert in itertools.islice(alerts, at_once):
            self._send(number, alert)
        assert self._producer.flush(60) == 0
        self._thread = threading.Thread(target=self._run, args=[alerts], daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(600)
        assert self._producer.flush(600) == 0
        assert not self.failed

    def _run(self, alerts: Iterator[tuple[int, Made]]) -> None:
        for number, alert in alerts:
            if self._stop.wait(1 / ALERTS_PER_S):
                return
            self._send(number, alert)

    def _send(self, number: int, alert: Made) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                self.failed.append(error)
            else:
                self.candids.append(alert.candid)

        while True:
            try:
                self._producer.produce(
                    self._topic,
                    alert.packet,
                    partition=number % PARTITIONS,
                    on_delivery=delivered,
                )
                break
            except BufferError:  # the broker is away
                self._producer.poll(0.5)
        self._producer.poll(0)


class Reader:
    """Lists and reads the folders all the time, as a stranger would, and counts."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.seen: Counter[tuple[int, int]] = Counter()
        self.looks = 0
        self._known: set[Path] = set()
        self.trouble: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            time.sleep(0.2)

    def look(self) -> None:
        files = {path for path in (self._root / "alerts").rglob("*") if path.is_file()}
        if gone := self._known - files:
            self.trouble.append(f"vanished: {gone}")
        for path in files - self._known:
            try:
                table = pq.read_table(path, columns=["kafka_partition", "kafka_offset"])
            except Exception as error:  # noqa: BLE001 - whatever it is, a reader saw it
                self.trouble.append(f"{path}: {error}")
                continue
            self.seen.update(zip(*(column.to_pylist() for column in table.columns), strict=True))
        self._known = files
        self.trouble += [f"twice: {place}" for place, n in self.seen.items() if n > 1]
        self.looks += 1


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Kafka]:
    with Kafka.running(tmp_path / "kafka", heap_mb=512) as broker:
        yield broker


@pytest.mark.timeout(900 + 60 * KILLS)
def test_whatever_is_killed_each_alert_is_archived_once(
    tmp_path: Path, own_kafka: Kafka, topic: str, ray_cluster: LocalRay
) -> None:
    dice = random.Random(SEED)
    print(f"FINKRAY_CHAOS_SEED={SEED}")
    own_kafka.create_topic(topic, partitions=PARTITIONS)
    archive = ArchiveUnderTest(
        root=tmp_path / "archive",
        folder=tmp_path,
        bootstrap_servers=own_kafka.bootstrap_servers,
        topics=[topic],
        environment=ray_cluster.environment(),
        settings={"ingest": {"backlog_offsets": 60, "backfill_per_s": 50.0, "claim_rows": 20}},
    )
    stream = Stream(own_kafka.bootstrap_servers, topic, at_once=BACKLOG)
    archive.start()
    reader = Reader(archive.root)
    try:
        archive.wait_for_offsets(50)
        victims = itertools.islice(itertools.cycle([*KINDS, "broker", "everything"]), KILLS)
        for victim in dice.sample(order := list(victims), len(order)):
            time.sleep(dice.uniform(1.0, 6.0))
            print(f"{time.strftime('%X')} kills the {victim}", flush=True)
            _kill(victim, dice, archive, own_kafka, ray_cluster)
            assert not reader.trouble
        stream.end()
        wait_until(
            "all that was sent is in the ledger",
            lambda: archive.balance().received >= len(stream.candids),
            wait_s=400,
        )
        archive.stop()
    finally:
        archive.kill()
        reader.end()
    reader.look()
    assert not reader.trouble
    assert reader.looks > 10
    known = read_state(LocalStorage(archive.root)).state.partitions.values()
    assert any(len(partition.starts) > 1 for partition in known)

    kafka = KafkaCluster({"bootstrap.servers": own_kafka.bootstrap_servers})
    report = audit(LocalStorage(archive.root), kafka, deep="all")
    assert report.balanced, report.to_json()
    assert report.deep is not None
    assert not report.deep.findings
    assert report.archived == len(stream.candids) == sum(reader.seen.values())
    assert sorted(_candids(archive.root)) == sorted(stream.candids)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["Spark master", "app master"])
def test_what_dies_while_spark_starts_is_noticed(
    victim: str, tmp_path: Path, own_kafka: Kafka, topic: str, ray_cluster: LocalRay
) -> None:
    """The session that is being made would wait for it for ever."""
    archive = ArchiveUnderTest(
        root=tmp_path / "archive",
        folder=tmp_path,
        bootstrap_servers=own_kafka.bootstrap_servers,
        topics=[topic],
        environment=ray_cluster.environment(),
    )
    own_kafka.create_topic(topic)
    send(own_kafka.bootstrap_servers, topic, [b"poison"])
    archive.start()
    try:
        _kill(victim, random.Random(SEED), archive, own_kafka, ray_cluster)
        archive.wait_for_offsets(1, wait_s=400)
        archive.stop()
    finally:
        archive.kill()
    assert "started again" in archive.log.read_text()


def _kill(
    victim: str, dice: random.Random, archive: ArchiveUnderTest, kafka: Kafka, ray: LocalRay
) -> None:
    if victim == "broker":
        kafka.kill()
        time.sleep(dice.uniform(0.5, 3.0))
        kafka.restart()
    elif victim == "everything":
        processes = [p for find in KINDS.values() for p in find(archive, ray)]
        archive.kill()
        kafka.kill()
        for process in processes:
            _end(process)
        kafka.restart()
        archive.start()
    else:
        found = wait_until(f"a {victim} to kill", lambda: list(KINDS[victim](archive, ray)), 300)
        _end(dice.choice(found))


def _end(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _candids(root: Path) -> list[int]:
    paths = list((root / "alerts").rglob("*.parquet"))
    tables = [pq.read_table(path, columns=["candid"], partitioning=None) for path in paths]
    return [candid for table in tables for candid in table.column(0).to_pylist()]
