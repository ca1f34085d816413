"""From Kafka to Parquet through Ray actors and Spark's streaming query, exactly once."""

import io
import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import psutil
import pyarrow.dataset as ds
import pytest

import finkray
from finkray.claim import TopicPartition
from finkray.status import Snapshot
from sim.kafka import Kafka
from tests.archiving import ArchiveUnderTest, wait_until
from tests.packets import BROKEN_2016, add_partitions, real_ztf_packets, send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

NIGHT_MS = 1_764_000_000_000  # 2025-11-24T16:00:00Z


def decoded(packet: bytes) -> dict[str, Any] | None:
    try:
        return next(fastavro.reader(io.BytesIO(packet)))  # type: ignore[return-value]
    except (IndexError, EOFError, ValueError):
        return None


def rows(archive: ArchiveUnderTest, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """All rows, read as somebody would who has pyarrow and nothing of ours."""
    found = ds.dataset(archive.root / "alerts", format="parquet", partitioning="hive")
    listed: list[dict[str, Any]] = found.to_table(columns=columns).to_pylist()
    return listed


def offsets(archive: ArchiveUnderTest) -> Counter[tuple[str, int, int]]:
    columns = ["kafka_topic", "kafka_partition", "kafka_offset"]
    return Counter(tuple(row.values()) for row in rows(archive, columns))  # type: ignore[misc]


def test_real_packets_of_every_version_arrive_as_fastavro_reads_them(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    """All public ZTF packets, several schema versions in one batch, and two broken ones."""
    packets = list(real_ztf_packets(test_data))
    kafka.create_topic(topic, partitions=2)
    sent = send(kafka.bootstrap_servers, topic, packets, partitions=2, timestamp_ms=NIGHT_MS - 300)
    archive.start()
    archive.wait_for_offsets(sent)
    archive.stop()

    sheet = archive.balance()
    assert (sheet.received, sheet.archived, sheet.dead_lettered, sheet.difference) == (
        sent,
        sent - BROKEN_2016,
        BROKEN_2016,
        0,
    )
    by_place = {(n % 2, n // 2): packet for n, packet in enumerate(packets)}
    checked = 0
    for file in _files(archive):
        # One file holds one schema version: its columns are the packet's, in the packet's types.
        for row in ds.dataset(file).to_table().to_pylist():
            expected = decoded(by_place[row["kafka_partition"], row["kafka_offset"]])
            assert expected is not None
            assert {name: row[name] for name in expected} == _without_nan_trouble(expected, row)
            checked += 1
    assert checked == sent - BROKEN_2016
    hours = {path.parent.relative_to(archive.root).as_posix() for path in _files(archive)}
    assert hours == {
        f"alerts/topic={topic}/year=2025/month=11/day=24/hour={hour}" for hour in (15, 16)
    }


def _files(archive: ArchiveUnderTest) -> list[Path]:
    return [path for path in (archive.root / "alerts").rglob("*") if path.is_file()]


def _without_nan_trouble(expected: Any, found: Any) -> Any:
    """The expected value, with NaN replaced by the found one where both are NaN."""
    if isinstance(expected, dict):
        return {k: _without_nan_trouble(v, (found or {}).get(k)) for k, v in expected.items()}
    if isinstance(expected, list):
        return [_without_nan_trouble(a, b) for a, b in zip(expected, found or [], strict=True)]
    both_nan = expected != expected and found != found  # noqa: PLR0124
    return found if both_nan else expected


def test_a_broken_packet_is_one_dead_letter_with_its_bytes_and_a_reason(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    good = list(real_ztf_packets(test_data, "202002*"))
    poison = [b"", None, b"hello", good[0][:-10], good[0][:1000]]
    values = [*good[:3], *poison, *good[3:6]]
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, values)
    archive.start()
    archive.wait_for_offsets(len(values))
    archive.stop()
    assert offsets(archive) == Counter((topic, 0, n) for n in (0, 1, 2, 8, 9, 10))
    letters = ds.dataset(archive.root / "deadletters", format="parquet", partitioning="hive")
    found = sorted(letters.to_table().to_pylist(), key=lambda row: row["kafka_offset"])
    assert [row["kafka_offset"] for row in found] == [3, 4, 5, 6, 7]
    assert [row["value"] for row in found] == poison
    assert all(row["reason"] and len(row["detail"]) > 10 for row in found)


def test_it_goes_on_where_it_was_and_takes_new_topics_and_partitions(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    packets = list(real_ztf_packets(test_data, "202002*"))
    archive.topics = [f"^{topic}"]
    kafka.create_topic(f"{topic}_1", partitions=1)
    send(kafka.bootstrap_servers, f"{topic}_1", packets)
    archive.start()
    archive.wait_for_offsets(12)
    kafka.create_topic(f"{topic}_2", partitions=1)
    send(kafka.bootstrap_servers, f"{topic}_2", packets)
    add_partitions(kafka.bootstrap_servers, f"{topic}_1", 2)
    archive.wait_for_offsets(24)
    send(kafka.bootstrap_servers, f"{topic}_1", packets, partitions=2)
    archive.wait_for_offsets(36)
    archive.stop()

    send(kafka.bootstrap_servers, f"{topic}_2", packets)
    archive.start()
    archive.wait_for_offsets(48)
    archive.stop()
    expected = Counter(
        {(f"{topic}_1", 0, n): 1 for n in range(18)}
        | {(f"{topic}_1", 1, n): 1 for n in range(6)}
        | {(f"{topic}_2", 0, n): 1 for n in range(24)}
    )
    assert offsets(archive) == expected


def test_a_topic_made_anew_is_archived_beside_the_old_one(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    packets = list(real_ztf_packets(test_data, "202002*"))
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets[:6])
    archive.start()
    archive.wait_for_offsets(6)
    kafka.delete_topic(topic)
    wait_until("the topic is missed", lambda: "NO_TOPIC" in archive.alarms())
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets[6:])
    archive.wait_for_offsets(12)
    archive.stop()
    assert offsets(archive) == Counter({(topic, 0, n): 2 for n in range(6)})
    candids = {row["candid"] for row in rows(archive, ["candid"])}
    assert len(candids) == 12
    sources = {TopicPartition(*source) for source in _sources(archive)}
    assert len({source.topic_id for source in sources}) == 2


def _sources(archive: ArchiveUnderTest) -> set[tuple[str, str, str, int]]:
    table = finkray.open_archive(str(archive.root)).ledger()
    columns = ["cluster_id", "topic", "topic_id", "partition"]
    return {tuple(row.values()) for row in table.select(columns).to_pylist()}


def test_a_second_archive_on_the_same_folder_is_refused(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    packets = list(real_ztf_packets(test_data, "202002*"))
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets)
    first = archive.start()
    archive.wait_for_offsets(12)
    second = archive.start()
    assert second.wait(120) == 3
    assert f"is held by process {_worker_of(first)}" in archive.log.read_text()
    archive.process = first
    archive.stop()
    assert max(offsets(archive).values()) == 1


def _worker_of(supervisor: subprocess.Popen[bytes]) -> int:
    (worker,) = psutil.Process(supervisor.pid).children()
    return worker.pid


def test_sparks_checkpoint_is_disposable(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path, tmp_path: Path
) -> None:
    """Deleted under the running query: it is started anew, and nothing is lost or doubled."""
    packets = list(real_ztf_packets(test_data, "202002*"))
    (tmp_path / "tmp").mkdir()
    archive.environment = {**archive.environment, "TMPDIR": str(tmp_path / "tmp")}
    kafka.create_topic(topic)
    archive.start()
    for round_ in range(1, 4):
        send(kafka.bootstrap_servers, topic, packets)
        archive.wait_for_offsets(12 * round_)
        for checkpoint in (tmp_path / "tmp").glob("finkray-spark-*/checkpoint-*"):
            shutil.rmtree(checkpoint)
    archive.stop()
    assert offsets(archive) == Counter({(topic, 0, n): 1 for n in range(36)})


def test_a_refusing_storage_stops_the_intake_and_is_waited_for(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    packets = list(real_ztf_packets(test_data, "20200101*"))
    kafka.create_topic(topic, partitions=2)
    archive.settings = {"ingest": {"held_bytes": "32 MiB", "claim_bytes": "1 MiB"}}
    archive.start()
    send(kafka.bootstrap_servers, topic, packets[:2], partitions=2)
    archive.wait_for_offsets(2)
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
    archive.wait_for_offsets(sent)
    wait_until("the end of the alarm", lambda: "STORAGE" not in archive.alarms())
    archive.stop()
    assert sum(offsets(archive).values()) == sent
    assert max(offsets(archive).values()) == 1


def _paused(archive: ArchiveUnderTest) -> Snapshot | None:
    snapshot = archive.snapshot()
    paused = snapshot is not None and any(actor.paused for actor in snapshot.actors)
    return snapshot if paused else None


def test_the_ray_job_is_what_stops_it_too(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    """SIGTERM drains as Ctrl-C does, and no process of it is left."""
    packets = list(real_ztf_packets(test_data, "202002*"))
    kafka.create_topic(topic)
    process = archive.start()
    send(kafka.bootstrap_servers, topic, packets)
    archive.wait_for_offsets(12)
    send(kafka.bootstrap_servers, topic, packets)
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(120) == 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert json.loads((archive.root / "ledger" / "lease.json").read_text()) is not None
