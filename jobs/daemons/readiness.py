"""When a service does its work: not when its process runs, but when it answers."""

import socket
from pathlib import Path

from finkray.kafka.cluster import KafkaCluster
from finkray.settings.model import Settings
from finkray.status.board import ARCHIVE_BOARD, read_board, service_board
from jobs.cluster.ray_jobs import Daemon, Job
from jobs.cluster.simulated_kafka import playing, running_kafka
from jobs.daemons.aggregation import last_look


def is_ready(state: Path, service: Job, settings: Settings) -> bool:
    """Whether a service that runs does its work; some are asked over Ray."""
    name = service.name
    if service.spec is not None:
        served = read_board(service_board(name), settings)
        return served is not None and (served.actors > 0 or served.last_fault != "")
    if name is Daemon.ARCHIVE:
        snapshot = read_board(ARCHIVE_BOARD, settings)
        return snapshot is not None and snapshot.state != "starting"
    if name is Daemon.UI:
        return listens(settings.ui.host, settings.ui.port)
    if name is Daemon.AGGREGATION:
        looked = last_look(state)
        return looked is not None and looked >= service.since
    return _simulator_is_ready(state)


def ready_text(state: Path, service: Job, settings: Settings) -> str:
    """One line on what a service does, or that it has ended."""
    if service.ended:
        return f"{service.name} has ended"
    if service.spec is not None:
        served = read_board(service_board(service.name), settings)
        if served is None or not served.actors:
            why = served.last_fault if served else "it does not answer"
            return f"{service.name}: it does not work yet ({why}); it is tried again and again"
        return f"{service.name}: running, {served.actors} warm, version {served.version}"
    kafka = running_kafka(state) if service.name is Daemon.SIMULATOR else None
    servers = kafka.bootstrap_servers if kafka else "an end"
    texts: dict[str, str] = {
        Daemon.ARCHIVE: (
            f"archive: running, from {settings.kafka.bootstrap_servers} to {settings.archive.uri}"
        ),
        Daemon.UI: f"ui: http://{settings.ui.host}:{settings.ui.port}",
        Daemon.SIMULATOR: f"simulator: Kafka at {servers}",
        Daemon.AGGREGATION: (
            f"aggregation: running, it counts classes by night beside {settings.archive.uri}"
        ),
    }
    return texts[service.name]


def _simulator_is_ready(state: Path) -> bool:
    kafka = running_kafka(state)
    if kafka is None:
        return False
    host, _, port = kafka.bootstrap_servers.rpartition(":")
    if not listens(host, int(port)):
        return False
    cluster = KafkaCluster({"bootstrap.servers": kafka.bootstrap_servers})
    told = playing(state)
    try:
        return told is not None and bool(cluster.partitions(lambda name: name == told["topic"]))
    finally:
        cluster.close()


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
