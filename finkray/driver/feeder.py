"""Feeds the streaming query with claims, and sees that it runs."""

import logging
import time
from collections.abc import Callable, Sequence

from finkray.driver.claim_queue import ClaimQueue, share_out
from finkray.driver.instructions import Dispatch
from finkray.errors import ClusterUnavailable
from finkray.query.messages import ClaimOrder
from finkray.query.raydp_master import RaydpMaster
from finkray.query.spark import MicroBatch, SparkOnRay
from finkray.query.task import TaskContext
from finkray.settings.model import Settings

KEEP_WARM_S = 20.0
"""Spark ends Python workers after a minute without work; a new one costs seconds."""

STALL_S = 60.0
"""Orders are on their way, and no micro-batch ended for so long: something hangs, start anew.
The slowest batch seen, the first on a cold and busy machine, took 15 s."""

QUERY_RESTARTS = 5
"""Restarts of the query, without a micro-batch in between, before the whole driver starts anew."""

log = logging.getLogger(__name__)


class Feeder:
    """The query, as the driver's loop sees it. Not for several threads.

    Parameters
    ----------
    settings
        all settings
    staging
        the folder, relative to the archive, that tasks write into
    actor_names
        the ingest actors, by index
    on_micro_batch
        gets what the query made, from a thread of Spark's
    """

    def __init__(
        self,
        settings: Settings,
        staging: str,
        app_name: str,
        on_micro_batch: Callable[[MicroBatch], None],
    ) -> None:
        self._settings = settings
        self._staging = staging
        self._app_name = app_name
        self._on_micro_batch = on_micro_batch
        self._master = RaydpMaster(app_name)
        self._spark: SparkOnRay | None = None
        self._slots = settings.spark.executors * settings.spark.executor_cores
        self._queue = ClaimQueue(
            most=settings.spark.claims_per_micro_batch,
            slots=self._slots,
            backfill_per_s=settings.ingest.backfill_per_s,
        )
        self._outstanding = 0
        self._restarts = 0
        self._last_batch_s = time.monotonic()

    def make_spark(self) -> SparkOnRay:
        """Start Spark on Ray; takes ten seconds and more, so it may run in another thread."""
        return SparkOnRay(self._app_name, self._settings.spark, self._on_micro_batch)

    def begin(self, spark: SparkOnRay) -> None:
        """Start the query; claims that were handed in before go into it now."""
        self._spark = spark
        self._start_query(spark)

    def hand_in(self, dispatch: Dispatch) -> None:
        """Let a claim be archived."""
        self._queue.hand_in(dispatch, time.monotonic())

    def hurry(self) -> None:
        """Let what is held be archived as fast as it goes: the archive is about to leave."""
        self._queue.hurry()

    def returned(self, batch: MicroBatch) -> None:
        """A micro-batch ended: there is room for the next one."""
        self._queue.returned(outcome.claim for outcome in batch.outcomes if outcome.claim)
        self._outstanding = max(0, self._outstanding - len(batch.outcomes))
        self._restarts = 0
        self._last_batch_s = time.monotonic()

    def feed(self, actor_names: Sequence[str]) -> None:
        """Hand over as many claims as the query should have at a time."""
        if self._spark is None:
            return
        now_s = time.monotonic()
        self._publish(
            [
                [
                    ClaimOrder(
                        claim.claim, actor_names[claim.actor], claim.generation, self._staging
                    )
                    for claim in share
                ]
                for share in share_out(self._queue.take(now_s), self._slots)
            ]
        )
        if self._outstanding == 0 and now_s - self._last_batch_s > KEEP_WARM_S:
            self._publish(self._warming())

    def look_after(self) -> bool:
        """Start the query anew if it ended; True if so, and all claims must be handed in again.

        Raises
        ------
        ClusterUnavailable
            if Spark is beyond that or does not come up, or nothing has come back for too long.
        """
        self._master.check(starting=self._spark is None)
        if self._spark is None:
            return False
        trouble = self._spark.trouble()
        if trouble is not None:
            self._restarts += 1
            if self._restarts > QUERY_RESTARTS:
                raise ClusterUnavailable(trouble)
            log.warning("%s; it is started anew", trouble)
            self._queue.clear()
            self._start_query(self._spark)
            return True
        if self._outstanding and time.monotonic() - self._last_batch_s > STALL_S:
            raise ClusterUnavailable(f"no micro-batch ended for {STALL_S:.0f} s")
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
                archive_uri=str(self._settings.archive.root),
                code_archive=spark.code_archive,
            ),
            self._warming(),
        )
        self._outstanding = self._slots
        self._last_batch_s = time.monotonic()

    def _warming(self) -> Sequence[Sequence[ClaimOrder]]:
        """Let every task slot load its modules and connect, so that no claim waits for it."""
        return [[ClaimOrder(None, "", 0, self._staging)]] * self._slots

    def _publish(self, tasks: Sequence[Sequence[ClaimOrder]]) -> None:
        if not tasks or self._spark is None:
            return
        if self._outstanding == 0:
            self._last_batch_s = time.monotonic()
        self._spark.send_orders(tasks)
        self._outstanding += sum(map(len, tasks))
