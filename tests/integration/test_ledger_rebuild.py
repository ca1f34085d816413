"""What docs/operations.md says about a lost ledger, done as it stands there, on a real Kafka."""

import os
import shlex
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from finkray.audit.audit import audit
from finkray.claim import TopicPartition
from finkray.kafka.cluster import KafkaCluster
from sim.broker.kafka import Kafka
from tests.support import commands
from tests.support.avro_cases import container, long, sized
from tests.support.dead_letters import PAIR, Observatory
from tests.support.packets import send

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
VALUES = [container(PAIR, long(n) + sized(b"x")) for n in range(30)]


def steps() -> list[list[str]]:
    """Return the commands of the section, without those that need Ray."""
    block = PAGE.read_text().split("<!-- test: rebuild -->\n```sh\n")[1].split("```")[0]
    words = [shlex.split(line, comments=True) for line in block.splitlines()]
    assert [each[1] for each in words] == ["stop", "ledger", "ledger", "audit", "audit", "start"]
    return [each[1:] for each in words if each[1] not in ("stop", "start")]


def night(folder: Path, kafka: Kafka, topic: str) -> tuple[Observatory, TopicPartition]:
    """Three claims, with a message that does not decode."""
    values = [*VALUES[:14], b"poison", *VALUES[15:]]
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, values)
    observatory = Observatory(folder, bootstrap_servers=kafka.bootstrap_servers)
    cluster = KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    (source,) = cluster.partitions(lambda name: name == topic)
    cluster.close()
    for first in (0, 10, 20):
        observatory.archive(first, values[first : first + 10], source=source)
    return observatory, source


def test_a_lost_ledger_comes_back_and_kafka_fills_the_rest(
    tmp_path: Path, kafka: Kafka, topic: str
) -> None:
    """The ledger is gone, and so is the file of one claim."""
    observatory, _ = night(tmp_path, kafka, topic)
    storage = observatory.storage
    assert audit(storage, deep="all").balanced
    storage.delete_folder("ledger")
    gone = [file.path for file in storage.walk("alerts") if f"-{10:020d}-" in file.path]
    assert len(gone) == 1
    storage.delete(gone)
    environment = {**os.environ, "FINKRAY_STATE": str(tmp_path / "state")}
    for words in steps():
        done = commands.finkray(
            *words, "-c", str(observatory.config), folder=tmp_path, environment=environment
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        if words == ["ledger", "rebuild"]:
            assert "claims come from files" in done.stdout
            assert "offsets are in no file" in done.stdout
    report = audit(storage, deep="all")
    assert report.balanced
    assert (report.archived, report.dead_lettered, report.expired) == (29, 1, 0)
    table = ds.dataset(storage.root / "alerts", format="parquet").to_table()
    assert sorted(table["candid"].to_pylist()) == [n for n in range(30) if n != 14]
