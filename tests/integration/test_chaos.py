"""Processes are killed at random moments of a stream that has all trouble at once, and nobody ever
sees a trace of it.

`make chaos KILLS=200` kills more; `FINKRAY_CHAOS_SEED` repeats a night.
"""

import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from pydantic import ByteSize

from finkray.audit.audit import audit
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.read import read_state
from finkray.settings.simulator import SimulatorSettings
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from sim.check.archive import check
from sim.player import poison
from sim.player.manifest import ManifestWriter, PlayedTopic, read_manifest
from sim.player.night import night
from sim.player.pace import Pace
from sim.player.play import play
from sim.player.sender import Transactions
from sim.player.sources import Packet
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.killing import KINDS, driver_jvms
from tests.support.packets import send

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark]

KILLS = int(os.environ.get("FINKRAY_CHAOS_KILLS", "1"))
"""Of the kinds of processes, the broker, and everything at once: each of the 11 comes once before
any comes again."""
SEED = int(os.environ.get("FINKRAY_CHAOS_SEED", str(random.randrange(10**6))))
PARTITIONS = 3
GOES_ON = 200
"""An archive that has this many messages more has recovered from what was killed."""
BACKLOG = 1200
"""Messages that are there before the archive: a backfill works beside the stream all the time."""
ASKED = SimulatorSettings(
    alerts=0,
    alerts_per_visit=24,
    plane_alerts=24,
    visit_s=2.0,
    seed=SEED,
    poison=0.05,
    duplicates=0.02,
    out_of_order=0.02,
    late=0.01,
    oversize=0.01,
    oversize_bytes=ByteSize(2_000_000),
    schema_bump=str(BACKLOG + 50),
    transactions=0.3,
)


