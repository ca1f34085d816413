"""Where the simulator's Kafka is: agreed between the service and those who look for it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from finkray.errors import KafkaUnavailable
from finkray.settings import Settings, SimulatorSettings

if TYPE_CHECKING:
    from sim.kafka import Kafka


def kafka_folder(state: Path) -> Path:
    """The home of the simulator's Kafka."""
    return state / "simulator"


def topic_of(settings: SimulatorSettings) -> str:
    """The topic that is played into; today's, if the settings leave the date open."""
    return settings.topic.replace("{date}", f"{datetime.now(UTC):%Y%m%d}")


def topics_of(settings: SimulatorSettings) -> str:
    """A name or pattern that means the simulator's topics of any date."""
    if "{date}" not in settings.topic:
        return settings.topic
    before, _, after = settings.topic.partition("{date}")
    return "^" + before.replace(".", r"\.") + r"\d{8}" + after.replace(".", r"\.") + "$"


def running_kafka(state: Path) -> "Kafka | None":
    """The simulator's Kafka, if one runs."""
    from sim.kafka import Kafka

    folder = kafka_folder(state)
    return Kafka.find(folder) if folder.exists() else None


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
    real = settings.kafka
    simulated = type(real)(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=(topics_of(settings.simulator),),
        refresh_s=real.refresh_s,
        max_message_bytes=real.max_message_bytes,
    )
    return settings.model_copy(update={"kafka": simulated})
