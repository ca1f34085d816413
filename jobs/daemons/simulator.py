"""The simulator as a job: `python -m jobs.daemons.simulator --config conf/finkray.toml`.

It starts a real Kafka on this machine and plays a night into it. Kafka stays when everything is
played, so that it can be read, and ends with the job: each start is a new cluster. After a kill
(`--resume`) the same cluster comes up again, on the same port and with what it has, and the night
is played again behind that; not if there is a manifest, which tells what was played.
"""

import logging
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from finkray.errors import FinkrayError, KafkaUnavailable, SettingsError
from finkray.host.daemon import daemon_parser, run_daemon, stop_event
from finkray.host.home import expanded
from finkray.host.ports import LOOPBACK, listens
from finkray.settings.model import Settings, load
from finkray.settings.simulator import SimulatorSettings
from jobs.cluster.job import Daemon, Job
from jobs.cluster.simulated_kafka import (
    kafka_folder,
    playing,
    record_playing,
    running_kafka,
    schema_folder,
    topic_of,
)
from jobs.cluster.state import state_folder

if TYPE_CHECKING:
    from sim.broker.kafka import Kafka
    from sim.player.manifest import ManifestWriter
    from sim.player.sender import Progress

_LOG = logging.getLogger("jobs.daemons.simulator")

_PROGRESS_S: Final = 5.0

_MESSAGE_TIMEOUT_MS: Final = 30_000
"""`ray job stop` ends Kafka together with the player, which then waits this long in vain."""


def run(settings: Settings, stopping: threading.Event, *, resume: bool = False) -> None:
    """Start Kafka, play, and wait until `stopping` is set.

    Parameters
    ----------
    settings
        All settings.
    stopping
        Set to stop it.
    resume
        Whether to go on with the Kafka of a simulator that was killed.

    Raises
    ------
    SettingsError
        The packets to play are not there.
    KafkaUnavailable
        Kafka does not start, or does not accept what is played.
    """
    from sim.player.manifest import refuse_used

    state = state_folder()
    simulator = settings.simulator
    if simulator.manifest and not resume:
        refuse_used(Path(simulator.manifest))
    with _kafka(kafka_folder(state), simulator.kafka_port, resume=resume) as kafka:
        _LOG.info("Kafka answers on %s", kafka.bootstrap_servers)
        if resume and simulator.manifest:
            _LOG.warning(
                "simulator was restarted and plays nothing more: its manifest tells what was played"
            )
            stopping.wait()
            return
        try:
            _play(simulator, kafka.bootstrap_servers, state, stopping)
        except KafkaUnavailable as error:
            if not stopping.is_set():
                raise
            _LOG.info("playing was interrupted: %s", error)
        stopping.wait()


@contextmanager
def _kafka(folder: Path, port: int, *, resume: bool) -> Iterator["Kafka"]:
    from sim.broker.kafka import Kafka

    if not resume and folder.exists() and Kafka.find(folder) is None:
        shutil.rmtree(folder)
    kafka = Kafka.start(folder, port=port or None, die_with_parent=True)
    try:
        yield kafka
    finally:
        kafka.stop()
        shutil.rmtree(folder / "data", ignore_errors=True)


def _play(
    settings: SimulatorSettings, bootstrap_servers: str, state: Path, stopping: threading.Event
) -> None:
    from finkray.kafka.topics import ensure_topic
    from sim.player.night import night
    from sim.player.pace import Pace
    from sim.player.play import play
    from sim.player.sender import Transactions
    from sim.surveys import SURVEYS

    topic = topic_of(settings)
    write_schemas = SURVEYS[settings.survey].write_schemas
    folder = schema_folder(settings, state)
    if write_schemas is not None and not settings.data:
        write_schemas(folder)
        _LOG.info("wrote the schemas of survey %s to %s", settings.survey, folder)
    record_playing(state, settings, topic)
    client: dict[str, object] = {"bootstrap.servers": bootstrap_servers}
    ensure_topic(client, topic, settings.partitions)
    with _manifest(settings, client, topic) as manifest:
        _LOG.info("playing into %s", topic)
        transactions = Transactions(aborted=settings.transactions, seed=settings.seed)
        played = play(
            night(settings, folder),
            bootstrap_servers,
            topic,
            pace=Pace.parse(settings.pace, settings.visit_s),
            transactions=transactions if settings.transactions else None,
            on_sent=manifest.add if manifest else None,
            stop=stopping,
            on_progress=_log_progress,
            progress_every_s=_PROGRESS_S,
            client={"message.timeout.ms": _MESSAGE_TIMEOUT_MS},
        )
    _LOG.info("played %d messages, %d bytes in all", played.alerts, played.size_bytes)


def _manifest(
    settings: SimulatorSettings, client: dict[str, object], topic: str
) -> "AbstractContextManager[ManifestWriter | None]":
    from finkray.kafka.cluster import KafkaCluster
    from sim.player.manifest import ManifestWriter, PlayedTopic

    if not settings.manifest:
        return nullcontext()
    cluster = KafkaCluster(client)
    try:
        source = cluster.partitions(lambda name: name == topic)[0]
    finally:
        cluster.close()
    where = PlayedTopic(source.cluster_id, topic, source.topic_id)
    return ManifestWriter(Path(settings.manifest), where, settings.model_dump(mode="json"))


def _log_progress(progress: "Progress") -> None:
    _LOG.info("%d messages played, %.0f/s", progress.alerts, progress.alerts_per_s)


def _check_start(settings: Settings) -> None:
    data, port = settings.simulator.data, settings.simulator.kafka_port
    if data and not expanded(data).exists():
        raise SettingsError(f"simulator.data: there is no {data}")
    if port and listens(LOOPBACK, port):
        raise FinkrayError(
            f"something listens on {LOOPBACK}:{port} already: set simulator.kafka_port to another "
            "port, or to 0 for any free one"
        )


def _is_ready(_job: Job, _settings: Settings, state: Path) -> bool:
    from finkray.kafka.cluster import KafkaCluster

    kafka, played = running_kafka(state), playing(state)
    if kafka is None or played is None:
        return False
    host, _, port = kafka.bootstrap_servers.rpartition(":")
    if not listens(host, int(port)):
        return False
    cluster = KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    try:
        return bool(cluster.partitions(lambda name: name == played["topic"]))
    finally:
        cluster.close()


def _ready_text(_job: Job, _settings: Settings, state: Path) -> str:
    kafka = running_kafka(state)
    return f"simulator: Kafka at {kafka.bootstrap_servers}" if kafka else "simulator has ended"


SIMULATOR: Final = Daemon(
    name="simulator",
    module="jobs.daemons.simulator",
    about="plays alerts into a Kafka on this machine",
    is_ready=_is_ready,
    ready_text=_ready_text,
    check_start=_check_start,
    resumes=True,
    old_modules=("jobs.simulator",),
)


def main() -> int:
    """Play alerts; return the exit code."""
    parser = daemon_parser(SIMULATOR.module, "Play alerts into a Kafka on this machine.")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the Kafka of one that was killed"
    )
    return run_daemon(
        SIMULATOR.module,
        parser,
        lambda options: run(
            load(options.config), stop_event(options.exit_after), resume=options.resume
        ),
        name=SIMULATOR.name,
    )


if __name__ == "__main__":
    sys.exit(main())
