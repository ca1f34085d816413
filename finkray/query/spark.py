"""Run Spark on Ray: a RayDP session, and the Structured Streaming query over claims.

The query's source is Spark's in-memory stream: the driver adds orders to it, one block for each
task, and Spark forgets them once their micro-batch is committed. Nothing of it is needed after a
crash (the ledger is the truth), so each query has a new checkpoint in a temporary folder.
"""

import functools
import hashlib
import logging
import os
import shutil
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError

import finkray
from finkray.errors import ClusterUnavailable
from finkray.host.java import Java, find_java
from finkray.host.jvm_class_data import sharing_options
from finkray.host.scratch import make_scratch
from finkray.query.authenticated_master import use_authenticated_master
from finkray.query.executor_watch import ExecutorWatch
from finkray.query.messages import ClaimOrder, ClaimOutcome, orders_to_json
from finkray.query.secret_properties import passed_by_file, split_secrets
from finkray.query.task import OUTCOME_SCHEMA, TaskContext, archive_claims
from finkray.settings.spark import EXECUTOR_RESOURCE, SparkSettings

Tasks = Sequence[Sequence[Sequence[ClaimOrder]]]
"""Groups of orders for each task; the claims of a group may share files."""

log = logging.getLogger(__name__)

_OPENED_PACKAGES = (
    *("lang", "lang.invoke", "lang.reflect", "util", "util.concurrent", "nio", "io", "net"),
    *("math", "text"),
)
JAVA_OPTIONS = " ".join(
    [
        # The JVMs only plan and forward; Python does the work. The optimising compiler took half of
        # a core for minutes: without it 3450 alerts/s in place of 2350, and a start 6 s shorter.
        "-XX:TieredStopAtLevel=1",
        *(
            f"--add-opens={package}=ALL-UNNAMED"
            for package in (
                *(f"java.base/java.{name}" for name in _OPENED_PACKAGES),
                "java.base/sun.nio.ch",
                "java.sql/java.sql",
            )
        ),
    ]
)
"""Java 17 hides these packages, which Ray's and Spark's serializers use. Without the flags the app
master dies at the first call from Spark into Ray."""

_LOCAL_DIRS = "SPARK_LOCAL_DIRS"

JAVA_OPTION_KEYS = (
    "spark.driver.extraJavaOptions",
    "spark.executor.extraJavaOptions",
    "spark.ray.raydp_app_master.extraJavaOptions",
)
"""The Spark properties with the options of the three JVMs."""


def spark_properties(settings: SparkSettings, java: Java) -> dict[str, str]:
    """Return the Spark properties of the session: finkray's, overridden by the user's.

    Java options are joined, because the session does not work without finkray's. Secret properties
    of the user are left out: see `finkray.query.secret_properties`.
    """
    ours = {
        "spark.pyspark.python": sys.executable,
        f"{EXECUTOR_RESOURCE}cpu": str(settings.executor_cpus),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        # A null in a pandas column must never silently become the text 'NaN'.
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.pyspark.fallback.enabled": "false",
        "spark.sql.streaming.minBatchesToRetain": "2",
        "spark.sql.streaming.metricsEnabled": "false",
        # Spark keeps the last thousand of each for its own page: 15 kB for each micro-batch.
        "spark.ui.retainedJobs": "20",
        "spark.ui.retainedStages": "20",
        "spark.ui.retainedTasks": "500",
        "spark.sql.ui.retainedExecutions": "20",
        "spark.sql.streaming.numRecentProgressUpdates": "10",
        # Generating Java code for a plan of one text column costs more than it saves: its compiler
        # has 330 classes that no class-data-sharing file holds, and takes 0.8 s of CPU time before
        # the first alert.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        # The checkpoint is deleted at the end, so its files need no checksum files, for each of
        # which Hadoop starts a chmod process: two of four in a micro-batch.
        "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
        # A speculative copy of a task would only write the same claim twice.
        "spark.speculation": "false",
        # The executor's current directory may hold another copy of finkray.
        "spark.executorEnv.PYTHONSAFEPATH": "1",
        # pyspark asks Python's own distutils for version numbers; setuptools' takes 0.15 s to load.
        "spark.executorEnv.SETUPTOOLS_USE_DISTUTILS": "stdlib",
        # One thread for each task slot: the slots share the cores already.
        "spark.executorEnv.OMP_NUM_THREADS": "1",
        "spark.executorEnv.ARROW_IO_THREADS": "1",
    }
    for name, amount in settings.resources.items():
        ours[f"{EXECUTOR_RESOURCE}{name}"] = str(amount)
    theirs, _ = split_secrets(settings.conf)
    properties = {**ours, **theirs}
    ours_of_java = " ".join([JAVA_OPTIONS, *sharing_options(java)])
    for key in JAVA_OPTION_KEYS:
        properties[key] = f"{ours_of_java} {theirs.get(key, '')}".strip()
    return properties


