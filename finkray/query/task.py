"""What runs in a task of the Structured Streaming query, in Spark's Python worker on an executor.

A task gets orders, fetches each claim's Arrow batch from the Ray actor that holds it, writes
it as Parquet into staging and reports. It never publishes: what a zombie or a twin of a task
leaves behind is rubbish in staging, and no reader sees it.
"""

import functools
import gc
import os
import time
import zipimport
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

import finkray
from finkray.errors import BatchGone, ClusterUnavailable, CodeMismatch
from finkray.packets.batch import AlertBatch
from finkray.packets.write_claim import write_claim
from finkray.query.messages import ClaimFailure, ClaimOrder, ClaimOutcome
from finkray.storage.opening import StorageLocation, open_storage

FETCH_TIMEOUT_S = 30.0
"""A batch comes within milliseconds from the same node and within a second from another: an
actor that is silent for so long is gone or stuck, and Kafka has the alerts still."""

OUTCOME_SCHEMA = "outcome string"
"""The schema of a task's output, as Spark reads it."""


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What every task must know; travels with the query.

    Attributes
    ----------
    ray_address
        address of the Ray cluster's GCS, host:port
    namespace
        Ray namespace of the ingest actors
    archive
        where the archive lies, reachable under this URI from every executor
    code_archive
        name of the zip in which the driver ships its finkray
    """

    ray_address: str
    namespace: str
    archive: StorageLocation
    code_archive: str


def archive_claims(context: TaskContext, batches: Iterator[pa.RecordBatch]) -> Iterator[Any]:
    """Carry out the orders of one partition of the query; for `DataFrame.mapInArrow`."""
    for batch in batches:
        outcomes = [
            carry_out(context, ClaimOrder.from_json(text)).to_json()
            for text in batch.column(0).to_pylist()
        ]
        yield pa.RecordBatch.from_pydict({"outcome": pa.array(outcomes, pa.string())})


def carry_out(context: TaskContext, order: ClaimOrder) -> ClaimOutcome:
    """Fetch and stage one claim. Whatever goes wrong is an outcome too."""
    outcome = ClaimOutcome(order.claim, order.generation, None, None, pid=os.getpid())
    try:
        outcome = replace(outcome, node_id=get_ready(context))
        if order.claim is None:
            return outcome
        begun_s = time.perf_counter()
        batch, batch_node_id = _fetch(order)
        fetched_s = time.perf_counter()
        staged = write_claim(
            batch,
            open_storage(context.archive),
            order.staging,
            attempt=f"{os.getpid()}-{time.time_ns()}",
        )
        _spare_each_task_old_garbage()
        return replace(
            outcome,
            staged=staged,
            batch_node_id=batch_node_id,
            fetch_s=fetched_s - begun_s,
            write_s=time.perf_counter() - fetched_s,
        )
    except Exception as error:  # noqa: BLE001 - the driver decides what it means
        return replace(outcome, failure=ClaimFailure.of(error))


@functools.cache
def get_ready(context: TaskContext) -> str:
    """Check the code and connect to Ray, once in the life of a worker. Returns the node id."""
    if context.code_archive not in __file__:
        raise CodeMismatch(
            f"this worker imported finkray from {Path(finkray.__file__).parent}, not from the "
            f"driver's {context.code_archive}: keep other copies of finkray off the "
            "executors' PYTHONPATH"
        )
    node_id = _connect(context)
    _spare_each_task_reading_zips_again()
    return node_id


def _spare_each_task_reading_zips_again() -> None:
    # Before each task pyspark's worker invalidates the import system's caches, for which Python
    # reads the directories of pyspark's and our zip anew: 44 % of a worker's CPU time. None of
    # them ever changes, ours has its content's hash in its name.
    zipimport.zipimporter.invalidate_caches = _nothing  # type: ignore[method-assign, assignment]


def _nothing(_: zipimport.zipimporter) -> None:
    return


@functools.cache
def _spare_each_task_old_garbage() -> None:
    # After each task pyspark's worker collects garbage, which took 29 % of its CPU time with all
    # the objects of Ray's, pandas' and pyarrow's modules: after a first claim all are loaded, and
    # are set aside.
    gc.collect()
    gc.freeze()


def _connect(context: TaskContext) -> str:
    """Attach to the raylet that started this executor, not to another one on the same host."""
    import ray

    raylet = _own_raylet()
    if not ray.is_initialized():
        ray.init(
            address=context.ray_address,
            namespace=context.namespace,
            log_to_driver=False,
            configure_logging=False,
            _node_ip_address=raylet["node_ip_address"],
            _temp_dir=raylet["temp_dir"],
        )
    node_id: str = ray.get_runtime_context().get_node_id()
    if node_id != raylet["node_id"]:
        raise ClusterUnavailable(
            f"this worker belongs to Ray node {raylet['node_id']} but attached to {node_id}"
        )
    return node_id


def _own_raylet() -> dict[str, str]:
    """The flags of the raylet above this process, from its command line."""
    pid = os.environ.get("RAY_RAYLET_PID")
    if pid is None:
        raise ClusterUnavailable("this Spark worker was not started by Ray")
    try:
        words = psutil.Process(int(pid)).cmdline()
    except psutil.NoSuchProcess as error:
        raise ClusterUnavailable(f"the raylet {pid} of this worker is gone") from error
    flags = dict(word.lstrip("-").split("=", 1) for word in words if "=" in word)
    try:
        return {name: flags[name] for name in ("node_ip_address", "node_id", "temp_dir")}
    except KeyError as error:
        raise ClusterUnavailable(f"the raylet {pid} was started without {error}") from error


def _fetch(order: ClaimOrder) -> tuple[AlertBatch, str]:
    import ray
    from ray.exceptions import GetTimeoutError, ObjectLostError, RayActorError

    try:
        actor = ray.get_actor(order.actor)
        where, (node_id, _) = ray.get(
            [actor.locate.remote(order.claim), actor.whereabouts.remote()],
            timeout=FETCH_TIMEOUT_S,
        )
        batch: AlertBatch = ray.get(where[0], timeout=FETCH_TIMEOUT_S)
    except BatchGone as error:
        raise BatchGone(f"{order.claim}: the actor {order.actor} does not hold it") from error
    except (ValueError, RayActorError, ObjectLostError, GetTimeoutError) as error:
        raise BatchGone(f"{order.claim}: the actor {order.actor} is gone: {error}") from error
    return batch, node_id
