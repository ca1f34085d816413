"""Nights of both surveys with all troubles at once are archived, checked alert by alert."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from finkray.kafka.cluster import KafkaCluster
from finkray.kafka.topics import ensure_topic
from finkray.settings.simulator import SimulatorSettings
from finkray.storage.local import LocalStorage
from sim.broker.kafka import Kafka
from sim.check.archive import check
from sim.player.manifest import ManifestWriter, PlayedTopic
from sim.player.night import night
from sim.player.play import play
from sim.player.poison import KINDS
from sim.player.sender import Transactions
from tests.support.archiving import ArchiveUnderTest

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

ALERTS = {"ztf": 200, "lsst": 200}


def play_trouble(kafka: Kafka, topic: str, folder: Path, survey: str) -> int:
    """Play a night of one survey; return the number of offsets in the topic."""
    client = {"bootstrap.servers": kafka.bootstrap_servers}
    ensure_topic(client, topic, 2)
    cluster = KafkaCluster(client)
    sources = cluster.partitions(lambda name: name == topic)
    settings = SimulatorSettings(
        survey=survey,
        alerts=ALERTS[survey],
        alerts_per_visit=60,
        plane_alerts=90,
        poison=0.1,
        duplicates=0.05,
        out_of_order=0.05,
        late=0.05,
        oversize=0.03,
        schema_bump=str(ALERTS[survey] // 2),
    )
    played_topic = PlayedTopic(sources[0].cluster_id, topic, sources[0].topic_id)
    with ManifestWriter(folder, played_topic, settings.model_dump(mode="json")) as manifest:
        play(
            night(settings),
            kafka.bootstrap_servers,
            topic,
            transactions=Transactions(aborted=0.3, messages=25, seed=2),
            on_sent=manifest.add,
        )
    ends = [cluster.watermarks(topic, source.partition).high for source in sources]
    cluster.close()
    return sum(ends)


def test_all_trouble_at_once_is_archived_as_it_should_be(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, tmp_path: Path
) -> None:
    topics = {survey: f"{survey}_{topic}" for survey in ALERTS}
    offsets = {s: play_trouble(kafka, topics[s], tmp_path / f"played_{s}", s) for s in ALERTS}
    for survey in ALERTS:
        archive.wait_for_topic(topics[survey], offsets[survey])
        assert archive.balance(topics[survey]).difference == 0

    for survey, alerts in ALERTS.items():
        comparison = check(tmp_path / f"played_{survey}", LocalStorage(archive.root))
        assert comparison.good, (comparison.trouble, comparison.findings[:20])
        poisoned = {f"poison:{kind}" for kind in KINDS}
        expected = poisoned | {"duplicate", "late", "out_of_order", "oversize", "none"}
        assert expected <= comparison.trouble.keys()
        assert comparison.aborted > 0
        assert alerts <= comparison.archived <= alerts + comparison.trouble["duplicate"]
        assert comparison.dead_lettered >= len(KINDS)

    # The command agrees; and it fails and lists the alerts of a file that is missing.
    finished = simulator_check(tmp_path, "played_ztf", archive.root)
    assert (finished.returncode, "All is as it should be." in finished.stdout) == (0, True)
    files = (archive.root / "alerts" / f"topic={topics['lsst']}").rglob("*.parquet")
    lost = max(files, key=lambda path: path.stat().st_size)
    aside = lost.rename(tmp_path / "lost.parquet")
    finished = simulator_check(tmp_path, "played_lsst", archive.root, "--json")
    aside.rename(lost)
    answer: dict[str, Any] = json.loads(finished.stdout)
    assert finished.returncode == 1
    assert {finding["what"] for finding in answer["findings"]} == {"missing"}


def simulator_check(
    folder: Path, manifest: str, root: Path, *more: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "jobs.cli.main",
            "simulator",
            "check",
            manifest,
            "--archive",
            root,
            *more,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