def pack_code(folder: Path) -> Path:
    """Zip the driver's finkray for the executors, under a name with the hash of its content.

    On several nodes, and under a Ray job's working directory, an executor would import another copy
    of finkray, or none.
    """
    root = Path(finkray.__file__).parent
    files = sorted(root.rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    path = folder / f"finkray-{digest.hexdigest()[:16]}.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for file in files:
            packed.write(file, Path("finkray") / file.relative_to(root))
    return path


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """One micro-batch of the query: its outcomes, and how long it took in seconds."""

    batch_id: int
    outcomes: tuple[ClaimOutcome, ...]
    duration_s: float


@contextmanager
def _calls_into_java() -> Iterator[None]:
    try:
        yield
    except (Py4JError, OSError) as error:
        raise ClusterUnavailable(f"Spark's driver is gone: {error}") from error


@contextmanager
def _local_folder(folder: Path, settings: SparkSettings) -> Iterator[None]:
    """Let a Spark driver that starts in this block have its temporary folders below one.

    A JVM that is killed leaves them: 2 MB, which are deleted with the folder.
    """
    if _LOCAL_DIRS in os.environ or "spark.local.dir" in settings.conf:
        yield
        return
    os.environ[_LOCAL_DIRS] = str(folder)
    try:
        yield
    finally:
        del os.environ[_LOCAL_DIRS]


class SparkOnRay:
    """A Spark session whose executors are Ray actors, with the streaming query over claims.

    Parameters
    ----------
    app_name
        of the session; unique among the archives of the Ray cluster; shown in Ray's dashboard
    settings
        the `[spark]` section
    on_micro_batch
        called with each micro-batch from a thread of Spark's callback server
    """

    def __init__(
        self,
        app_name: str,
        settings: SparkSettings,
        on_micro_batch: Callable[[MicroBatch], None],
    ) -> None:
        import ray
        import raydp

        java = find_java()
        os.environ.update(java.environment())
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        # Spark listens where Ray does: on the loopback address of a local cluster.
        os.environ.setdefault("SPARK_LOCAL_IP", ray.util.get_node_ip_address())
        self._on_micro_batch = on_micro_batch
        self._folder = make_scratch("spark")
        self._queries = 0
        self._query: Any = None
        self._source: Any = None
        self._sending = threading.Lock()
        use_authenticated_master()
        _, secrets = split_secrets(settings.conf)
        try:
            with passed_by_file(secrets, self._folder), _local_folder(self._folder, settings):
                self._session = raydp.init_spark(
                    app_name,
                    num_executors=settings.executors,
                    executor_cores=settings.executor_cores,
                    executor_memory=settings.executor_memory,
                    # That mode is for converting Spark's data to Ray's, which finkray does not do.
                    fault_tolerant_mode=False,
                    configs=spark_properties(settings, java),
                )
        except Exception as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ClusterUnavailable(f"Spark did not start on Ray: {error}") from error
        self._executors = ExecutorWatch(time.monotonic())
        self._session.sparkContext.setLogLevel("ERROR")
        code = pack_code(self._folder)
        self._session.sparkContext.addPyFile(str(code))
        self.code_archive = code.name

    def start_query(self, context: TaskContext, first: Tasks) -> None:
        """Start the query, or restart it after it failed; earlier orders are forgotten.

        The `first` orders, by tasks, become one micro-batch. If they were sent after the start, the
        query would take those of the first task as a micro-batch of their own.

        Raises
        ------
        ClusterUnavailable
            if Spark's driver is gone
        """
        with _calls_into_java():
            self._start_query(context, first)

    def _start_query(self, context: TaskContext, first: Tasks) -> None:
        from pyspark.sql import DataFrame

        self._queries += 1
        jvm = self._session._jvm  # noqa: SLF001 - pyspark has no public access to the JVM
        self._jvm = jvm
        self._source = jvm.org.apache.spark.sql.execution.streaming.MemoryStream.apply(
            jvm.org.apache.spark.sql.Encoders.STRING(),
            self._session._jsparkSession.sqlContext(),  # noqa: SLF001 - the same
        )
        self.send_orders(first)
        stage = functools.partial(archive_claims, context)

        def run(frame: DataFrame, batch_id: int) -> None:
            started_s = time.perf_counter()
            rows = frame.mapInArrow(stage, OUTCOME_SCHEMA).collect()
            outcomes = tuple(ClaimOutcome.from_json(row.outcome) for row in rows)
            self._on_micro_batch(MicroBatch(batch_id, outcomes, time.perf_counter() - started_s))

        self._query = (
            DataFrame(self._source.toDF(), self._session)
            .writeStream.queryName("finkray-archive")
            .foreachBatch(run)
            .option("checkpointLocation", str(self._folder / f"checkpoint-{self._queries}"))
            .trigger(processingTime="0 seconds")
            .start()
        )

    def send_orders(self, tasks: Tasks) -> None:
        """Add orders to the stream: one block, and so one task, for each sequence of groups.

        Raises
        ------
        ClusterUnavailable
            if Spark's driver is gone
        """
        with self._sending, _calls_into_java():
            for groups in tasks:
                lines = [orders_to_json(orders) for orders in groups]
                block = self._jvm.org.apache.spark.api.python.PythonUtils.toSeq(lines)
                self._source.addData(block)

    def query_failure(self) -> str | None:
        """Return why the query is not running, or None if it is.

        Raises
        ------
        ClusterUnavailable
            if Spark itself is gone, or its executors are not restarted
        """
        with _calls_into_java():
            if self._query is None or self._query.isActive:
                self._check_executors()
                return None
            return f"the streaming query ended: {self._query.exception()}"

    def _check_executors(self) -> None:
        # The count includes the driver.
        count = self._session.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1  # noqa: SLF001
        self._executors.note(count, time.monotonic())

    def stop(self) -> None:
        """End the query, the session and its executors."""
        import raydp

        try:
            if self._query is not None:
                self._query.stop()
        except Exception as error:  # noqa: BLE001 - py4j raises many kinds when the JVM is gone
            log.warning("streaming query could not be stopped: %s", error)
        try:
            raydp.stop_spark()
        except Exception as error:  # noqa: BLE001 - the same
            log.warning("Spark could not be stopped: %s", error)
        shutil.rmtree(self._folder, ignore_errors=True)
