"""Long quiet, a burst, stops in the middle of a burst, and what expires while it is stopped."""

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
from finkray.audit.report import AuditReport
from finkray.driver.archiver import CLOSE_S, DRAIN_S
from finkray.driver.feeder import KEEP_WARM_S
from finkray.host.processes import command_of, running_processes
from finkray.kafka.cluster import KafkaCluster
from finkray.ledger.lease import LEASE_PATH
from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import expire, real_ztf_packets, send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(900)]

PAGE = Path(__file__).parents[3] / "docs" / "operations.md"

IDLE_S = 60.0
"""After so long without work Spark ends a Python worker (`IDLE_WORKER_TIMEOUT_NS`)."""

LOOK_S = 10.0
"""So often it looks which are (`PythonWorkerFactory.MonitorThread`)."""


@pytest.fixture(scope="module")
def burst_packets(test_data: Path) -> list[bytes]:
    return list(real_ztf_packets(test_data, "20200101*"))


@pytest.fixture(scope="module")
def night(kafka: Kafka) -> str:
    """The topic of this module."""
    topic = "chain_night"
    kafka.create_topic(topic, partitions=2)
    return topic


def in_kafka(archive: ArchiveUnderTest, topic: str) -> int:
    """Return how many alerts were sent to the topic."""
    with closing(KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})) as kafka:
        return sum(kafka.watermarks(topic, partition).high for partition in range(2))


def balanced_audit(archive: ArchiveUnderTest, *, deep: bool = False) -> AuditReport:
    kafka = KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})
    report = audit(LocalStorage(archive.root), kafka, deep="all" if deep else None)
    assert report.balanced, report.to_json()
    return report


def waiting_alerts(archive: ArchiveUnderTest, topic: str) -> int:
    """Return how many alerts wait in Kafka; each other one is in the files, once."""
    found = archive.offsets(topic)
    assert set(found.values()) == {1}
    sheet = archive.balance(topic)
    assert (sheet.received, sheet.archived) == (len(found), len(found))
    waiting = in_kafka(archive, topic) - len(found)
    # No other topic has alerts that wait.
    assert balanced_audit(archive).waiting == waiting
    return waiting


@contextmanager
def burst_going_on(
    archive: ArchiveUnderTest, topic: str, burst_packets: list[bytes]
) -> Iterator[None]:
    """Some hundred alerts in a second."""
    ending = threading.Event()

    def run() -> None:
        while not ending.wait(0.05):
            send(archive.bootstrap_servers, topic, burst_packets, partitions=2)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def test_a_burst_after_long_quiet_meets_warm_workers(
    archive: ArchiveUnderTest, night: str, burst_packets: list[bytes], ray_cluster: LocalRay
) -> None:
    """Two days of quiet are as many times a minute: what would end workers is the first."""
    send(archive.bootstrap_servers, night, burst_packets, partitions=2)
    archive.wait_for_topic(night, in_kafka(archive, night))
    wait_until("both slots are warm", lambda: len(python_workers(ray_cluster)) == 2)
    before, quiet_since_s = python_workers(ray_cluster), time.monotonic()
    the_page_for_the_shift_says_what_to_look_at(archive)
    assert KEEP_WARM_S < IDLE_S
    time.sleep(max(0.0, quiet_since_s + IDLE_S + LOOK_S + 1 - time.monotonic()))
    assert python_workers(ray_cluster) == before
    send(archive.bootstrap_servers, night, burst_packets * 10, partitions=2)
    archive.wait_for_topic(night, in_kafka(archive, night))
    assert python_workers(ray_cluster) == before
    assert waiting_alerts(archive, night) == 0


def commands_of(mark: str) -> list[list[str]]:
    """Return the words of the commands of docs/operations.md behind a mark."""
    text = PAGE.read_text()
    block = text[text.index(f"<!-- test: {mark} -->") :].split("```sh\n")[1].split("```")[0]
    return [shlex.split(line, comments=True) for line in block.splitlines()]


