"""`finkray audit` finds what is missing, and `--redrive` brings it in, once."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow.dataset as ds
import pytest

from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest
from tests.support.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

TOPIC = "ztf_redrive"


def finkray(archive: ArchiveUnderTest, *words: str) -> tuple[int, str]:
    done = archive.finkray(*words)
    return done.returncode, done.stdout


def told(archive: ArchiveUnderTest, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(finkray(archive, "audit", "--json", *words)[1])
    return found


@pytest.fixture(scope="module")
def archive(
    tmp_path_factory: pytest.TempPathFactory,
    kafka: Kafka,
    ray_cluster: LocalRay,
    packets: list[bytes],
) -> Iterator[ArchiveUnderTest]:
    """It has taken in twelve alerts and a dead letter, and has left.

    Each test mends what it did to it.
    """
    folder = tmp_path_factory.mktemp("redrive")
    one = ArchiveUnderTest(
        folder / "archive", folder, kafka.bootstrap_servers, [TOPIC], ray_cluster.environment()
    )
    kafka.create_topic(TOPIC)
    send(kafka.bootstrap_servers, TOPIC, [*packets, b"poison"])
    one.start()
    one.wait_for_offsets(13)
    one.stop()
    yield one
    one.kill()


def test_vanished_files_are_found_and_made_again(archive: ArchiveUnderTest) -> None:
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
    assert archive.offsets() == Counter((0, n) for n in range(12))
    for path, table in before.items():
        assert ds.dataset(path).to_table().equals(table)
    assert finkray(archive, "audit", "--deep", "all")[0] == 0


def test_a_stray_file_is_a_duplicate(archive: ArchiveUnderTest) -> None:
    path = next((archive.root / "alerts").rglob("*.parquet"))
    path.with_name("copy.parquet").write_bytes(path.read_bytes())
    code, text = finkray(archive, "audit")
    assert code == 1
    assert "stray" in text
    path.with_name("copy.parquet").unlink()
    assert finkray(archive, "audit")[0] == 0


def test_what_waits_in_kafka_is_shown_and_is_no_difference(
    archive: ArchiveUnderTest, kafka: Kafka, packets: list[bytes]
) -> None:
    send(kafka.bootstrap_servers, TOPIC, packets)
    sheet = told(archive)
    assert sum(part["waiting"] for part in sheet["partitions"]) == 12
    assert finkray(archive, "audit")[0] == 0
