"""`finkray audit --redrive` writes damaged schema files again, from messages in a real Kafka."""

from collections.abc import Callable
from pathlib import Path

import pytest

from finkray.audit.audit import audit
from finkray.kafka.cluster import KafkaCluster
from jobs.commands.audit import redrive_now
from sim.broker.kafka import Kafka
from tests.support.avro_cases import container
from tests.support.dead_letters import KNOWN, PAIR, Observatory, frame, record
from tests.support.packets import expire, send

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


def night(folder: Path, kafka: Kafka, topic: str, packet: Callable[[int], bytes]) -> Observatory:
    """Archive a claim of ten alerts that Kafka has too; damage the file of their schema."""
    values = [packet(n) for n in range(10)]
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, values)
    observatory = Observatory(folder, bootstrap_servers=kafka.bootstrap_servers)
    cluster = KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    (source,) = cluster.partitions(lambda name: name == topic)
    cluster.close()
    observatory.archive(0, values, source=source)
    (file,) = observatory.storage.files("schemas")
    whole = observatory.storage.read(file.path) or b""
    observatory.storage.replace(file.path, whole.replace(b"candid", b"candie"))
    return observatory


@pytest.mark.parametrize(
    "packet",
    [lambda n: container(PAIR, record(n)), lambda n: frame(KNOWN, n)],
    ids=["container", "frame"],
)
def test_a_damaged_schema_is_written_again(
    tmp_path: Path, kafka: Kafka, topic: str, packet: Callable[[int], bytes]
) -> None:
    observatory = night(tmp_path, kafka, topic, packet)
    (file,) = observatory.storage.files("schemas")
    report = audit(observatory.storage, deep="all")
    assert report.deep is not None
    assert [finding.path for finding in report.deep.findings] == [file.path]
    told: list[str] = []
    redrive_now(observatory.settings, told.append)
    assert told == [f"{file.path} was damaged, and is written again"]
    assert audit(observatory.storage, deep="all").balanced


def test_a_schema_that_nothing_leads_to_any_more_is_said(
    tmp_path: Path, kafka: Kafka, topic: str
) -> None:
    observatory = night(tmp_path, kafka, topic, lambda n: container(PAIR, record(n)))
    expire(kafka.bootstrap_servers, topic, before=10)
    (file,) = observatory.storage.files("schemas")
    (folder,) = observatory.storage.folders("schemas/tables")
    observatory.storage.delete(entry.path for entry in observatory.storage.files(folder))
    told: list[str] = []
    redrive_now(observatory.settings, told.append)
    (line,) = told
    assert line.startswith(f"{file.path} is damaged, and Kafka has no message any more")
