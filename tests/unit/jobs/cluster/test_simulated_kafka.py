import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from finkray.errors import KafkaUnavailable
from finkray.settings.model import Settings
from finkray.settings.simulator import SimulatorSettings
from jobs.cluster.simulated_kafka import (
    kafka_folder,
    playing,
    reading_simulator,
    record_playing,
    topic_of,
    topics_of,
)


def test_the_topic_is_todays() -> None:
    topic = topic_of(SimulatorSettings())
    assert re.fullmatch(r"ztf_20\d{6}_programid1", topic)
    assert f"{datetime.now(UTC):%Y}" in topic
    assert topic_of(SimulatorSettings(topic="fixed")) == "fixed"


def test_the_survey_decides_the_topic_and_the_archive_knows_whose_it_is() -> None:
    for survey in ("ztf", "lsst"):
        settings = Settings(simulator=SimulatorSettings(survey=survey))
        assert settings.packets.survey_of(topic_of(settings.simulator)) == survey


def test_what_is_played_is_told_to_those_who_look_for_it(tmp_path: Path) -> None:
    assert playing(tmp_path) is None
    kafka_folder(tmp_path).mkdir(parents=True)
    settings = SimulatorSettings(survey="lsst")
    record_playing(tmp_path, settings, topic_of(settings))
    told = playing(tmp_path)
    assert told is not None
    assert told["topic"] == topic_of(settings)
    assert told["schema_folder"] == str(tmp_path / "simulator-schemas")


@pytest.mark.parametrize("name", ["ztf_{date}_programid1", "a.b-{date}", "fixed", "f.x"])
def test_the_archive_of_yesterday_and_today_wants_it(name: str) -> None:
    settings = SimulatorSettings(topic=name)
    wants = Settings().kafka.model_copy(update={"topics": (topics_of(settings),)}).wants
    assert wants(topic_of(settings))
    assert not wants(topic_of(settings) + "_2")
    assert not wants(topic_of(settings).replace(".", "x")) or "." not in name


def test_a_simulator_that_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(KafkaUnavailable, match="finkray start simulator"):
        reading_simulator(Settings(), tmp_path)
