"""What a night may bring: stops in the middle of a burst, full and read-only disks, long quiet."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from finkray.audit.audit import audit
from finkray.driver.archiver import CLOSE_S, DRAIN_S
from finkray.driver.feeder import KEEP_WARM_S
from finkray.kafka.cluster import KafkaCluster
from finkray.status.archive import Snapshot
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import real_ztf_packets, send
from tests.support.small_disk import small_disk

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"

IDLE_S = 60.0
"""After so long without work Spark ends a Python worker (`IDLE_WORKER_TIMEOUT_NS`)."""

LOOK_S = 10.0
"""So often it looks which are (`PythonWorkerFactory.MonitorThread`)."""


TOPIC = "operations_night"


@pytest.fixture(scope="module")
def packets(test_data: Path) -> list[bytes]:
    return list(real_ztf_packets(test_data, "20200101*"))


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, kafka: Kafka, ray_cluster: LocalRay
) -> Iterator[ArchiveUnderTest]:
    """An archive of one topic, whose disk stays well."""
    folder = tmp_path_factory.mktemp("operations")
    kafka.create_topic(TOPIC, partitions=2)
    one = ArchiveUnderTest(
        folder / "archive", folder, kafka.bootstrap_servers, [TOPIC], ray_cluster.environment()
    )
    yield one
    one.kill()


@pytest.fixture
def archive(shared: ArchiveUnderTest) -> ArchiveUnderTest:
    """The archive, restarted if an earlier test stopped it."""
    return shared.running()


def in_kafka(archive: ArchiveUnderTest) -> int:
    """How many alerts were sent to `TOPIC`."""
    with closing(KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})) as kafka:
        return sum(kafka.watermarks(TOPIC, partition).high for partition in range(2))


def nothing_is_lost_or_doubled(archive: ArchiveUnderTest, sent: int) -> int:
    """Each alert is in the files, once, or waits in Kafka; how many do."""
    topics = [folder.name.removeprefix("topic=") for folder in archive.root.glob("alerts/topic=*")]
    found = [count for topic in topics for count in archive.offsets(topic).values()]
    assert set(found) == {1}
    kafka = KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})
    report = audit(LocalStorage(archive.root), kafka)
    assert report.balanced
    waiting = report.waiting
    assert (report.received, report.archived) == (len(found), len(found))
    assert len(found) + waiting == sent
    return waiting


def snapshot_with(archive: ArchiveUnderTest, *codes: str) -> Snapshot:
    """The first snapshot in which one of these alarms is raised."""

    def raised() -> Snapshot | None:
        snapshot = archive.snapshot()
        found = snapshot and {alarm.code for alarm in snapshot.alarms}.intersection(codes)
        return snapshot if found else None

    raised_in: Snapshot = wait_until(f"one of the alarms {codes}", raised)
    return raised_in


def the_intake_stops(archive: ArchiveUnderTest) -> Snapshot:
    def paused() -> Snapshot | None:
        snapshot = archive.snapshot()
        stopped = snapshot is not None and any(actor.paused for actor in snapshot.actors)
        return snapshot if stopped else None

    stopped_in: Snapshot = wait_until("the intake to stop", paused)
    return stopped_in


@contextmanager
def burst_going_on(archive: ArchiveUnderTest, packets: list[bytes]) -> Iterator[None]:
    """Some hundred alerts in a second."""
    ending = threading.Event()

    def run() -> None:
        while not ending.wait(0.05):
            send(archive.bootstrap_servers, TOPIC, packets, partitions=2)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def test_a_burst_after_long_quiet_meets_warm_workers(
    archive: ArchiveUnderTest, packets: list[bytes], ray_cluster: LocalRay
) -> None:
    """Two days of quiet are as many times a minute: what would end workers is the first."""
    send(archive.bootstrap_servers, TOPIC, packets, partitions=2)
    archive.wait_for_offsets(in_kafka(archive))
    wait_until("both slots are warm", lambda: len(python_workers(ray_cluster)) == 2)
    before, quiet_since_s = python_workers(ray_cluster), time.monotonic()
    the_page_for_the_shift_says_what_to_look_at(archive)
    assert KEEP_WARM_S < IDLE_S
    time.sleep(max(0.0, quiet_since_s + IDLE_S + LOOK_S + 1 - time.monotonic()))
    assert python_workers(ray_cluster) == before
    send(archive.bootstrap_servers, TOPIC, packets * 10, partitions=2)
    archive.wait_for_topic(TOPIC, in_kafka(archive))
    assert python_workers(ray_cluster) == before
    assert nothing_is_lost_or_doubled(archive, in_kafka(archive)) == 0


def the_page_for_the_shift_says_what_to_look_at(archive: ArchiveUnderTest) -> None:
    """Run the first commands of docs/operations.md; all is well, and they say so."""
    text = PAGE.read_text()
    block = text[text.index("<!-- test: look -->") :].split("```sh\n")[1].split("```")[0]
    commands = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert len(commands) == 4
    environment = {**os.environ, **archive.environment, "FINKRAY_CONFIG": str(archive.config)}
    for command in commands:
        assert command[0] == "finkray"
        done = subprocess.run(
            [sys.executable, "-m", "jobs.cli.main", *command[1:]],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)


def python_workers(ray: LocalRay) -> set[int]:
    """The processes that Spark's executors of this Ray have forked off to run Python in."""
    workers = set()
    for process in psutil.process_iter(["cmdline"]):
        if "pyspark.daemon" not in (process.info["cmdline"] or ()):
            continue
        try:
            daemon, above = process.parent(), process.parents()
            forked = daemon is not None and "pyspark.daemon" in daemon.cmdline()
            ours = any(str(ray.folder) in word for one in above for word in one.cmdline())
        except psutil.NoSuchProcess:
            continue
        if forked and ours:
            workers.add(process.pid)
    return workers


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_a_burst_loses_nothing_and_ends_in_time(
    archive: ArchiveUnderTest, packets: list[bytes], number: signal.Signals
) -> None:
    """SIGINT, which is Ctrl-C and what `ray job stop` sends, and SIGTERM: both drain."""
    process = archive.process
    assert process is not None
    # Where the last stop was in the middle of a burst, this start reads on there.
    send(archive.bootstrap_servers, TOPIC, packets, partitions=2)
    archive.wait_for_topic(TOPIC, in_kafka(archive))
    assert nothing_is_lost_or_doubled(archive, in_kafka(archive)) == 0
    stops = archive.log.read_text().count("archive has drained and stopped")
    with burst_going_on(archive, packets[:20]):
        archive.wait_for_offsets(archive.balance().received + 200)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert process.wait(DRAIN_S + CLOSE_S) == 0, archive.log.read_text()[-3000:]
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert archive.log.read_text().count("archive has drained and stopped") == stops + 1
    assert nothing_is_lost_or_doubled(archive, in_kafka(archive)) > 0


