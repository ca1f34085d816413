"""`finkray audit` finds what is missing, and `--redrive` brings it in, once."""

import json
from collections import Counter
from typing import Any

import pyarrow.dataset as ds
import pytest

from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest
from tests.support.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]


def finkray(archive: ArchiveUnderTest, *words: str) -> tuple[int, str]:
    done = archive.finkray(*words)
    return done.returncode, done.stdout


def told(archive: ArchiveUnderTest, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(finkray(archive, "audit", "--json", *words)[1])
    return found


@pytest.fixture
def stopped(shared: ArchiveUnderTest) -> ArchiveUnderTest:
    """The archive when it has stopped; each test mends what it did to it."""
    if shared.process is not None and shared.process.poll() is None:
        shared.stop()
    return shared


def test_vanished_files_are_found_and_made_again(
    stopped: ArchiveUnderTest, early_topic: str
) -> None:
    archive = stopped
    alerts, dead_letters = (
        sorted(
            path for path in (archive.root / kind).rglob("*.parquet") if early_topic in str(path)
        )
        for kind in ("alerts", "deadletters")
    )
    before = {path: ds.dataset(path).to_table() for path in alerts}
    assert finkray(archive, "audit", "--deep", "all")[0] == 0

    alerts[0].unlink()
    dead_letters[0].unlink()
    code, text = finkray(archive, "audit")
    assert code == 1
    assert "missing" in text
    code, text = finkray(archive, "audit", "--deep", "all", "--redrive")
    assert code == 0, text
    assert archive.offsets(early_topic) == Counter((0, n) for n in range(12))
    for path, table in before.items():
        assert ds.dataset(path).to_table().equals(table)
    assert finkray(archive, "audit", "--deep", "all")[0] == 0


def test_a_stray_file_is_a_duplicate(stopped: ArchiveUnderTest) -> None:
    archive = stopped
    path = next((archive.root / "alerts").rglob("*.parquet"))
    path.with_name("copy.parquet").write_bytes(path.read_bytes())
    code, text = finkray(archive, "audit")
    assert code == 1
    assert "stray" in text
    path.with_name("copy.parquet").unlink()
    assert finkray(archive, "audit")[0] == 0


def test_what_waits_in_kafka_is_shown_and_is_no_difference(
    stopped: ArchiveUnderTest, kafka: Kafka, early_topic: str, packets: list[bytes]
) -> None:
    send(kafka.bootstrap_servers, early_topic, packets)
    sheet = told(stopped)
    assert sum(part["waiting"] for part in sheet["partitions"]) == 12
    assert finkray(stopped, "audit")[0] == 0
