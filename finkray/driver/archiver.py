"""The archive's driver: one loop that carries out what the coordinator decides.

    Kafka ─> ingest actors ─claims─> this loop ─orders─> streaming query ─outcomes─> this loop
                  ▲                                                                      │
                  └────────────── drop <─ publish files <─ ledger entry <────────────────┘

Everything that happens comes to the loop as an event through one queue, so that nothing of
the driver's state is shared between threads. The loop is the single committer: it appends
the ledger entry, publishes the files, and lets the actors forget the batches.
"""

import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finkray.claim import ClaimResult, StagedClaim, TopicPartition
from finkray.dead_letter_reason import WAITING_FOR_A_SCHEMA
from finkray.dead_letters.search import waiting_schema_ids
from finkray.driver.coordinator import Coordinator
from finkray.driver.feeder import Feeder
from finkray.driver.group_offsets import GroupOffsetCommitter
from finkray.driver.ingest_actors import ActorReport, IngestActors
from finkray.driver.instructions import (
    Assign,
    Discard,
    Dispatch,
    Drop,
    Fail,
    Instruction,
    Revoke,
    in_doubt,
)
from finkray.driver.lanes import PartitionOffsets, lanes_of, late_partitions
from finkray.driver.topic_discovery import DiscoveredPartitions, TopicDiscovery
from finkray.driver.watchdog import Watchdog
from finkray.errors import ClusterUnavailable, FinkrayError, StorageError
from finkray.host.supervise import EXIT_RETRIABLE, RESTARTS_VARIABLE
from finkray.ingest.messages import IngestReport
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.monitor.clock import now
from finkray.monitor.figures import Monitor
from finkray.monitor.watch import Troubles
from finkray.query.messages import ClaimOutcome
from finkray.query.spark import MicroBatch, SparkOnRay
from finkray.settings.model import Settings
from finkray.status.archive import State
from finkray.storage.contract import Storage
from finkray.storage.schema_ids import read_schema_ids

TICK_S = 1.0
"""How often the loop looks around when nothing happens."""

RETRY_STORAGE_S = 1.0
"""Pause before a commit is tried again after the storage refused it."""

DRAIN_S = 45.0
"""How long a drain may take. What is not durable by then is simply read again at the next
start; Ray gives a stopped job `ray.stop_wait_s`, which leaves room for the end too."""

