"""Where the simulator's Kafka is: agreed between the service and those who look for it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from finkray.errors import KafkaUnavailable
from finkray.settings.model import Settings
from finkray.settings.simulator import SimulatorSettings

if TYPE_CHECKING:
    from sim.broker.kafka import Kafka


_PLAYING = "playing.json"


def kafka_folder(state: Path) -> Path:
    """The home of the simulator's Kafka."""
    return state / "simulator"


def topic_of(settings: SimulatorSettings) -> str:
    """The topic that is played into; today's, if the settings leave the date open."""
    return settings.topic_pattern.replace("{date}", f"{datetime.now(UTC):%Y%m%d}")


def topics_of(settings: SimulatorSettings) -> str:
    """A name or pattern that means the simulator's topics of any date."""
    pattern = settings.topic_pattern
    if "{date}" not in pattern:
        return pattern
    before, _, after = pattern.partition("{date}")
    return "^" + before.replace(".", r"\.") + r"\d{8}" + after.replace(".", r"\.") + "$"


def schema_folder(settings: SimulatorSettings, state: Path) -> Path:
    """Where the simulator writes LSST's schemas."""
    return Path(settings.schema_folder) if settings.schema_folder else state / "simulator-schemas"


def tell_playing(state: Path, settings: SimulatorSettings, topic: str) -> None:
    """Write down what is played, for those who look for it with other settings."""
    told = {"topic": topic, "topics": topics_of(settings), "survey": settings.survey}
    schemas = str(schema_folder(settings, state))
    playing = kafka_folder(state) / _PLAYING
    beside = playing.with_suffix(".new")
    beside.write_text(json.dumps({**told, "schema_folder": schemas}), encoding="utf-8")
    beside.replace(playing)


def playing(state: Path) -> dict[str, str] | None:
    """What is played: `topic`, `topics` (a name or pattern), `survey`, `schema_folder`."""
    try:
        told: dict[str, str] = json.loads((kafka_folder(state) / _PLAYING).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return told


def running_kafka(state: Path) -> "Kafka | None":
    """The simulator's Kafka, if one runs."""
    from sim.broker.kafka import Kafka

    folder = kafka_folder(state)
    return Kafka.find(folder) if folder.exists() else None


def simulator_hint(state: Path, command: str) -> str:
    """What to add where the settings' Kafka does not answer: nothing, unless the simulator's runs.

    Parameters
    ----------
    state
        The state folder.
    command
        The one that would have read the simulator's.
    """
    if running_kafka(state) is None:
        return ""
    return f". The simulator's Kafka runs, and another is asked: did you mean `{command}`?"


@contextmanager
def meant_kafka(
    settings: Settings, state: Path, command: str, *, simulator: bool
) -> Iterator[Settings]:
    """The settings with the Kafka that a command is to ask, and a hint if it asks the wrong one.

    Parameters
    ----------
    settings, state
        The settings as they are, and the state folder.
    command
        What reads the simulator's Kafka.
    simulator
        Whether that is meant.
    """
    if simulator:
        yield reading_simulator(settings, state)
        return
    try:
        yield settings
    except KafkaUnavailable as error:
        if hint := simulator_hint(state, command):
            raise KafkaUnavailable(f"{error}{hint}") from error
        raise


def reading_simulator(settings: Settings, state: Path) -> Settings:
    """The settings with the simulator's Kafka in place of the one they name.

    Raises
    ------
    KafkaUnavailable
        It does not run.
    """
    kafka = running_kafka(state)
    if kafka is None:
        raise KafkaUnavailable("the simulator's Kafka does not run: finkray start simulator")
    told = playing(state)
    if told is None:
        raise KafkaUnavailable("the simulator's Kafka runs and nothing is played yet: try again")
    real, packets = settings.kafka, settings.packets
    simulated = type(real)(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=(told["topics"],),
        refresh_s=real.refresh_s,
        max_message_bytes=real.max_message_bytes,
    )
    if told["survey"] == "lsst" and not packets.schema_folder:
        packets = packets.model_copy(update={"schema_folder": told["schema_folder"]})
    return settings.model_copy(update={"kafka": simulated, "packets": packets})
