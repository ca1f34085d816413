"""Find the processes of an archive by their role, and kill them."""

from collections.abc import Callable, Iterator

import psutil

from finkray.host.processes import command_of
from finkray.query.authenticated_master import MASTER_PROPERTY
from jobs.cluster.local_ray import LocalRay
from tests.support.archiving import ArchiveUnderTest

Finder = Callable[[ArchiveUnderTest, LocalRay], Iterator[psutil.Process]]


def _family(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _of_ray(ray: LocalRay, *marks: str) -> Iterator[psutil.Process]:
    for process in _family(ray.process.pid):
        words = " ".join(command_of(process))
        if all(mark in words for mark in marks):
            yield process


def ingest_actors(_: ArchiveUnderTest, ray: LocalRay) -> Iterator[psutil.Process]:
    """Find the Ray actors that read Kafka."""
    return _of_ray(ray, "ray::IngestActor")


def python_workers(_: ArchiveUnderTest, ray: LocalRay) -> Iterator[psutil.Process]:
    """Find Spark's Python workers, in which the tasks run."""
    for process in _of_ray(ray, "pyspark.daemon"):
        parent = process.parent()
        if parent is not None and "pyspark.daemon" in " ".join(command_of(parent)):
            yield process


def executors(_: ArchiveUnderTest, ray: LocalRay) -> Iterator[psutil.Process]:
    """Find the JVMs of Spark's executors: those with Python workers below them."""
    for process in _of_ray(ray, "DefaultWorker"):
        if any("pyspark.daemon" in " ".join(command_of(child)) for child in process.children()):
            yield process


def executor_owners(_: ArchiveUnderTest, ray: LocalRay) -> Iterator[psutil.Process]:
    """Find the other Java workers: the one that owns the executors is among them."""
    having = {process.pid for process in executors(_, ray)}
    for process in _of_ray(ray, "DefaultWorker", "java"):
        if process.pid not in having and process.name() == "java":
            yield process


def app_masters(_: ArchiveUnderTest, ray: LocalRay) -> Iterator[psutil.Process]:
    """Find the JVM of RayDP's app master."""
    return _of_ray(ray, MASTER_PROPERTY)


def spark_masters(_: ArchiveUnderTest, ray: LocalRay) -> Iterator[psutil.Process]:
    """Find the Ray actor that keeps the app master."""
    return _of_ray(ray, "ray::AuthenticatedSparkMaster")


def drivers(archive: ArchiveUnderTest, _: LocalRay) -> Iterator[psutil.Process]:
    """Find the archive's own process."""
    if archive.process is not None:
        for process in _family(archive.process.pid):
            if "--unsupervised" in " ".join(command_of(process)):
                yield process


def driver_jvms(archive: ArchiveUnderTest, _: LocalRay) -> Iterator[psutil.Process]:
    """Find the JVM beside the driver."""
    if archive.process is not None:
        for process in _family(archive.process.pid):
            if "pyspark-shell" in " ".join(command_of(process)):
                yield process


def boards(_: ArchiveUnderTest, ray: LocalRay) -> Iterator[psutil.Process]:
    """Find the Ray actor with the last snapshot."""
    return _of_ray(ray, "ray::Board")


KINDS: dict[str, Finder] = {
    "ingest actor": ingest_actors,
    "Python worker": python_workers,
    "executor": executors,
    "executors' owner": executor_owners,
    "app master": app_masters,
    "Spark master": spark_masters,
    "driver": drivers,
    "driver's JVM": driver_jvms,
    "board": boards,
}
"""Every kind of process that the archive consists of, beside the broker."""
