"""Find the simulator's Kafka: what the simulator records, and what commands read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from finkray.errors import KafkaUnavailable
from finkray.host.records import read_record, write_private
from finkray.settings.model import Settings
from finkray.settings.simulator import SimulatorSettings

if TYPE_CHECKING:
    from sim.broker.kafka import Kafka


_PLAYING: Final = "playing.json"
_RECORD: Final = TypeAdapter(dict[str, str])
_ADVICE: Final = "`finkray stop simulator` and `finkray start simulator` write it anew"


def kafka_folder(state: Path) -> Path:
    """Return the folder of the simulator's Kafka."""
    return state / "simulator"


def topic_of(settings: SimulatorSettings) -> str:
    """Return the topic to play into; that of today, if the settings leave the date open."""
    return settings.topic_pattern.replace("{date}", f"{datetime.now(UTC):%Y%m%d}")


def topics_of(settings: SimulatorSettings) -> str:
    """Return a name or pattern that matches the simulator's topics of any date."""
    pattern = settings.topic_pattern
    if "{date}" not in pattern:
        return pattern
    before, _, after = pattern.partition("{date}")
    return "^" + before.replace(".", r"\.") + r"\d{8}" + after.replace(".", r"\.") + "$"


def schema_folder(settings: SimulatorSettings, state: Path) -> Path:
    """Return the folder in which the simulator writes LSST's schemas."""
    return Path(settings.schema_folder) if settings.schema_folder else state / "simulator-schemas"


def record_playing(state: Path, settings: SimulatorSettings, topic: str) -> None:
    """Record what is played, for commands that have other settings."""
    record = {"topic": topic, "topics": topics_of(settings), "survey": settings.survey}
    schemas = str(schema_folder(settings, state))
    playing = kafka_folder(state) / _PLAYING
    write_private(playing, json.dumps({**record, "schema_folder": schemas}))


def playing(state: Path) -> dict[str, str] | None:
    """Return what is played: `topic`, `topics` (a name or pattern), `survey`, `schema_folder`."""
    return read_record(kafka_folder(state) / _PLAYING, _RECORD.validate_json, _ADVICE)


def running_kafka(state: Path) -> "Kafka | None":
    """Return the simulator's Kafka, or None if it does not run."""
    from sim.broker.kafka import Kafka

    folder = kafka_folder(state)
    return Kafka.find(folder) if folder.exists() else None


def simulator_hint(state: Path, command: str) -> str:
    """Return a hint for an error of the settings' Kafka; empty unless the simulator's runs.

    Parameters
    ----------
    state
        The state folder.
    command
        The command that reads the simulator's Kafka.
    """
    if running_kafka(state) is None:
        return ""
    return (
        ". The simulator's Kafka runs, and this command used another one: "
        f"did you mean `{command}`?"
    )


@contextmanager
def settings_of_kafka(
    settings: Settings, state: Path, command: str, *, simulator: bool
) -> Iterator[Settings]:
    """Yield the settings with the Kafka that a command is to use, and add a hint to its errors.

    Parameters
    ----------
    settings, state
        The settings as they were read, and the state folder.
    command
        The command that reads the simulator's Kafka.
    simulator
        Whether to use the simulator's Kafka.
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
    """Return the settings with the simulator's Kafka in place of the one they name.

    Raises
    ------
    KafkaUnavailable
        It does not run.
    """
    kafka = running_kafka(state)
    if kafka is None:
        raise KafkaUnavailable("the simulator's Kafka does not run: finkray start simulator")
    played = playing(state)
    if played is None:
        raise KafkaUnavailable("the simulator's Kafka runs and nothing is played yet: try again")
    real, packets = settings.kafka, settings.packets
    simulated = type(real)(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=(played["topics"],),
        refresh_s=real.refresh_s,
        max_message_bytes=real.max_message_bytes,
    )
    if played["survey"] == "lsst" and not packets.schema_folder:
        packets = packets.model_copy(update={"schema_folder": played["schema_folder"]})
    return settings.model_copy(update={"kafka": simulated, "packets": packets})
