"""LSST's alerts through the whole chain, with schemas that change in the night.

One archive, which is started twice; each test goes on where the one before it ended.
"""

import functools
import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import fastavro.schema
import pyarrow.dataset as ds
import pytest

import finkray
from jobs.cluster.local_ray import LocalRay
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.avro_cases import differences
from tests.support.packets import framed, lsst_samples, lsst_v10_frames, send
from tests.support.registry import Registry, running_registry

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


@dataclass
class Night:
    """An archive with a schema folder and a registry, and what was sent to its topics."""

    archive: ArchiveUnderTest
    kafka: Kafka
    registry: Registry
    public: Path
    schemas: Path
    """Folder with the schemas that the archive knows: 3 to 10 at first."""
    sent: list[bytes] = field(default_factory=list)
    """Frames on the topic `formats_lsst`, by offset."""

    def send(self, frames: Sequence[bytes]) -> None:
        """Send frames of LSST."""
        send(self.kafka.bootstrap_servers, LSST, frames)
        self.sent += frames

    def reasons(self, topic: str) -> Counter[str]:
        """Count the dead letters of a topic by reason."""
        folder = self.archive.root / "deadletters"
        # The folders are made a moment before the first file is in them.
        if not any(folder.rglob("*.parquet")):
            return Counter()
        found = ds.dataset(folder, format="parquet", partitioning="hive")
        table = found.to_table(columns=["reason"], filter=ds.field("topic") == topic)
        return Counter(table.column("reason").to_pylist())


LSST, REGISTERED = "formats_lsst", "formats_registered"

REGISTERED_ID = 4711
"""A schema that the registry has, and the folder has not."""

SECRET = "xyzzy-secret"


@pytest.fixture(scope="module")
def night(
    tmp_path_factory: pytest.TempPathFactory, test_data: Path, kafka: Kafka, ray_cluster: LocalRay
) -> Iterator[Night]:
    """The archive, which runs."""
    folder = tmp_path_factory.mktemp("formats")
    public, schemas = test_data / "schemas" / "lsst", folder / "schemas"
    shutil.copytree(public, schemas, ignore=shutil.ignore_patterns("11"))
    with running_registry() as registry:
        text = (public / "lsst_v10_0_single_file.avsc").read_text()
        registry.schemas[REGISTERED_ID] = {"schema": json.dumps(json.loads(text))}
        registry.login = ("operator", SECRET)
        archive = ArchiveUnderTest(
            folder / "archive",
            folder,
            kafka.bootstrap_servers,
            [LSST, REGISTERED],
            ray_cluster.environment(),
        )
        archive.settings = {"packets": packet_settings(registry, schema_folder=str(schemas))}
        for topic in (LSST, REGISTERED):
            kafka.create_topic(topic)
        archive.start()
        yield Night(archive, kafka, registry, public, schemas)
        archive.kill()


def packet_settings(registry: Registry, **more: str) -> dict[str, Any]:
    return {
        "schema_retry_s": 1.0,
        "surveys": {"": "lsst"},
        "registry_url": registry.url,
        "registry_username": "operator",
        "registry_password": SECRET,
        "registry_options": {"max.retries": 0},
        **more,
    }


def registered(frames: Sequence[bytes]) -> bytes:
    """Return an alert of schema 10.0 whose frame names the schema of the registry."""
    (frame,) = [frame for frame in frames if schema_id(frame) == 1000]
    return framed(REGISTERED_ID, frame[5:])


