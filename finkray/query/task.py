"""Archive claims in a task of the Structured Streaming query, in Spark's Python worker.

A task gets orders, fetches each claim's Arrow batch from the Ray actor that holds it, writes it as
Parquet into staging and reports the outcome. It never publishes: a second run of a task, or one
that outlives its driver, leaves files in staging only, where no reader looks.
"""

import functools
import gc
import os
import time
import zipimport
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

import finkray
from finkray.claim import StagedClaim
from finkray.errors import BatchGone, ClusterUnavailable, CodeMismatch
from finkray.ledger.identity import refuse_if_gone
from finkray.packets.batch import AlertBatch
from finkray.packets.write_claim import write_claims
from finkray.query.messages import ClaimFailure, ClaimOrder, ClaimOutcome, orders_from_json
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage

FETCH_TIMEOUT_S = 30.0
"""A batch arrives within milliseconds from the same node and within a second from another. An actor
that does not answer for this long is gone or hangs, and its alerts are still in Kafka."""

OUTCOME_SCHEMA = "outcome string"
"""The schema of a task's output, as Spark reads it."""


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What every task must know; pickled with the query.

    Attributes
    ----------
    ray_address
        address of the Ray cluster's GCS, host:port
    namespace
        Ray namespace of the ingest actors
    archive
        where the archive lies, reachable under this URI from every executor
    code_archive
        name of the zip with the driver's finkray
    """

    ray_address: str
    namespace: str
    archive: StorageLocation
    code_archive: str


def archive_claims(context: TaskContext, batches: Iterator[pa.RecordBatch]) -> Iterator[Any]:
    """Execute the orders of one partition of the query; for `DataFrame.mapInArrow`."""
    for batch in batches:
        outcomes = [
            outcome.to_json()
            for text in batch.column(0).to_pylist()
            for outcome in execute(context, orders_from_json(text))
        ]
        yield pa.RecordBatch.from_pydict({"outcome": pa.array(outcomes, pa.string())})


def execute(context: TaskContext, orders: Sequence[ClaimOrder]) -> list[ClaimOutcome]:
    """Fetch and stage claims that may share files; return each one's staged claim or failure.

    Claims whose batch is gone fail alone. The others are staged together, or all fail.
    """
    outcomes = [
        ClaimOutcome(order.claim, order.generation, None, None, pid=os.getpid()) for order in orders
    ]
    try:
        node_id = prepare_worker(context)
    except Exception as error:  # noqa: BLE001 - the driver decides what follows
        return [replace(outcome, failure=ClaimFailure.of(error)) for outcome in outcomes]
    fetched: list[_Fetched] = []
    done: list[ClaimOutcome] = []
    for order, prepared in zip(orders, outcomes, strict=True):
        outcome = replace(prepared, node_id=node_id)
        if order.claim is None:
            done.append(outcome)
            continue
        started_s = time.perf_counter()
        try:
            batch, batch_node_id = _fetch(order)
        except Exception as error:  # noqa: BLE001 - the same
            done.append(replace(outcome, failure=ClaimFailure.of(error)))
            continue
        fetch_s = time.perf_counter() - started_s
        fetched.append(
            _Fetched(replace(outcome, batch_node_id=batch_node_id, fetch_s=fetch_s), batch)
        )
    return done + (_stage_fetched(context, orders[0], fetched) if fetched else [])


@dataclass(frozen=True, slots=True)
class _Fetched:
    """A claim whose batch is here, and its outcome so far."""

    outcome: ClaimOutcome
    batch: AlertBatch


def _stage_fetched(
    context: TaskContext, order: ClaimOrder, fetched: Sequence[_Fetched]
) -> list[ClaimOutcome]:
    """Stage claims together; `order` is any of theirs, which name the same folder and archive."""
    started_s = time.perf_counter()
    try:
        staged = stage(open_storage(context.archive), order, [each.batch for each in fetched])
    except Exception as error:  # noqa: BLE001 - the same
        failure = ClaimFailure.of(error)
        return [replace(each.outcome, failure=failure) for each in fetched]
    _freeze_loaded_modules()
    write_s = time.perf_counter() - started_s
    return [
        replace(each.outcome, staged=claim, write_s=write_s)
        for each, claim in zip(fetched, staged, strict=True)
    ]


def stage(storage: Storage, order: ClaimOrder, batches: Sequence[AlertBatch]) -> list[StagedClaim]:
    """Write claims into staging, in shared files, if the folder is still that of the archive.

    Without its disk, which was unmounted, the folder would take files that no reader finds again.

    Raises
    ------
    StorageError
        if the folder is gone, or the storage refuses
    LedgerCorrupt
        if the folder is that of another archive
    """
    refuse_if_gone(storage, order.archive_id)
    attempt = f"{os.getpid()}-{time.time_ns()}"
    return write_claims(batches, storage, order.staging, attempt)


@functools.cache
def prepare_worker(context: TaskContext) -> str:
    """Check the code and connect to Ray, once in each worker process; return the Ray node id."""
    if context.code_archive not in __file__:
        raise CodeMismatch(
            f"this worker imported finkray from {Path(finkray.__file__).parent}, not from the "
            f"driver's {context.code_archive}: keep other copies of finkray off the "
            "executors' PYTHONPATH"
        )
    node_id = _connect(context)
    _keep_import_caches()
    return node_id


def _keep_import_caches() -> None:
    # Before each task pyspark's worker invalidates the import system's caches, so that Python reads
    # the directories of pyspark's zip and of finkray's again: 44 % of a worker's CPU time. Neither
    # ever changes: finkray's has the hash of its content in its name.
    zipimport.zipimporter.invalidate_caches = _nothing  # type: ignore[method-assign, assignment]


def _nothing(_: zipimport.zipimporter) -> None:
    return


@functools.cache
def _freeze_loaded_modules() -> None:
    # After each task pyspark's worker collects garbage, which took 29 % of its CPU time because of
    # the objects of Ray's, pandas' and pyarrow's modules. All are loaded after the first claim, and
    # are then excluded from collection.
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
    """Return the flags of the raylet that started this executor, from its command line."""
    pid = os.environ.get("RAY_RAYLET_PID")
    if pid is None:
        raise ClusterUnavailable("this Spark worker was not started by Ray")
    try:
        arguments = psutil.Process(int(pid)).cmdline()
    except psutil.NoSuchProcess as error:
        raise ClusterUnavailable(f"the raylet {pid} of this worker is gone") from error
    flags = dict(argument.lstrip("-").split("=", 1) for argument in arguments if "=" in argument)
    try:
        return {name: flags[name] for name in ("node_ip_address", "node_id", "temp_dir")}
    except KeyError as error:
        raise ClusterUnavailable(f"the raylet {pid} was started without {error}") from error


def _fetch(order: ClaimOrder) -> tuple[AlertBatch, str]:
    import ray
    from ray.exceptions import GetTimeoutError, ObjectLostError, RayActorError

    try:
        actor = ray.get_actor(order.actor)
        location, (node_id, _) = ray.get(
            [actor.locate.remote(order.claim), actor.node_and_process.remote()],
            timeout=FETCH_TIMEOUT_S,
        )
        batch: AlertBatch = ray.get(location[0], timeout=FETCH_TIMEOUT_S)
    except BatchGone as error:
        raise BatchGone(f"{order.claim}: the actor {order.actor} does not hold it") from error
    except (ValueError, RayActorError, ObjectLostError, GetTimeoutError) as error:
        raise BatchGone(f"{order.claim}: the actor {order.actor} is gone: {error}") from error
    return batch, node_id
