"""`finkray audit` finds what is missing, and `--redrive` brings it in, once."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from sim.kafka import Kafka
from tests.archiving import ArchiveUnderTest
from tests.packets import real_ztf_packets, send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]


def finkray(archive: ArchiveUnderTest, *words: str) -> tuple[int, str]:
    done = archive.finkray(*words)
    return done.returncode, done.stdout


def told(archive: ArchiveUnderTest, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(finkray(archive, "audit", "--json", *words)[1])
    return found


def offsets(archive: ArchiveUnderTest) -> Counter[int]:
    table = ds.dataset(archive.root / "alerts", format="parquet").to_table(columns=["kafka_offset"])
    return Counter(table["kafka_offset"].to_pylist())


def test_vanished_files_are_found_and_made_again(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    packets = [*real_ztf_packets(test_data, "202002*"), b"poison"]
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets)
    archive.start()
    archive.wait_for_offsets(13)
    archive.stop()
    before = {
        path: ds.dataset(path).to_table() for path in (archive.root / "alerts").rglob("*.parquet")
    }
    assert finkray(archive, "audit", "--deep", "all")[0] == 0

    for folder in ("alerts", "deadletters"):
        next((archive.root / folder).rglob("*.parquet")).unlink()
    code, text = finkray(archive, "audit")
    assert code == 1
    assert "missing" in text
    code, text = finkray(archive, "audit", "--deep", "all", "--redrive")
    assert code == 0, text
    assert offsets(archive) == Counter(range(12))
    for path, table in before.items():
        assert ds.dataset(path).to_table().equals(table)
    assert finkray(archive, "audit", "--deep", "all")[0] == 0


def test_a_stray_file_is_a_duplicate(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, real_ztf_packets(test_data, "202002*"))
    archive.start()
    archive.wait_for_offsets(12)
    archive.stop()
    path = next((archive.root / "alerts").rglob("*.parquet"))
    path.with_name("copy.parquet").write_bytes(path.read_bytes())
    code, text = finkray(archive, "audit")
    assert code == 1
    assert "stray" in text
    path.with_name("copy.parquet").unlink()
    assert finkray(archive, "audit")[0] == 0


def test_what_waits_in_kafka_is_shown_and_is_no_difference(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, test_data: Path
) -> None:
    packets = list(real_ztf_packets(test_data, "202002*"))
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, packets)
    archive.start()
    archive.wait_for_offsets(12)
    archive.stop()
    send(kafka.bootstrap_servers, topic, packets)
    sheet = told(archive)
    assert sum(part["waiting"] for part in sheet["partitions"]) == 12
    assert finkray(archive, "audit")[0] == 0