def test_a_new_schema_in_the_night(night: Night, test_data: Path, frames: list[bytes]) -> None:
    """Schemas 3 to 10 are known; 11 comes mid-stream, and its schema only later."""
    archive = night.archive
    new = [frame for frame in frames if schema_id(frame) >= 1100]
    assert (len(frames), len(new)) == (13, 2)
    night.send(frames)
    archive.wait_for_topic(LSST, len(frames))
    wait_until("dead letters", lambda: night.reasons(LSST) == {"unknown_schema": len(new)})
    wait_until("the alarm", lambda: archive.alarms() == {"UNKNOWN_SCHEMA"})
    snapshot = archive.snapshot()
    assert snapshot is not None
    known = [by_fastavro(frame, night.public)["diaSource"] for frame in frames if frame not in new]
    assert Counter({one.visit: one.alerts for one in snapshot.visits}) == Counter(
        source["visit"] for source in known
    )
    for one in snapshot.visits:
        of_it = {source["detector"] for source in known if source["visit"] == one.visit}
        assert (one.survey, one.detectors, one.waiting) == ("lsst", len(of_it), 0)
        assert one.first_arrival is not None
        assert one.durable_s is not None

    shutil.copytree(night.public / "11", night.schemas / "11")

    def learned() -> bool:
        night.send(new)
        return archive.balance().archived >= len(frames)

    wait_until("the new schema is noticed", learned)
    snapshot = archive.snapshot()
    assert snapshot is not None
    (alarm,) = snapshot.alarms
    assert alarm.message.endswith("(1100, 1101)")

    # The real alerts too, and the sample of each schema from 3.0 on.
    real = lsst_v10_frames(test_data)
    samples = [framed(one.schema_id, one.record) for one in lsst_samples(test_data)]
    assert (len(real), len(samples)) == (107, 14)
    night.send([*real, *samples])
    archive.wait_for_topic(LSST, len(night.sent))


def test_schemas_of_a_registry_that_rests_for_a_while(night: Night, frames: list[bytes]) -> None:
    archive, servers = night.archive, night.kafka.bootstrap_servers
    night.registry.broken = True
    send(servers, REGISTERED, [registered(frames)])
    archive.wait_for_topic(REGISTERED, 1)
    wait_until("a dead letter", lambda: night.reasons(REGISTERED) == {"schema_unavailable": 1})

    night.registry.broken = False

    def archived() -> bool:
        send(servers, REGISTERED, [registered(frames)])
        return archive.balance(REGISTERED).archived > 0

    wait_until("the registry is asked again", archived)
    assert SECRET not in archive.log.read_text()


def test_alerts_of_a_schema_that_came_late_wait_for_one_command(night: Night) -> None:
    """It waits for the archive to be stopped."""
    archive = night.archive
    refused = archive.finkray("deadletters", "redrive")
    assert (refused.returncode, "finkray stop archive" in refused.stderr) == (1, True)
    archive.stop()
    before = archive.balance()
    assert before.dead_lettered >= 3
    for dead in (before.dead_lettered, 0):
        told = json.loads(archive.finkray("deadletters", "redrive", "--json").stdout)
        assert (told["tried"], told["alerts"]) == (dead, dead)
    audited = archive.finkray("audit", "--deep", "all")
    assert audited.returncode == 0, audited.stdout
    assert archive.balance().archived == before.received


def test_a_schema_that_was_learned_is_kept(night: Night, frames: list[bytes]) -> None:
    """The folder is not needed again, and the registry is not asked again."""
    archive, requests = night.archive, len(night.registry.requested)
    archive.settings = {"packets": packet_settings(night.registry)}
    night.send(frames)
    received = archive.balance(REGISTERED).received
    sent = send(night.kafka.bootstrap_servers, REGISTERED, [registered(frames)] * 5)
    archive.start()
    archive.wait_for_topic(LSST, len(night.sent))
    archive.wait_for_topic(REGISTERED, received + sent)
    wait_until("no alarm", lambda: archive.snapshot() and not archive.alarms())
    archive.stop()
    sheet = archive.balance()
    assert (sheet.difference, sheet.dead_lettered, sheet.archived) == (0, 0, sheet.received)
    assert len(night.registry.requested) == requests
    assert SECRET not in archive.log.read_text()


def test_one_view_has_the_alerts_of_all_schemas(night: Night) -> None:
    """A column that a version lacks is null there."""
    root = night.archive.root
    topic = ds.field("kafka_topic") == LSST
    columns = ["kafka_offset", "diaSource"]
    table = finkray.open_archive(str(root)).dataset().to_table(columns=columns, filter=topic)
    assert None not in table["diaSource"].to_pylist()
    assert sorted(table["kafka_offset"].to_pylist()) == list(range(len(night.sent)))
    compared = set()
    for path in (root / "alerts").rglob("*.parquet"):
        for row in ds.dataset(path).to_table(filter=topic).to_pylist():
            expected = by_fastavro(night.sent[row["kafka_offset"]], night.public)
            assert not list(differences(expected, {name: row[name] for name in expected}))
            compared.add(row["kafka_offset"])
    assert compared == set(range(len(night.sent)))
