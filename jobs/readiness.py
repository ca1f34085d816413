"""When a service does its work: not when its process runs, but when it answers."""

import socket
from pathlib import Path

from finkray.ingest.kafka import KafkaCluster
from finkray.monitor.board import read_snapshot
from finkray.serving.board import read_service_snapshot
from finkray.settings.model import Settings
from jobs.services import Service, ServiceName
from jobs.simulated_kafka import playing, running_kafka


def is_ready(state: Path, service: Service, settings: Settings) -> bool:
    """Whether a service that runs does its work; some are asked over Ray."""
    name = service.name
    if service.spec is not None:
        served = read_service_snapshot(settings, name)
        return served is not None and (served.actors > 0 or served.last_fault != "")
    if name is ServiceName.ARCHIVE:
        snapshot = read_snapshot(settings)
        return snapshot is not None and snapshot.state != "starting"
    if name is ServiceName.UI:
        return listens(settings.ui.host, settings.ui.port)
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


def ready_text(state: Path, service: Service, settings: Settings) -> str:
    """One line on what a service does, or that it has ended."""
    if service.ended:
        return f"{service.name} has ended"
    if service.spec is not None:
        served = read_service_snapshot(settings, service.name)
        if served is None or not served.actors:
            why = served.last_fault if served else "it does not answer"
            return f"{service.name}: it does not work yet ({why}); it is tried again and again"
        return f"{service.name}: running, {served.actors} warm, version {served.version}"
    if service.name is ServiceName.UI:
        return f"ui: http://{settings.ui.host}:{settings.ui.port}"
    if service.name is ServiceName.SIMULATOR:
        kafka = running_kafka(state)
        return f"simulator: Kafka at {kafka.bootstrap_servers if kafka else 'an end'}"
    return f"archive: running, from {settings.kafka.bootstrap_servers} to {settings.archive.uri}"


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
