"""LSST's alerts through the whole chain, with schemas that change in the night."""

import functools
import io
import json
import shutil
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import fastavro.schema
import pyarrow.dataset as ds
import pytest

import finkray
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.avro_cases import differences
from tests.support.packets import framed, lsst_samples, lsst_v10_frames, send
from tests.support.registry import Registry

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def frames(test_data: Path) -> list[bytes]:
    """Packets as they stood on topics, schemas 7.0 to 11.1, in order of the schemas' ids."""
    found = []
    for name in ("boom_3", "fake_pittgoogle"):
        with tarfile.open(test_data / "lsst" / f"lsst_confluent_wire_{name}.tar.xz") as tar:
            found += [content.read() for m in tar if (content := tar.extractfile(m)) is not None]
    return sorted(found, key=schema_id)


def schema_id(frame: bytes) -> int:
    return int.from_bytes(frame[1:5], "big")


def by_fastavro(frame: bytes, schemas: Path) -> Any:
    (path,) = (schemas / str(schema_id(frame) // 100) / str(schema_id(frame) % 100)).glob(
        "*.alert.avsc"
    )
    return fastavro.schemaless_reader(io.BytesIO(frame[5:]), _loaded(path))


@functools.cache
def _loaded(path: Path) -> Any:
    return fastavro.schema.load_schema(str(path))


def reasons(archive: ArchiveUnderTest) -> Counter[str]:
    folder = archive.root / "deadletters"
    # The folders are made a moment before the first file is in them.
    if not any(folder.rglob("*.parquet")):
        return Counter()
    table = ds.dataset(folder, format="parquet", partitioning="hive").to_table(columns=["reason"])
    return Counter(table.column("reason").to_pylist())


def test_a_new_schema_in_the_night(
    archive: ArchiveUnderTest,
    kafka: Kafka,
    topic: str,
    test_data: Path,
    tmp_path: Path,
    frames: list[bytes],
) -> None:
    """Schemas 3 to 10 are known; 11 comes mid-stream, and its schema only later."""
    public = test_data / "schemas" / "lsst"
    schemas = tmp_path / "schemas"
    shutil.copytree(public, schemas, ignore=shutil.ignore_patterns("11"))
    archive.settings = {
        "packets": {
            "schema_folder": str(schemas),
            "schema_retry_s": 1.0,
            "surveys": {"": "lsst"},
        }
    }
    new = [frame for frame in frames if schema_id(frame) >= 1100]
    assert (len(frames), len(new)) == (13, 2)
    kafka.create_topic(topic)
    sent = list(frames)
    send(kafka.bootstrap_servers, topic, frames)
    archive.start()
    archive.wait_for_offsets(len(frames))
    # Published a moment after they are in the ledger.
    wait_until("dead letters", lambda: reasons(archive) == {"unknown_schema": len(new)})
    wait_until("the alarm", lambda: archive.alarms() == {"UNKNOWN_SCHEMA"})
    snapshot = archive.snapshot()
    assert snapshot is not None
    known = [by_fastavro(frame, public)["diaSource"] for frame in frames if frame not in new]
    assert Counter({one.visit: one.alerts for one in snapshot.visits}) == Counter(
        source["visit"] for source in known
    )
    for one in snapshot.visits:
        of_it = {source["detector"] for source in known if source["visit"] == one.visit}
        assert (one.survey, one.detectors, one.waiting) == ("lsst", len(of_it), 0)
        assert one.first_arrival is not None
        assert one.durable_s is not None

    shutil.copytree(public / "11", schemas / "11")

    def learned() -> bool:
        send(kafka.bootstrap_servers, topic, new)
        sent.extend(new)
        return archive.balance().archived >= len(frames)

    wait_until("the new schema is noticed", learned)

    # Those that came before wait for one command, which waits for the archive to be stopped.
    snapshot = archive.snapshot()
    assert snapshot is not None
    (alarm,) = snapshot.alarms
    assert alarm.message.endswith("(1100, 1101)")

    # The real alerts too, and the sample of each schema from 3.0 on.
    real = lsst_v10_frames(test_data)
    samples = [framed(one.schema_id, one.record) for one in lsst_samples(test_data)]
    assert (len(real), len(samples)) == (107, 14)
    send(kafka.bootstrap_servers, topic, [*real, *samples])
    sent += [*real, *samples]
    archive.wait_for_offsets(len(sent))
    refused = archive.finkray("deadletters", "redrive")
    assert (refused.returncode, "finkray stop archive" in refused.stderr) == (1, True)
    archive.stop()
    before = archive.balance()
    assert before.dead_lettered >= len(new)
    for dead in (before.dead_lettered, 0):
        told = json.loads(archive.finkray("deadletters", "redrive", "--json").stdout)
        assert (told["tried"], told["alerts"]) == (dead, dead)
    audited = archive.finkray("audit", "--deep", "all")
    assert audited.returncode == 0, audited.stdout
    assert archive.balance().archived == before.received

    # Once learned, it is kept: the folder is not needed again.
    archived = archive.balance().archived
    archive.settings = {"packets": {"surveys": {"": "lsst"}}}
    send(kafka.bootstrap_servers, topic, frames)
    archive.start()
    wait_until("all of them", lambda: archive.balance().archived >= archived + len(frames))
    wait_until("the alarm has ended", lambda: archive.snapshot() and not archive.alarms())
    archive.stop()
    assert archive.balance().difference == 0

    # One view over all versions: a column that a version lacks is null there.
    columns = ["kafka_offset", "diaSource"]
    table = finkray.open_archive(str(archive.root)).dataset().to_table(columns=columns)
    assert None not in table["diaSource"].to_pylist()
    offsets = sorted(table["kafka_offset"].to_pylist())
    assert offsets == list(range(archive.balance().received))
    sent += frames
    compared = set()
    for path in (archive.root / "alerts").rglob("*.parquet"):
        for row in ds.dataset(path).to_table().to_pylist():
            expected = by_fastavro(sent[row["kafka_offset"]], public)
            assert not list(differences(expected, {name: row[name] for name in expected}))
            compared.add(row["kafka_offset"])
    assert compared == set(range(len(sent)))


def test_schemas_of_a_registry_that_rests_for_a_while(
    archive: ArchiveUnderTest,
    kafka: Kafka,
    topic: str,
    test_data: Path,
    registry: Registry,
    frames: list[bytes],
) -> None:
    (frame,) = [frame for frame in frames if schema_id(frame) == 1000]
    text = (test_data / "schemas" / "lsst" / "lsst_v10_0_single_file.avsc").read_text()
    registry.schemas[1000] = {"schema": json.dumps(json.loads(text))}
    registry.login = ("operator", "xyzzy-secret")
    registry.broken = True
    archive.settings = {
        "packets": {
            "registry_url": registry.url,
            "registry_username": "operator",
            "registry_password": "xyzzy-secret",
            "registry_options": {"max.retries": 0},
            "schema_retry_s": 1.0,
        }
    }
    kafka.create_topic(topic)
    send(kafka.bootstrap_servers, topic, [frame])
    archive.start()
    archive.wait_for_offsets(1)
    wait_until("a dead letter", lambda: reasons(archive) == {"schema_unavailable": 1})

    registry.broken = False

    def archived() -> bool:
        send(kafka.bootstrap_servers, topic, [frame])
        return archive.balance().archived > 0

    wait_until("the registry is asked again", archived)
    archive.stop()
    requests = len(registry.requested)
    archive.start()
    before = archive.balance().archived
    send(kafka.bootstrap_servers, topic, [frame] * 5)
    wait_until("it is known", lambda: archive.balance().archived >= before + 5)
    archive.stop()
    assert len(registry.requested) == requests
    assert "xyzzy-secret" not in archive.log.read_text()
