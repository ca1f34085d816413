"""From Kafka to Parquet through Ray actors and Spark's streaming query, exactly once."""

import io
import shutil
import socket
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import fastavro
import psutil
import pyarrow.dataset as ds
import pytest

import finkray
from finkray.audit.audit import audit
from finkray.claim import TopicPartition
from finkray.status.archive import Snapshot
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.avro_cases import container, differences, long, sized
from tests.support.packets import BROKEN_2016, add_partitions, real_ztf_packets, send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

NIGHT_MS = 1_764_000_000_000  # 2025-11-24T16:00:00Z


def decoded(packet: bytes) -> dict[str, Any] | None:
    try:
        return next(fastavro.reader(io.BytesIO(packet)))  # type: ignore[return-value]
    except (IndexError, EOFError, ValueError):
        return None


def rows(
    archive: ArchiveUnderTest, topic: str, columns: list[str], kind: str = "alerts"
) -> list[dict[str, Any]]:
    """A topic's rows, read with pyarrow alone."""
    found = ds.dataset(archive.root / kind, format="parquet", partitioning="hive")
    of_topic = ds.field("topic") == topic
    listed: list[dict[str, Any]] = found.to_table(columns=columns, filter=of_topic).to_pylist()
    return listed


def files(archive: ArchiveUnderTest, topic: str) -> list[Path]:
    return list((archive.root / "alerts" / f"topic={topic}").rglob("*.parquet"))


