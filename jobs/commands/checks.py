"""`finkray check`: answer yes or no to each thing that the archive needs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from finkray.errors import (
    ClusterUnavailable,
    FinkrayError,
    KafkaUnavailable,
    SettingsError,
)
from finkray.host.java import find_java
from finkray.host.ray_connection import errors_of_ray
from finkray.kafka.cluster import KafkaCluster
from finkray.settings.ingest import IngestSettings
from finkray.settings.kafka import KafkaSettings
from finkray.settings.model import Settings, load
from finkray.settings.ray import RaySettings
from finkray.storage.opening import ArchiveLocation, open_storage
from finkray.text import count_text
from jobs.cluster.archive import location_beside
from jobs.cluster.connect import find_cluster, is_on_this_machine, job_client
from jobs.cluster.simulated_kafka import reading_simulator, running_kafka, simulator_hint
from jobs.cluster.started_jobs import started_jobs
from jobs.daemons.simulator import SIMULATOR

CONNECT_TIMEOUT_S: Final = 5.0
"""A healthy Kafka answers in milliseconds; a login at a distant one takes a second or two."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer.

    Attributes
    ----------
    name
        What was checked.
    ok
        Whether the archive can use it.
    detail
        What was found, or what is wrong.
    """

    name: str
    ok: bool
    detail: str


def all_checks(config: Path | None, state: Path, *, simulator: bool = False) -> Iterator[Check]:
    """Yield each check as soon as its answer is known.

    Parameters
    ----------
    config
        The settings file, or None for the defaults and the environment.
    state
        The state folder.
    simulator
        Whether the archive is to read the simulator's Kafka, not the one of the settings.
    """
    where = str(config or "defaults and environment")
    try:
        settings = load(config)
    except FinkrayError as error:
        yield Check("settings", ok=False, detail=str(error))
        return
    yield Check("settings", ok=True, detail=where)
    yield java_check()
    if simulator:
        yield from simulator_checks(settings, state)
    else:
        hint = simulator_hint(state, "finkray check --simulator")
        for check in kafka_checks(settings.kafka):
            yield check if check.ok else replace(check, detail=check.detail + hint)
    yield from streamout_checks(settings)
    yield from storage_checks(settings.archive, settings.ingest)
    yield ray_check(state, settings.ray)


def ask(name: str, question: Callable[[], str]) -> Check:
    """Return the answer to a question; a `FinkrayError` is a no."""
    try:
        return Check(name, ok=True, detail=question())
    except FinkrayError as error:
        return Check(name, ok=False, detail=str(error))


def kafka_checks(settings: KafkaSettings) -> Iterator[Check]:
    """Check the connection and the wanted topics. Nothing is written."""
    connection = ask("kafka", lambda: _connection(settings))
    yield connection
    if connection.ok:
        yield ask("topics", lambda: _topics(settings))


def streamout_checks(settings: Settings) -> Iterator[Check]:
    """Check the connection to the Kafka of streaming out, if it is another one."""
    servers = settings.streamout.bootstrap_servers
    if servers:
        config = settings.streamout_client_config()
        yield ask("streamout kafka", lambda: _answer(config, servers))


def simulator_checks(settings: Settings, state: Path) -> Iterator[Check]:
    """Check the simulator's Kafka, if it runs; one that was started must run."""
    if running_kafka(state) is None:
        if SIMULATOR.name in started_jobs(state):
            detail = "the simulator was started, and its Kafka does not run: finkray logs simulator"
            yield Check("kafka", ok=False, detail=detail)
            return
        detail = "none runs; `finkray start archive --simulator` starts the simulator's"
        yield Check("kafka", ok=True, detail=detail)
        return
    try:
        simulated = reading_simulator(settings, state)
    except KafkaUnavailable as error:
        yield Check("kafka", ok=False, detail=str(error))
    else:
        yield from kafka_checks(simulated.kafka)


def _connection(settings: KafkaSettings) -> str:
    return _answer(settings.client_config(), settings.bootstrap_servers)


def _answer(config: Mapping[str, Any], servers: str) -> str:
    """Connect, and return a line with the id of the cluster."""
    cluster = KafkaCluster(config, CONNECT_TIMEOUT_S)
    try:
        cluster_id = cluster.cluster_id()
    except KafkaUnavailable as error:
        raise KafkaUnavailable(f"{servers}: {error}") from error
    finally:
        cluster.close()
    return f"{servers} answers, cluster {cluster_id}"


def _topics(settings: KafkaSettings) -> str:
    cluster = KafkaCluster(settings.client_config())
    try:
        partitions = cluster.partitions(settings.wants)
    finally:
        cluster.close()
    topics = sorted({partition.topic for partition in partitions})
    if not topics:
        raise KafkaUnavailable(f"no topic is named {', '.join(settings.topics)}")
    names = ", ".join(topics if len(topics) < 4 else [*topics[:2], "…", topics[-1]])
    return f"{count_text(len(topics))} with {count_text(len(partitions))} partitions: {names}"


def uri_checks(uri: str, settings: Settings) -> Iterator[Check]:
    """Check the storage of a URI, by default that of the settings.

    Parameters
    ----------
    uri
        of the storage; empty for `archive.uri`. With the scheme of that one it has its options
    settings
        of the archive

    Raises
    ------
    SettingsError
        The URI names no storage.
    """
    archive: ArchiveLocation = settings.archive
    if uri:
        archive = location_beside(settings, uri)
    try:
        yield from storage_checks(archive, settings.ingest)
    except ValueError as error:
        raise SettingsError(f"{uri}: {error}") from error


def storage_checks(archive: ArchiveLocation, ingest: IngestSettings) -> Iterator[Check]:
    """Check what the archive needs of its storage."""
    for answer in open_storage(archive).checks(int(ingest.held_bytes)):
        yield Check(answer.name, ok=answer.ok, detail=answer.detail)


def ray_check(state: Path, settings: RaySettings) -> Check:
    """Check that Ray can run jobs."""
    return ask("ray", lambda: _ray(state, settings))


def _ray(state: Path, settings: RaySettings) -> str:
    cluster = find_cluster(state, settings)
    if cluster is None:
        return "none runs; `finkray start` brings up a local one"
    if not is_on_this_machine(cluster):
        raise ClusterUnavailable(f"the head at {cluster.address} is another machine")
    client = job_client(cluster)
    with errors_of_ray():
        client.list_jobs()
    return f"a head answers at {cluster.address} and takes jobs"


def java_check() -> Check:
    """Check that there is a Java for Spark."""
    return ask("java", lambda: str(find_java().executable))
