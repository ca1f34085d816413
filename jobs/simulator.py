"""The simulator as a service: `python -m jobs.simulator --config conf/finkray.toml`.

A real Kafka on this machine with a night played into it. It stays when all is played, for those
who read it, and goes with the service: each start is a new cluster.
"""

import logging
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from finkray.errors import KafkaUnavailable
from finkray.settings import Settings, SimulatorSettings
from jobs.service_main import service_main
from jobs.simulated_kafka import kafka_folder, topic_of
from jobs.state import state_folder

if TYPE_CHECKING:
    from sim.kafka import Kafka
    from sim.sender import Progress

_LOG = logging.getLogger("jobs.simulator")

_PROGRESS_S: Final = 5.0

_MESSAGE_TIMEOUT_MS: Final = 30_000
"""`ray job stop` ends Kafka together with the player, which then waits so long in vain."""


def run(settings: Settings, stopping: threading.Event) -> None:
    """Start Kafka, play, and wait until told to stop.

    Raises
    ------
    SettingsError
        The packets to play are not there.
    KafkaUnavailable
        Kafka does not start, or does not take what is played.
    """
    with _kafka(kafka_folder(state_folder()), settings.simulator.kafka_port) as kafka:
        _LOG.info("Kafka answers on %s", kafka.bootstrap_servers)
        try:
            _play(settings.simulator, kafka.bootstrap_servers, stopping)
        except KafkaUnavailable as error:
            if not stopping.is_set():
                raise
            _LOG.info("the play was cut short: %s", error)
        stopping.wait()


@contextmanager
def _kafka(folder: Path, port: int) -> Iterator["Kafka"]:
    from sim.kafka import Kafka

    if folder.exists() and Kafka.find(folder) is None:
        shutil.rmtree(folder)
    kafka = Kafka.start(folder, port=port or None, die_with_parent=True)
    try:
        yield kafka
    finally:
        kafka.stop()
        shutil.rmtree(folder / "data", ignore_errors=True)


def _play(settings: SimulatorSettings, bootstrap_servers: str, stopping: threading.Event) -> None:
    from sim.alerts import AlertMaker
    from sim.pace import Pace
    from sim.play import play
    from sim.sources import from_files, made

    pace = Pace.parse(settings.pace)
    if settings.data:
        packets = from_files(Path(settings.data), in_order=pace.follows_time)
    else:
        packets = made(AlertMaker(seed=settings.seed))
    topic = topic_of(settings)
    _LOG.info("playing into %s", topic)
    played = play(
        packets,
        bootstrap_servers,
        topic,
        pace=pace,
        count=settings.alerts or None,
        partitions=settings.partitions,
        stop=stopping,
        on_progress=_tell,
        progress_every_s=_PROGRESS_S,
        client={"message.timeout.ms": _MESSAGE_TIMEOUT_MS},
    )
    _LOG.info("played %d alerts, %d bytes in all", played.alerts, played.size_bytes)


def _tell(progress: "Progress") -> None:
    _LOG.info("%d alerts played, %.0f/s", progress.alerts, progress.alerts_per_s)


if __name__ == "__main__":
    sys.exit(service_main("jobs.simulator", "Play alerts into a Kafka on this machine.", run))
