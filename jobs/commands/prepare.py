"""`finkray prepare`: build the JVM class-data file with which Spark starts faster."""

import queue
import tempfile
from pathlib import Path
from typing import Final

from finkray.errors import ClusterUnavailable
from finkray.host.java import find_java
from finkray.host.jvm_class_data import build_class_data, class_data_file, listing_option
from finkray.query.messages import ClaimOrder
from finkray.query.spark import JAVA_OPTION_KEYS, MicroBatch, SparkOnRay
from finkray.query.task import TaskContext
from finkray.settings.ray import RaySettings
from finkray.settings.spark import SparkSettings
from finkray.storage.opening import StorageLocation
from jobs.cluster.connect import Cluster, connected
from jobs.cluster.local_ray import start_local_ray, stop_local_ray
from jobs.commands.progress import Progress

_MICRO_BATCH_S: Final = 180.0


def prepare(progress: Progress) -> None:
    """Build the file for the Java of this machine, unless it exists.

    Raises
    ------
    FinkrayError
        Ray, Spark or Java fails.
    """
    java = find_java()
    file = class_data_file(java)
    if file.exists():
        progress.say(f"Spark's classes are in {file}")
        return
    with tempfile.TemporaryDirectory(prefix="finkray-prepare-") as name:
        folder = Path(name)
        with progress.waiting("Spark starts and lists its classes"):
            _list_classes(folder)
        with progress.waiting("Java writes them to a file"):
            build_class_data(java, folder.glob("*.classes"))
    progress.say(f"Spark's classes are in {file}; each start uses it from now on")


def _list_classes(folder: Path) -> None:
    """Start Spark on a local Ray as an archive does, and run one micro-batch."""
    settings = RaySettings(local_dashboard_port=0)
    local = start_local_ray(folder, settings)
    try:
        with connected(Cluster(local.address, local), settings):
            _run_micro_batch(local.address, listing_option(folder))
    finally:
        stop_local_ray(folder)


def _run_micro_batch(ray_address: str, java_option: str) -> None:
    batches: queue.SimpleQueue[MicroBatch] = queue.SimpleQueue()
    settings = SparkSettings(conf=dict.fromkeys(JAVA_OPTION_KEYS, java_option))
    spark = SparkOnRay("finkray-prepare", settings, batches.put)
    try:
        # The task only gets ready: its claim order is empty.
        spark.start_query(
            TaskContext(ray_address, "finkray-prepare", StorageLocation(""), spark.code_archive),
            [[[ClaimOrder(None, "", 0, "", "")]]],
        )
        (outcome,) = batches.get(timeout=_MICRO_BATCH_S).outcomes
    except queue.Empty:
        raise ClusterUnavailable(f"no micro-batch in {_MICRO_BATCH_S:.0f} s") from None
    finally:
        spark.stop()
    if outcome.failure:
        raise ClusterUnavailable(f"{outcome.failure.error_class}: {outcome.failure.message}")
