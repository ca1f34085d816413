"""The simulator as a service plays LSST, tells the archive where its schemas are, and leaves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finkray.packets.decoder import make_decoder
from finkray.packets.schema_folder import SchemaFolder
from finkray.settings.model import Settings
from jobs.cluster.simulated_kafka import playing, reading_simulator, running_kafka
from sim.player.manifest import read_manifest
from tests.support.archiving import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


def test_the_archive_is_told_what_is_played_and_where_its_schemas_are(tmp_path: Path) -> None:
    settings = {
        "SURVEY": "lsst",
        "ALERTS": "30",
        "ALERTS_PER_VISIT": "20",
        "SCHEMA_BUMP": "15",
        "MANIFEST": str(tmp_path / "played"),
    }
    state = tmp_path / "state"
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.daemons.simulator"],
        env={
            **os.environ,
            "FINKRAY_STATE": str(state),
            **{f"FINKRAY__SIMULATOR__{name}": value for name, value in settings.items()},
        },
        cwd=tmp_path,
    )
    try:
        wait_until("the topic is told", lambda: playing(state))
        # Whoever asks has other settings: of ZTF, which is the default.
        seen = reading_simulator(Settings(), state)
        kafka = running_kafka(state)
        assert kafka is not None
        assert seen.kafka.bootstrap_servers == kafka.bootstrap_servers
        told = playing(state)
        assert told is not None
        assert seen.kafka.wants(told["topic"])
        assert seen.packets.survey_of(told["topic"]) == "lsst"
        schemas = SchemaFolder(Path(seen.packets.schema_folder))
        assert all(schemas.find(number) for number in (1000, 1100))
        make_decoder(seen.packets, 1, {})

        played = tmp_path / "played"
        wait_until("the manifest is there", (played / "run.json").exists)
        wait_until("the play has ended", lambda: read_manifest(played).ended)
        versions = read_manifest(played).messages["schema_version"].to_pylist()
        assert (versions.count("10.0"), versions.count("11.0")) == (15, 15)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert running_kafka(state) is None


def test_a_killed_simulator_goes_on_with_the_same_kafka(tmp_path: Path) -> None:
    state = tmp_path / "state"
    environment = {
        **os.environ,
        "FINKRAY_STATE": str(state),
        "FINKRAY__SIMULATOR__ALERTS": "30",
    }
    command = [sys.executable, "-m", "jobs.daemons.simulator"]
    first = subprocess.Popen(command, env=environment, cwd=tmp_path)
    try:
        wait_until("it plays", lambda: playing(state))
        before = running_kafka(state)
        assert before is not None
        same = (before.bootstrap_servers, before.cluster_id)
    finally:
        first.kill()
        first.wait()
    wait_until("its Kafka has ended with it", lambda: running_kafka(state) is None)
    second = subprocess.Popen([*command, "--resume"], env=environment, cwd=tmp_path)
    try:
        kafka = wait_until("its Kafka runs again", lambda: running_kafka(state))
        assert (kafka.bootstrap_servers, kafka.cluster_id) == same
    finally:
        second.send_signal(signal.SIGINT)
        assert second.wait(60) == 0
    assert running_kafka(state) is None