class Stream:
    """Plays a night with all trouble at once until it is told to stop, and writes down what it did.

    Its first alerts come at once, before it is made; the rest, once told to, as a telescope takes
    them, visit after visit, through whatever happens to the broker.
    """

    def __init__(self, kafka: Kafka, topic: str, manifest: Path) -> None:
        self._kafka = kafka
        self._topic = topic
        with closing(KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})) as cluster:
            self._source = cluster.partitions(lambda name: name == topic)[0]
        self._manifest = manifest
        self._packets = night(ASKED)
        self._error: Exception | None = None
        self._stop = threading.Event()
        self._ready, self._goes_on = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(120)

    def go_on(self) -> None:
        """The night begins."""
        self._goes_on.set()

    def end(self) -> int:
        """Returns once Kafka has acknowledged everything: how many offsets there are.

        Those of aborted transactions and of markers are among them.
        """
        self._stop.set()
        self._goes_on.set()
        self._thread.join(600)
        if self._error is not None:
            raise self._error
        # By a client of its own: one that knew the broker before it was killed may have forgotten
        # the partitions.
        with closing(KafkaCluster({"bootstrap.servers": self._kafka.bootstrap_servers})) as cluster:
            marks = [cluster.watermarks(self._topic, number) for number in range(PARTITIONS)]
        return sum(mark.high for mark in marks)

    def _run(self) -> None:
        where = PlayedTopic(self._source.cluster_id, self._topic, self._source.topic_id)
        try:
            with ManifestWriter(self._manifest, where, ASKED.model_dump(mode="json")) as manifest:
                self._play(manifest, Pace(), itertools.islice(self._packets, BACKLOG))
                self._ready.set()
                self._goes_on.wait()
                self._play(manifest, Pace.parse("realtime", ASKED.visit_s), self._packets)
        except Exception as error:  # noqa: BLE001 - raised where the stream is ended
            self._error = error
        finally:
            self._ready.set()

    def _play(self, manifest: ManifestWriter, pace: Pace, packets: Iterable[Packet]) -> None:
        play(
            packets,
            self._kafka.bootstrap_servers,
            self._topic,
            pace=pace,
            transactions=Transactions(aborted=ASKED.transactions, messages=20, seed=ASKED.seed),
            on_sent=manifest.add,
            stop=self._stop,
            client={"transaction.timeout.ms": 600_000, "log_level": 0},
        )


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
            time.sleep(1.0)

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
def test_whatever_is_killed_each_message_becomes_what_it_should_once(
    tmp_path: Path, own_kafka: Kafka, topic: str, ray_cluster: LocalRay
) -> None:
    dice = random.Random(SEED)
    print(f"FINKRAY_CHAOS_SEED={SEED}")
    topic = f"ztf_{topic}"
    own_kafka.create_topic(topic, partitions=PARTITIONS)
    archive = ArchiveUnderTest(
        root=tmp_path / "archive",
        folder=tmp_path,
        bootstrap_servers=own_kafka.bootstrap_servers,
        topics=[topic],
        environment=ray_cluster.environment(),
        settings={
            "kafka": {"max_message_bytes": "1 MiB"},
            "archive": {"hang_s": 20.0},
            "ingest": {
                "actors": 2,
                "backlog_offsets": 60,
                "backfill_per_s": 300.0,
                "claim_rows": 20,
            },
        },
    )
    stream = Stream(own_kafka, topic, tmp_path / "played")
    archive.start()
    reader = Reader(archive.root)
    try:
        archive.wait_for_offsets(50)
        stream.go_on()
        kinds = [*KINDS, "broker", "everything"]
        rounds = (dice.sample(kinds, len(kinds)) for _ in itertools.count())
        victims = itertools.islice(itertools.chain.from_iterable(rounds), KILLS)
        # In twos: the second one dies while the archive still recovers from the first.
        for number, victim in enumerate(victims):
            time.sleep(dice.uniform(0.0, 1.0) if number % 2 else dice.uniform(0.5, 4.0))
            print(f"{time.strftime('%X')} kills the {victim}", flush=True)
            assert archive.process is not None
            assert archive.process.poll() is None, archive.log.read_text()[-5000:]
            _kill(victim, dice, archive, own_kafka, ray_cluster)
            assert not reader.trouble
        goes_on = archive.balance().received + GOES_ON
        wait_until(
            "the archive to go on",
            lambda: _is_up(archive) and archive.balance().received >= goes_on,
            300,
        )
        hangs = _hangs_noticed(archive)
        for jvm in wait_until(
            "a JVM to hang", lambda: list(driver_jvms(archive, ray_cluster)), 300
        ):
            jvm.suspend()
        # The stream goes on meanwhile: without work nobody would miss the JVM.
        wait_until(
            "the archive to notice the JVM that hangs",
            lambda: _hangs_noticed(archive) > hangs,
            300,
        )
        sent = stream.end()
        wait_until(
            "all that was sent is in the ledger",
            lambda: archive.balance().received >= sent,
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
    assert report.received == sent

    # To the message: what is archived, what is dead and why, and nothing of what was aborted.
    found = check(tmp_path / "played", LocalStorage(archive.root))
    assert found.good, (found.trouble, found.findings[:20])
    assert report.archived == found.archived == sum(reader.seen.values())
    assert report.dead_lettered == found.dead_lettered
    kinds = {f"poison:{kind}" for kind in poison.KINDS}
    assert kinds | {"none", "duplicate", "out_of_order", "late", "oversize"} <= found.trouble.keys()
    assert found.aborted > 0
    versions = read_manifest(tmp_path / "played").messages["schema_version"].unique().to_pylist()
    assert {"3.3", "4.02"} <= set(versions)


@pytest.mark.nightly(
    "tests/integration/test_chaos.py::"
    "test_whatever_is_killed_each_message_becomes_what_it_should_once"
)
@pytest.mark.timeout(900)
def test_what_dies_while_spark_starts_is_noticed(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, ray_cluster: LocalRay
) -> None:
    """The session that is being made would wait for it for ever."""
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, [b"poison"])
    archive.start()
    started_at = 0.0
    for restarts, victim in enumerate(["Spark master", "app master"], start=1):
        # Processes of the start before may still be there.
        found = wait_until(
            f"a {victim} to kill",
            lambda victim=victim, since=started_at: [
                process
                for process in KINDS[victim](archive, ray_cluster)
                if process.create_time() > since
            ],
            300,
        )
        _end(found[0])
        wait_until(
            f"a restart after the {victim} died",
            lambda restarts=restarts: archive.log.read_text().count("restarting in") >= restarts,
            400,
        )
        started_at = time.time()
    archive.wait_for_offsets(1, wait_s=400)
    archive.stop()


def _is_up(archive: ArchiveUnderTest) -> bool:
    snapshot = archive.snapshot()
    return snapshot is not None and snapshot.state == "running"


def _hangs_noticed(archive: ArchiveUnderTest) -> int:
    text = archive.log.read_text()
    return text.count("loop has not advanced") + text.count("driver did not close within")


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
