"""Feed the streaming query with claims, and restart it when it fails."""

import logging
import time
from collections.abc import Callable, Sequence

from finkray.driver.claim_queue import ClaimQueue, split_by_cost
from finkray.driver.instructions import Dispatch
from finkray.driver.trickle import Trickle, groups_of
from finkray.errors import ClusterUnavailable
from finkray.query.messages import ClaimOrder
from finkray.query.raydp_master import RaydpMaster
from finkray.query.spark import MicroBatch, SparkOnRay, Tasks
from finkray.query.task import TaskContext
from finkray.settings.model import Settings
from finkray.storage.opening import absolute

KEEP_WARM_S = 20.0
"""Spark ends Python workers after a minute without work; a new one costs seconds."""

STALL_S = 60.0
"""If the query has orders and no micro-batch ends for this long, Spark hangs: the driver restarts.
The slowest batch seen, the first on a cold and busy machine, took 15 s."""

QUERY_RESTARTS = 5
"""Restarts of the query without a micro-batch in between before the whole driver restarts."""

log = logging.getLogger(__name__)


class Feeder:
    """The streaming query, as the driver's loop uses it. Not thread-safe.

    Parameters
    ----------
    settings
        all settings
    staging
        the folder, relative to the archive, that tasks write into
    archive_id
        the identity of the archive, which tasks look for before they write
    app_name
        of the Spark session
    on_micro_batch
        called with each micro-batch, from a thread of Spark's
    """

    def __init__(
        self,
        settings: Settings,
        staging: str,
        archive_id: str,
        app_name: str,
        on_micro_batch: Callable[[MicroBatch], None],
    ) -> None:
        self._settings = settings
        self._staging = staging
        self._archive_id = archive_id
        self._app_name = app_name
        self._on_micro_batch = on_micro_batch
        self._master = RaydpMaster(app_name)
        self._spark: SparkOnRay | None = None
        self._slots = settings.spark.executors * settings.spark.executor_cores
        # An actor's share of the held bytes has room for eight claims: two halves may wait.
        claim_bytes = min(
            settings.ingest.claim_bytes, settings.ingest.held_bytes // settings.ingest.actors // 8
        )
        self._shared_bytes = claim_bytes // 2
        self._queue = ClaimQueue(
            most_claims=settings.spark.claims_per_micro_batch,
            slots=self._slots,
            backfill_per_s=settings.ingest.backfill_per_s,
            trickle=Trickle(settings.spark.trickle_s, self._shared_bytes),
        )
        self._outstanding = 0
        self._restarts = 0
        self._last_batch_s = time.monotonic()

    def make_spark(self) -> SparkOnRay:
        """Start Spark on Ray. Takes ten seconds and more; may be called in another thread."""
        return SparkOnRay(self._app_name, self._settings.spark, self._on_micro_batch)

    def start(self, spark: SparkOnRay) -> None:
        """Start the query, which then gets the claims that were added before."""
        self._spark = spark
        self._start_query(spark)

    def add(self, dispatch: Dispatch) -> None:
        """Queue a claim for the query."""
        self._queue.add(dispatch, time.monotonic())

    def drain(self) -> None:
        """Send the queued claims as fast as the query takes them: the archive is about to end."""
        self._queue.drain()

    def micro_batch_ended(self, batch: MicroBatch) -> None:
        """Note that a micro-batch ended: the query may get its next claims."""
        self._queue.done(outcome.claim for outcome in batch.outcomes if outcome.claim)
        self._outstanding = max(0, self._outstanding - len(batch.outcomes))
        self._restarts = 0
        self._last_batch_s = time.monotonic()

    def feed(self, actor_names: Sequence[str]) -> None:
        """Send the query as many claims as it should have at a time."""
        if self._spark is None:
            return
        now_s = time.monotonic()
        self._send(
            [
                [
                    [
                        ClaimOrder(
                            claim.claim,
                            actor_names[claim.actor],
                            claim.generation,
                            self._staging,
                            self._archive_id,
                        )
                        for claim in group
                    ]
                    for group in share
                ]
                for share in split_by_cost(
                    groups_of(self._queue.take(now_s), self._shared_bytes), self._slots
                )
            ]
        )
        if self._outstanding == 0 and now_s - self._last_batch_s > KEEP_WARM_S:
            self._send(self._warm_up_orders())

    def restart_failed_query(self) -> bool:
        """Restart the query if it failed; return whether all claims must be added again.

        Raises
        ------
        ClusterUnavailable
            if Spark is gone, does not start, or ended no micro-batch for too long
        """
        self._master.check(starting=self._spark is None)
        if self._spark is None:
            return False
        failure = self._spark.query_failure()
        if failure is not None:
            self._restarts += 1
            if self._restarts > QUERY_RESTARTS:
                raise ClusterUnavailable(failure)
            log.warning("streaming query failed, restarting it: %s", failure)
            self._queue.clear()
            self._start_query(self._spark)
            return True
        if self._outstanding and time.monotonic() - self._last_batch_s > STALL_S:
            raise ClusterUnavailable(
                f"no micro-batch of the streaming query ended for {STALL_S:.0f} s"
            )
        return False

    def close(self) -> None:
        """End the query and Spark."""
        if self._spark is not None:
            self._spark.stop()

    def _start_query(self, spark: SparkOnRay) -> None:
        import ray

        spark.start_query(
            TaskContext(
                ray_address=ray.get_runtime_context().gcs_address,
                namespace=self._settings.ray.namespace,
                archive=absolute(self._settings.archive),
                code_archive=spark.code_archive,
            ),
            self._warm_up_orders(),
        )
        self._outstanding = self._slots
        self._last_batch_s = time.monotonic()

    def _warm_up_orders(self) -> Tasks:
        """Return orders that make every task slot load modules and connect before a claim comes."""
        return [[[ClaimOrder(None, "", 0, self._staging, self._archive_id)]]] * self._slots

    def _send(self, tasks: Tasks) -> None:
        if not tasks or self._spark is None:
            return
        if self._outstanding == 0:
            self._last_batch_s = time.monotonic()
        self._spark.send_orders(tasks)
        self._outstanding += sum(len(group) for groups in tasks for group in groups)