CLOSE_S = 30.0
"""How long the end may take. Nothing is lost by an abrupt one: the ledger has it all."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _SparkStarted:
    """Spark is there, or will not be."""

    spark: SparkOnRay | None
    error: Exception | None


class Archiver:
    """One run of the archive, from a lease that is held to a drain.

    Parameters
    ----------
    settings
        all settings
    storage, ledger
        the archive's folder and its ledger, opened for this epoch
    monitor
        counts what happens
    on_tick
        called about once a second from the loop: to publish a snapshot, to see that the
        lease is still ours
    """

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        ledger: Ledger,
        monitor: Monitor,
        on_tick: Callable[["Archiver"], None],
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._ledger = ledger
        self._monitor = monitor
        self._on_tick = on_tick
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._feeder = Feeder(
            settings,
            ledger.staging,
            f"finkray-archive-epoch-{ledger.epoch}",
            self._events.put,
        )
        self._ingest_actors = IngestActors(
            settings, ledger.epoch, read_schema_ids(storage), self._events.put
        )
        self._topic_discovery: TopicDiscovery | None = None
        self._offset_committer = GroupOffsetCommitter(settings.kafka)

        self.coordinator = Coordinator(settings.ingest.actors)
        self.reports: dict[int, IngestReport] = {}
        self.restarts: Counter[int] = Counter()
        self.troubles = Troubles()
        for _ in range(int(os.environ.get(RESTARTS_VARIABLE, "0"))):
            self.troubles.restarted("the archive's process", time.monotonic())
        if ledger.state.dead_letters_by_reason.keys() & set(WAITING_FOR_A_SCHEMA):
            self.troubles.met_unknown(waiting_schema_ids(storage))
        self.state: State = "starting"
        self._storage_rest_until_s = 0.0
        self._to_begin: dict[TopicPartition, PartitionOffsets] = {}
        self._in_doubt = False
        self._last_tick_s = 0.0
        self._draining_since_s: float | None = None

    @property
    def ingest_actors(self) -> IngestActors:
        """The ingest actors."""
        return self._ingest_actors

    def run(self, stopping: threading.Event) -> None:
        """Archive until `stopping` is set, then drain.

        Raises
        ------
        FinkrayError
            a retriable one if a fresh start is likely to help
        """
        try:
            threading.Thread(target=self._start_spark, name="start-spark", daemon=True).start()
            self._topic_discovery = TopicDiscovery(
                self._settings.kafka,
                new_archive=self._ledger.is_new,
                tell=self._events.put,
            )
            with Watchdog(self._settings.archive.hang_s) as watchdog:
                while not self._drained():
                    watchdog.beat()
                    self._step()
                    if stopping.is_set() and self._draining_since_s is None:
                        self._begin_to_drain()
            self._offset_committer.commit(self.coordinator.frontiers, wait=True)
            self.state = "stopped"
        finally:
            self._close()

    def _step(self) -> None:
        try:
            self._handle(self._events.get(timeout=TICK_S / 4))
            while not self._events.empty():
                self._handle(self._events.get())
        except queue.Empty:
            pass
        # First, so that the next micro-batch has all that it may have.
        self._feeder.feed(self._ingest_actors.names)
        self._commit_what_is_ready()
        if time.monotonic() - self._last_tick_s >= TICK_S:
            self._last_tick_s = time.monotonic()
            self._ingest_actors.check()
            if self._feeder.look_after():
                self.troubles.restarted("the streaming query", time.monotonic())
                self._carry_out(self.coordinator.query_lost())
            self._offset_committer.commit(self.coordinator.frontiers)
            self._on_tick(self)

    # Events.

    def _handle(
        self, event: ActorReport | MicroBatch | DiscoveredPartitions | _SparkStarted
    ) -> None:
        match event:
            case ActorReport():
                self._handle_report(event)
            case MicroBatch():
                self._handle_micro_batch(event)
            case DiscoveredPartitions():
                self._handle_found(event)
            case _SparkStarted(spark=SparkOnRay() as spark):
                self._feeder.begin(spark)
            case _SparkStarted():
                raise ClusterUnavailable(f"no Spark: {event.error}") from event.error

    def _handle_report(self, took: ActorReport) -> None:
        known = self.reports.get(took.actor)
        self.reports[took.actor] = took.report
        self._monitor.reported(took.report, now())
        if known is None:
            self._carry_out(self.coordinator.actor_came(took.actor))
        elif known.incarnation != took.report.incarnation:
            self.restarts[took.actor] += 1
            self.troubles.restarted(self._ingest_actors.names[took.actor], time.monotonic())
            log.warning("%s was started anew by Ray", self._ingest_actors.names[took.actor])
            self._carry_out_losses(self.coordinator.actor_lost(took.actor))
            if self._draining_since_s is not None:
                self._ingest_actors.flush()
        self._carry_out_losses(self.coordinator.claims_ready(took.actor, took.claims))

    def _handle_micro_batch(self, batch: MicroBatch) -> None:
        self._feeder.returned(batch)
        if self.state == "starting":
            self.state = "running"
        self._carry_out_losses(self.coordinator.outcomes(batch.outcomes))
        staged = [outcome.staged.result for outcome in batch.outcomes if outcome.staged]
        if staged:
            rows = sum(result.archived + result.dead_lettered for result in staged)
            nodes = {outcome.node_id for outcome in batch.outcomes if outcome.staged}
            self._monitor.micro_batch(len(staged), rows, batch.duration_s, nodes)
        for outcome in batch.outcomes:
            if outcome.failure and outcome.failure.kind == StorageError.__name__:
                self.troubles.storage = outcome.failure.message

    def _handle_found(self, found: DiscoveredPartitions) -> None:
        self.troubles.kafka = found.trouble
        if found.error is not None:
            return
        self.troubles.no_topic = "" if found.partitions else ", ".join(self._settings.kafka.topics)
        if self._draining_since_s is not None:
            return
        self._to_begin = {
            source: edges
            for source, edges in {**self._to_begin, **found.new}.items()
            if source in found.partitions
        }
        # First: of a topic that was made anew the old partition makes room for the new one.
        gone = self.coordinator.readers.keys() - found.partitions
        if gone:
            log.warning("not in Kafka any more: %s", sorted({source.topic for source in gone}))
        self._carry_out(self.coordinator.vanished(gone))
        try:
            self._begin(self._to_begin)
        except StorageError as error:
            # They are read once the ledger knows of them: the next look tries again.
            self.troubles.storage = str(error)
            return
        if self._to_begin and not self._in_doubt:
            self.troubles.storage = ""
        self._to_begin = {}

    def _begin(self, new: Mapping[TopicPartition, PartitionOffsets]) -> None:
        """Have partitions archived that were found: a long backlog beside the live stream."""
        known = self.coordinator.readers
        self._ledger.record_starts({source: edges.start for source, edges in new.items()})
        state = self._ledger.state
        late = late_partitions(
            state,
            {source: edges for source, edges in new.items() if source not in known},
            self._settings.ingest.backlog_offsets,
        )
        self._ledger.begin_live_lanes(late)
        lanes = {source: lanes_of(state.partitions[source]) for source in new}
        # What is read again was held by an actor, and may be in a commit that is in doubt.
        carry_out = self._carry_out_losses if known.keys() & new.keys() else self._carry_out
        carry_out(self.coordinator.found(lanes))

    def _carry_out(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Assign(actor, assignment):
                    self._ingest_actors.assign(actor, assignment)
                case Revoke(actor, source):
                    self._ingest_actors.revoke(actor, source)
                case Drop(actor, claims):
                    self._ingest_actors.drop(actor, claims)
                case Dispatch():
                    self._feeder.hand_in(instruction)
                case Discard(outcome):
                    self._discard(outcome)
                case Fail(message, retriable):
                    raise ClusterUnavailable(message) if retriable else FinkrayError(message)

    def _discard(self, outcome: ClaimOutcome) -> None:
        if outcome.staged is None:
            return
        try:
            self._storage.delete(outcome.staged.staged.values())
        except StorageError as error:
            # It is rubbish in staging, which the next start clears.
            log.info("%s stays in staging: %s", outcome.claim, error)

    # The commit.

    def _commit_what_is_ready(self) -> None:
        now_s = time.monotonic()
        if now_s < self._storage_rest_until_s:
            return
        ready = [outcome.staged for outcome in self.coordinator.committable() if outcome.staged]
        if not ready:
            return
        try:
            commit(self._ledger, self._storage, ready)
        except StorageError as error:
            # They may be in the ledger or not: the same claims are handed in again until they are.
            self._in_doubt = True
            self.troubles.storage = str(error)
            self._storage_rest_until_s = now_s + RETRY_STORAGE_S
            self._see_that_it_is_there(ready)
            return
        self._in_doubt = False
        self.troubles.storage = ""
        instructions, done = self.coordinator.committed([one.result.claim for one in ready])
        self._monitor.durable(done, now())
        for one in ready:
            self._note(one.result)
        self.troubles.met_unknown(number for one in done for number in one.unknown_schemas)
        self._carry_out(instructions)

    def _see_that_it_is_there(self, ready: Sequence[StagedClaim]) -> None:
        """If somebody cleared staging, trying again does not help: a fresh process reads anew."""
        try:
            gone = [
                final
                for one in ready
                for final, staged in one.staged.items()
                if self._storage.size_bytes(staged) is None
                and self._storage.size_bytes(final) is None
            ]
        except StorageError:
            return  # it still refuses, which the alarm says already
        if gone:
            raise ClusterUnavailable(f"{len(gone)} staged files were removed by somebody")

    def _carry_out_losses(self, instructions: Sequence[Instruction]) -> None:
        """Carry out what follows from a loss."""
        self._carry_out(in_doubt(instructions) if self._in_doubt else instructions)

    def _note(self, result: ClaimResult) -> None:
        expired = sum(gap.offsets for gap in result.gaps if gap.kind == "expired")
        if expired:
            self.troubles.expired += expired
            self.troubles.last_expired = str(result.claim)

    # The end.

    def _begin_to_drain(self) -> None:
        log.info("draining: what is read already is made durable")
        self.state = "draining"
        self._draining_since_s = time.monotonic()
        self.coordinator.drain()
        self._feeder.hurry()
        self._ingest_actors.flush()

    def _drained(self) -> bool:
        if self._draining_since_s is None:
            return False
        if time.monotonic() - self._draining_since_s > DRAIN_S:
            log.warning(
                "%d claims are not durable after %.0f s; they are read again at the next start",
                self.coordinator.in_flight,
                DRAIN_S,
            )
            return True
        flushed = all(
            actor in self.reports and self.reports[actor].flushed
            for actor in range(self._settings.ingest.actors)
        )
        return flushed and self.coordinator.in_flight == 0

    def _start_spark(self) -> None:
        try:
            self._events.put(_SparkStarted(self._feeder.make_spark(), None))
        except Exception as error:  # noqa: BLE001 - the loop raises it
            self._events.put(_SparkStarted(None, error))

    def _close(self) -> None:
        """End all that was started; a JVM or a cluster that hangs does not hold it up for long."""
        last_resort = threading.Timer(CLOSE_S, os._exit, [EXIT_RETRIABLE])
        last_resort.daemon = True
        last_resort.start()
        if self._topic_discovery is not None:
            self._topic_discovery.close()
        self._ingest_actors.close()
        self._feeder.close()
        self._offset_committer.close()
        last_resort.cancel()