def test_a_full_and_a_read_only_disk_are_waited_for_without_a_restart(
    tmp_path: Path, kafka: Kafka, topic: str, packets: list[bytes], ray_cluster: LocalRay
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        archive = ArchiveUnderTest(
            disk.root / "archive",
            tmp_path,
            kafka.bootstrap_servers,
            [f"^{topic}"],
            ray_cluster.environment(),
            {
                "ingest": {"held_bytes": "32 MiB", "claim_bytes": "1 MiB"},
                "archive": {"low_disk_bytes": "64 MiB"},
            },
        )
        kafka.create_topic(topic, partitions=2)
        process = archive.start()
        try:
            sent = send(kafka.bootstrap_servers, topic, packets[:2], partitions=2)
            archive.wait_for_offsets(sent)
            first = archive.snapshot()
            assert first is not None
            assert first.alarms == ()

            disk.fill()
            sent += send(kafka.bootstrap_servers, topic, packets * 20, partitions=2)
            snapshot_with(archive, "STORAGE")
            full = the_intake_stops(archive)
            assert full.held_bytes <= full.held_bytes_limit
            if disk.real:
                assert "LOW_DISK" in {alarm.code for alarm in full.alarms}
            # The night's new topic is found now, and cannot be noted in the ledger.
            kafka.create_topic(f"{topic}_new", partitions=1)
            sent += send(kafka.bootstrap_servers, f"{topic}_new", packets)
            disk.make_room()
            archive.wait_for_offsets(sent)
            wait_until("the end of the alarms", lambda: archive.alarms() == set())

            disk.refuse_writing()
            sent += send(kafka.bootstrap_servers, topic, packets, partitions=2)
            snapshot_with(archive, "STORAGE", "LEASE")
            disk.allow_writing()
            archive.wait_for_offsets(sent)
            wait_until("the end of the alarms", lambda: archive.alarms() == set())

            last = archive.snapshot()
            assert last is not None
            assert (last.epoch, last.started_at) == (first.epoch, first.started_at)
            assert process.poll() is None
            archive.stop()
            assert nothing_is_lost_or_doubled(archive, sent) == 0
        finally:
            archive.kill()