def the_page_for_the_shift_says_what_to_look_at(archive: ArchiveUnderTest) -> None:
    """Run the first commands of docs/operations.md; all is well, and they say so."""
    commands = commands_of("look")
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
    for process in running_processes():
        if "pyspark.daemon" not in (command_of(process)):
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


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(
            signal.SIGTERM,
            marks=pytest.mark.nightly(
                "tests/integration/one_archive/test_stops.py::"
                "test_a_stop_in_a_burst_loses_nothing_and_ends_in_time[2]"
            ),
        ),
    ],
)
def test_a_stop_in_a_burst_loses_nothing_and_ends_in_time(
    archive: ArchiveUnderTest, night: str, burst_packets: list[bytes], number: signal.Signals
) -> None:
    """SIGINT, which is Ctrl-C and what `ray job stop` sends, and SIGTERM: both drain."""
    process = archive.process
    assert process is not None
    # Where the last stop was in the middle of a burst, this start reads on there.
    send(archive.bootstrap_servers, night, burst_packets, partitions=2)
    archive.wait_for_topic(night, in_kafka(archive, night))
    assert waiting_alerts(archive, night) == 0
    stops = archive.log.read_text().count("archive has drained and stopped")
    with burst_going_on(archive, night, burst_packets[:20]):
        archive.wait_for_offsets(archive.balance(night).received + 200, topic=night)
        backup = back_up(archive)
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert process.wait(DRAIN_S + CLOSE_S) == 0, archive.log.read_text()[-3000:]
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert archive.log.read_text().count("archive has drained and stopped") == stops + 1
    assert waiting_alerts(archive, night) > 0
    assert audit(LocalStorage(backup), deep="all").balanced
    assert read_state(LocalStorage(backup)).state.last_seq > 0


def back_up(archive: ArchiveUnderTest) -> Path:
    """Back the archive up as docs/operations.md says, in a folder beside it; return that."""
    ((program, command, place),) = commands_of("backup")
    assert (program, command, place) == ("finkray", "backup", "/backup/archive")
    backup = archive.root.with_name("backup")
    done = archive.finkray(command, str(backup))
    assert done.returncode == 0, done.stdout + done.stderr
    return backup


def restored(archive: ArchiveUnderTest) -> None:
    """Replace the folder of a stopped archive by its backup."""
    backup = back_up(archive)
    archive.root.rename(archive.root.with_name("lost"))
    backup.rename(archive.root)
    look, start = commands_of("restore")
    assert (look, start) == (["finkray", "audit"], ["finkray", "start", "archive"])
    done = archive.finkray(*look[1:])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_start_after_a_stop_reads_the_rest_from_kafka_and_reports_what_expired(
    shared: ArchiveUnderTest, night: str, burst_packets: list[bytes]
) -> None:
    """The start is on a backup, in a folder that no archive has written to."""
    archive = shared
    if archive.process is not None and archive.process.poll() is None:
        archive.stop()
    assert LocalStorage(archive.root).read(LEASE_PATH) is not None
    restored(archive)
    assert LocalStorage(archive.root).read(LEASE_PATH) is None
    send(archive.bootstrap_servers, night, burst_packets, partitions=2)
    before = archive.balance(night)
    with closing(KafkaCluster({"bootstrap.servers": archive.bootstrap_servers})) as kafka:
        end = kafka.watermarks(night, 0).high
    expired = end - 4 - end_of_partition(archive, night, 0)
    assert expired > 0
    expire(archive.bootstrap_servers, night, before=end - 4)
    archive.start()
    archive.wait_for_topic(night, in_kafka(archive, night))
    assert "EXPIRED" in archive.alarms()
    archive.stop()
    sheet = archive.balance(night)
    assert (sheet.received, sheet.expired) == (in_kafka(archive, night), before.expired + expired)
    assert sheet.archived == sheet.received - sheet.expired
    found = archive.offsets(night)
    assert len(found) == sheet.archived
    assert set(found.values()) == {1}
    assert {(0, offset) for offset in range(end - 4, end)} <= found.keys()
    assert balanced_audit(archive, deep=True).waiting == 0


def end_of_partition(archive: ArchiveUnderTest, topic: str, partition: int) -> int:
    """Return the offset behind the last claim of a partition."""
    (state,) = [
        state
        for source, state in read_state(LocalStorage(archive.root)).state.partitions.items()
        if (source.topic, source.partition) == (topic, partition)
    ]
    return state.end