def test_real_packets_of_every_version_arrive_as_fastavro_reads_them(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    """All public ZTF packets, several schema versions in one batch, and two broken ones."""
    packets = list(real_ztf_packets(test_data))
    kafka.create_topic(topic, partitions=2)
    sent = send(kafka.bootstrap_servers, topic, packets, partitions=2, timestamp_ms=NIGHT_MS - 300)
    archive.wait_for_topic(topic, sent)

    sheet = archive.balance(topic)
    assert (sheet.received, sheet.archived, sheet.dead_lettered, sheet.difference) == (
        sent,
        sent - BROKEN_2016,
        BROKEN_2016,
        0,
    )
    by_place = {(n % 2, n // 2): packet for n, packet in enumerate(packets)}
    checked = 0
    for file in files(archive, topic):
        # One file holds one schema version: its columns are the packet's, in the packet's types.
        for row in ds.dataset(file).to_table().to_pylist():
            expected = decoded(by_place[row["kafka_partition"], row["kafka_offset"]])
            assert expected is not None
            assert not list(differences(expected, {name: row[name] for name in expected}))
            checked += 1
    assert checked == sent - BROKEN_2016
    hours = {path.parent.relative_to(archive.root).as_posix() for path in files(archive, topic)}
    assert hours == {
        f"alerts/topic={topic}/year=2025/month=11/day=24/hour={hour}" for hour in (15, 16)
    }
    assert archive.alarms() == set()


def test_claims_of_a_trickle_share_files_and_each_alert_is_there_once(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str
) -> None:
    """An alert to each of eight partitions, until none of the load before counts any more."""
    schema = {"type": "record", "name": "one", "fields": [{"name": "candid", "type": "long"}]}
    packets = [container(schema, long(number)) for number in range(8)]
    kafka.create_topic(topic, partitions=8)
    rounds = 0
    while not shared_files(archive, topic):
        assert rounds < 40, "no claims share a file"
        rounds += 1
        send(kafka.bootstrap_servers, topic, packets, partitions=8, timestamp_ms=NIGHT_MS)
        archive.wait_for_topic(topic, 8 * rounds)
    found = rows(archive, topic, ["kafka_partition", "kafka_offset", "candid"])
    assert sorted(tuple(row.values()) for row in found) == [
        (partition, offset, partition) for partition in range(8) for offset in range(rounds)
    ]
    for partition in range(8):
        deep = audit(archive.storage, deep=f"{topic}:{partition}:0-{rounds}").deep
        assert deep is not None
        assert (deep.rows, deep.findings) == (rounds, ())


def shared_files(archive: ArchiveUnderTest, topic: str) -> set[str]:
    ledger = finkray.open_archive(archive.root).ledger().to_pylist()
    claims = [claim for claim in ledger if claim["topic"] == topic]
    return {file["path"] for claim in claims for file in claim["files"] if file["file_rows"]}


def test_a_broken_packet_is_one_dead_letter_with_its_bytes_and_a_reason(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    retyped = {"type": "record", "name": "alert", "fields": [{"name": "candid", "type": "string"}]}
    poison = [
        *(b"", None, b"hello", packets[0][:-10], packets[0][:1000]),
        container(retyped, sized(b"7")),
    ]
    values = [*packets[:3], *poison, *packets[3:6]]
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, values)
    archive.wait_for_topic(topic, len(values))
    assert archive.offsets(topic) == Counter((0, n) for n in (0, 1, 2, 9, 10, 11))
    columns = ["kafka_offset", "value", "reason", "detail"]
    found = rows(archive, topic, columns, kind="deadletters")
    found.sort(key=lambda row: row["kafka_offset"])
    assert [row["kafka_offset"] for row in found] == [3, 4, 5, 6, 7, 8]
    assert [row["value"] for row in found] == poison
    assert all(row["reason"] and len(row["detail"]) > 10 for row in found)
    # With the last of them in one table no reader could open the archive as one.
    assert found[-1]["reason"] == "other_columns"
    assert "candid (int64)" in found[-1]["detail"]
    assert "OTHER_COLUMNS" in archive.alarms()


def test_new_topics_and_partitions_are_discovered_while_it_runs(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    first, second = f"{topic}_1", f"{topic}_2"
    kafka.create_topic(first)
    send(kafka.bootstrap_servers, first, packets)
    archive.wait_for_topic(first, 12)
    kafka.create_topic(second)
    send(kafka.bootstrap_servers, second, packets)
    add_partitions(kafka.bootstrap_servers, first, 2)
    archive.wait_for_topic(second, 12)
    send(kafka.bootstrap_servers, first, packets, partitions=2)
    archive.wait_for_topic(first, 24)
    expected = {(0, n): 1 for n in range(18)} | {(1, n): 1 for n in range(6)}
    assert archive.offsets(first) == Counter(expected)
    assert archive.offsets(second) == Counter({(0, n): 1 for n in range(12)})


def test_a_topic_created_anew_is_archived_beside_the_old_one(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    """Both if the deletion was noticed, and if all happened between two discoveries."""
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets[:6])
    archive.wait_for_topic(topic, 6)
    kafka.delete_topic(topic)
    missed = f"topics or partitions were deleted in Kafka: {topic}"
    wait_until("the topic is missed", lambda: missed in archive.log.read_text())
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets[6:])
    archive.wait_for_topic(topic, 12)
    assert archive.offsets(topic) == Counter({(0, n): 2 for n in range(6)})
    assert len({row["candid"] for row in rows(archive, topic, ["candid"])}) == 12
    kafka.delete_topic(topic)
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets[:6])
    archive.wait_for_topic(topic, 18)
    assert archive.offsets(topic) == Counter({(0, n): 3 for n in range(6)})
    sources = {source for source in _sources(archive) if source.topic == topic}
    assert len({source.topic_id for source in sources}) == 3


def _sources(archive: ArchiveUnderTest) -> set[TopicPartition]:
    table = finkray.open_archive(str(archive.root)).ledger()
    columns = ["cluster_id", "topic", "topic_id", "partition"]
    return {TopicPartition(*row.values()) for row in table.select(columns).to_pylist()}


def test_a_second_archive_on_the_same_folder_is_refused(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    first = archive.process
    assert first is not None
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets)
    archive.wait_for_topic(topic, 12)
    second = archive.start()
    archive.process = first
    assert second.wait(120) == 3
    assert f"is held by process {_worker_of(first)}" in archive.log.read_text()
    send(kafka.bootstrap_servers, topic, packets)
    archive.wait_for_topic(topic, 24)
    assert archive.offsets(topic) == Counter({(0, n): 1 for n in range(24)})


def _worker_of(supervisor: subprocess.Popen[bytes]) -> int:
    (worker,) = psutil.Process(supervisor.pid).children()
    return worker.pid


def test_sparks_checkpoint_is_disposable(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    """If it is deleted, the query restarts, and no alert is lost or archived twice."""
    kafka.create_topic(topic)
    for round_ in range(1, 4):
        send(kafka.bootstrap_servers, topic, packets)
        archive.wait_for_topic(topic, 12 * round_)
        checkpoints = list(archive.folder.glob("tmp/finkray-spark-*/checkpoint-*"))
        assert checkpoints
        # What the JVM has of its own lies there too: the next driver deletes it after a kill.
        assert list(checkpoints[0].parent.glob("spark-*"))
        for checkpoint in checkpoints:
            shutil.rmtree(checkpoint)
    assert archive.offsets(topic) == Counter({(0, n): 1 for n in range(36)})


def test_no_port_runs_java_code_without_a_token(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes], ray_cluster: LocalRay
) -> None:
    """RayDP's own gateway does it for every user of the machine who finds its port."""
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets)
    archive.wait_for_topic(topic, 12)
    assert archive.process is not None
    jvms = [
        process
        for pid in (ray_cluster.process.pid, archive.process.pid)
        for process in psutil.Process(pid).children(recursive=True)
        if process.name() == "java"
    ]
    ports = {
        connection.laddr.port
        for jvm in jvms
        for connection in jvm.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    replies = {port: _ask_for_the_user(port) for port in ports}
    assert sum(b"Authentication error" in reply for reply in replies.values()) >= 2, replies
    assert not any(reply.startswith(b"!y") for reply in replies.values()), replies


def _ask_for_the_user(port: int) -> bytes:
    """Return the reply to a Py4J command that calls a method of Java."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(b"c\nz:java.lang.System\ngetProperty\nuser.name\ne\n")
        return connection.recv(100)
    return b""


def test_reading_stops_while_the_storage_refuses_and_continues_after(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    packets = list(real_ztf_packets(test_data, "20200101*"))
    kafka.create_topic(topic, partitions=2)
    send(kafka.bootstrap_servers, topic, packets[:2], partitions=2)
    archive.wait_for_topic(topic, 2)
    staging = archive.root / "staging"
    aside = archive.root / "aside"
    staging.rename(aside)
    staging.write_text("not a folder")
    sent = 2 + send(kafka.bootstrap_servers, topic, packets * 20, partitions=2)
    wait_until("the alarm", lambda: "STORAGE" in archive.alarms())
    snapshot = wait_until("the intake to stop", lambda: _paused(archive))
    assert snapshot.held_bytes <= snapshot.held_bytes_limit
    assert all(actor.held_bytes <= actor.held_bytes_limit for actor in snapshot.actors)
    staging.unlink()
    aside.rename(staging)
    archive.wait_for_topic(topic, sent)
    wait_until("the end of the alarm", lambda: "STORAGE" not in archive.alarms())
    assert sum(archive.offsets(topic).values()) == sent
    assert max(archive.offsets(topic).values()) == 1


def _paused(archive: ArchiveUnderTest) -> Snapshot | None:
    snapshot = archive.snapshot()
    paused = snapshot is not None and any(actor.paused for actor in snapshot.actors)
    return snapshot if paused else None
