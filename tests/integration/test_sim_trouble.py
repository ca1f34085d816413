"""A play with all trouble at once on a real Kafka: the manifest says what a consumer reads."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from finkray.errors import SettingsError
from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.topics import ensure_topic
from finkray.settings.simulator import SimulatorSettings
from sim.broker.kafka import Kafka
from sim.player.manifest import ManifestWriter, PlayedTopic, read_manifest, read_objects
from sim.player.night import night
from sim.player.play import Played, play
from sim.player.sender import Transactions

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

PARTITIONS = 3
TROUBLE: dict[str, Any] = {
    "poison": 0.1,
    "duplicates": 0.1,
    "out_of_order": 0.1,
    "late": 0.1,
    "oversize": 0.01,
}


def play_night(
    kafka: Kafka, topic: str, folder: Path, asked: SimulatorSettings, aborted: float | None
) -> Played:
    client = {"bootstrap.servers": kafka.bootstrap_servers}
    ensure_topic(client, topic, PARTITIONS)
    cluster = KafkaCluster(client)
    source = cluster.partitions(lambda name: name == topic)[0]
    cluster.close()
    where = PlayedTopic(source.cluster_id, topic, source.topic_id)
    transactions = None if aborted is None else Transactions(aborted, messages=20, seed=1)
    with ManifestWriter(folder, where, asked.model_dump(mode="json")) as manifest:
        return play(
            night(asked),
            kafka.bootstrap_servers,
            topic,
            transactions=transactions,
            on_sent=manifest.add,
        )


def read_all(kafka: Kafka, topic: str, isolation: str) -> dict[tuple[int, int], Message]:
    """Everything on the topic, by its place, up to the end of each partition."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": "t",
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "fetch.message.max.bytes": 20_000_000,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found, ends = {}, 0
    try:
        while ends < PARTITIONS:
            message = consumer.poll(30)
            assert message is not None
            if message.error() is not None:
                ends += 1
            else:
                found[message.partition(), message.offset()] = message
    finally:
        consumer.close()
    return found


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_the_manifest_is_what_a_consumer_reads(
    kafka: Kafka, topic: str, tmp_path: Path, survey: str
) -> None:
    asked = SimulatorSettings(
        survey=survey,
        alerts=300,
        alerts_per_visit=40,
        plane_alerts=60,
        schema_bump="150",
        **TROUBLE,
    )
    played = play_night(kafka, topic, tmp_path / "played", asked, aborted=0.3)
    manifest = read_manifest(tmp_path / "played")
    assert manifest.ended
    rows = {(row["partition"], row["offset"]): row for row in manifest.messages.to_pylist()}
    assert len(rows) == len(manifest.messages)
    committed = {place: row for place, row in rows.items() if not row["aborted"]}
    assert 0 < len(committed) == played.alerts < len(rows)

    # What is committed is there once; what was aborted only for those who look at everything.
    assert read_all(kafka, topic, "read_committed").keys() == committed.keys()
    messages = read_all(kafka, topic, "read_uncommitted")
    assert messages.keys() == rows.keys()
    for place, row in rows.items():
        value = messages[place].value()
        assert len(value or b"") == row["size_bytes"]
        assert (None if value is None else hashlib.sha256(value).hexdigest()) == row["sha256"]
        assert messages[place].timestamp()[1] == row["create_ms"]

    # Every alert of the night came once, and was aborted as often as its transaction was.
    proper = [r for r in committed.values() if not r["reasons"] and r["trouble"] != "duplicate"]
    candids = [packet.candid for packet in night(asked) if packet.trouble == ""]
    assert len({row["candid"] for row in proper}) == len(proper) == 300
    assert set(candids) <= {row["candid"] for row in proper}
    aborted = Counter(row["sha256"] for row in rows.values() if row["aborted"])
    assert not aborted - Counter(row["sha256"] for row in committed.values())
    versions = Counter(row["schema_version"] for row in proper)
    assert sorted(versions.values()) == [150, 150]
    kinds = {row["trouble"].split(":")[0] for row in rows.values()}
    assert {"", "poison", "duplicate", "out_of_order", "late", "oversize"} <= kinds

    objects = read_objects(tmp_path / "played").to_pylist()
    assert {row["object_id"] for row in proper} == {row["object_id"] for row in objects}
    assert len({row["object_id"] for row in objects}) == len(objects)
    known = {row["object_id"]: row for row in objects}
    assert all(known[row["object_id"]]["kind"] for row in proper)
    assert {"RR Lyrae star", "asteroid"} <= {row["kind"] for row in objects}
    for row in objects:
        assert (row["period_days"] is not None) == (
            row["kind"] in ("RR Lyrae star", "Mira star", "eclipsing binary")
        )


def test_without_transactions_nothing_is_aborted(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    asked = SimulatorSettings(alerts=30, alerts_per_visit=10)
    played = play_night(kafka, topic, tmp_path / "played", asked, aborted=None)
    messages = read_manifest(tmp_path / "played").messages
    assert len(messages) == played.alerts == 30
    assert not any(messages["aborted"].to_pylist())
    assert set(messages["trouble"].to_pylist()) == {""}


def test_a_manifest_of_a_play_that_was_killed_says_so(tmp_path: Path) -> None:
    with ManifestWriter(tmp_path / "played", PlayedTopic("c", "t", "i"), {"alerts": 1}):
        assert not read_manifest(tmp_path / "played").ended
        told = json.loads((tmp_path / "played" / "run.json").read_text())
        assert told["asked"] == {"alerts": 1}
    assert read_manifest(tmp_path / "played").ended
    with pytest.raises(SettingsError, match="not empty"):
        ManifestWriter(tmp_path / "played", PlayedTopic("c", "t", "i"), {})
    with pytest.raises(SettingsError, match="no manifest"):
        read_manifest(tmp_path)
