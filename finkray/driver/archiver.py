"""Run the archive's driver: one loop that carries out what the coordinator decides.

    Kafka ─> ingest actors ─claims─> this loop ─orders─> streaming query ─outcomes─> this loop
                  ▲                                                                      │
                  └────────────── drop <─ publish files <─ ledger entry <────────────────┘

Everything that happens reaches the loop as an event through one queue, so that threads share no
state of the driver. The loop is the single committer: it appends the ledger entry, publishes the
files, and lets the actors drop the batches.
"""

import logging
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from finkray.claim import TopicPartition
from finkray.dead_letter_reason import WAITING_FOR_A_SCHEMA
from finkray.dead_letters.search import waiting_schema_ids
from finkray.driver.archiver_view import ArchiverView
from finkray.driver.committer import Committer
from finkray.driver.coordinator import Coordinator
from finkray.driver.feeder import Feeder
from finkray.driver.group_offsets import GroupOffsetCommitter
from finkray.driver.ingest_actors import (
    ActorEvent,
    ActorOutOfMemory,
    ActorReport,
    IngestActors,
    ListenerFailed,
)
from finkray.driver.instructions import (
    Assign,
    Discard,
    Dispatch,
    Drop,
    Fail,
    Instruction,
    Revoke,
    safe_in_doubt,
)
from finkray.driver.lane_start import record_lanes
from finkray.driver.lanes import PartitionOffsets
from finkray.driver.topic_discovery import DiscoveredPartitions, TopicDiscovery
from finkray.driver.watchdog import Watchdog, closing_within
from finkray.errors import ClusterUnavailable, FinkrayError, StorageError
from finkray.host.supervise import RESTARTS_VARIABLE
from finkray.ingest.messages import IngestReport
from finkray.ledger.claims import archived_schemas
from finkray.ledger.log import Ledger
from finkray.monitor.alarm_rules import DriverTroubles
from finkray.monitor.clock import now
from finkray.monitor.figures import Monitor
from finkray.packets.table_schemas import TableSchemas
from finkray.query.spark import MicroBatch, SparkOnRay
from finkray.settings.model import Settings
from finkray.status.archive import State
from finkray.storage.contract import Storage
from finkray.storage.schema_ids import read_schema_ids

TICK_S = 1.0
"""Time between two calls of `on_tick`, also when nothing happens."""

DRAIN_S = 45.0
"""How long a drain may take. What is not durable by then is read again at the next start; Ray
gives a stopped job `ray.stop_wait_s`, which leaves time to close too."""

CLOSE_S = 30.0
"""How long `close` may take. An abrupt end loses nothing: the ledger has everything."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _SparkStarted:
    """The Spark session, or the error that prevented its start."""

    spark: SparkOnRay | None
    error: Exception | None


class Archiver:
    """One run of the archive, from a lease that is held until it has drained.

    Parameters
    ----------
    settings
        all settings
    storage, ledger
        the archive's folder and its ledger, opened for this epoch
    monitor
        counts what happens
    on_tick
        called about once a second from the loop, with its state: to publish a snapshot, to check
        that the lease is still held
    """

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        ledger: Ledger,
        monitor: Monitor,
        on_tick: Callable[[ArchiverView], None],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._committer = Committer(ledger, storage)
        self._monitor = monitor
        self._on_tick = on_tick
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._feeder = Feeder(
            settings,
            ledger.staging,
            ledger.archive_id,
            f"finkray-archive-epoch-{ledger.epoch}",
            self._events.put,
        )
        # Before any actor decodes: what is archived decides which schemas fit its tables.
        TableSchemas(storage, settings.packets).complete(lambda: archived_schemas(storage))
        self._ingest_actors = IngestActors(
            settings, ledger.epoch, ledger.archive_id, read_schema_ids(storage), self._events.put
        )
        self._topic_discovery: TopicDiscovery | None = None
        self._offset_committer = GroupOffsetCommitter(settings.kafka)

        self._coordinator = Coordinator(settings.ingest.actors)
        self._reports: dict[int, IngestReport] = {}
        self._restarts: Counter[int] = Counter()
        self._troubles = DriverTroubles()
        for _ in range(int(os.environ.get(RESTARTS_VARIABLE, "0"))):
            self._troubles.add_restart("the archive's process", time.monotonic())
        if ledger.state.dead_letters_by_reason.keys() & set(WAITING_FOR_A_SCHEMA):
            self._troubles.add_unknown_schemas(waiting_schema_ids(storage))
        self._state: State = "starting"
        self._to_start: dict[TopicPartition, PartitionOffsets] = {}
        self._last_tick_s = 0.0
        self._draining_since_s: float | None = None

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
                on_discovery=self._events.put,
            )
            with Watchdog(self._settings.archive.hang_s) as watchdog:
                while not self._is_drained():
                    watchdog.beat()
                    self._step()
                    if stopping.is_set() and self._draining_since_s is None:
                        self._start_draining()
            self._offset_committer.commit(self._coordinator.frontiers, wait=True)
            self._state = "stopped"
        finally:
            self._close()

    def view(self) -> ArchiverView:
        """Return a copy of the present state."""
        coordinator = self._coordinator
        return ArchiverView(
            state=self._state,
            troubles=replace(
                self._troubles,
                restarts=list(self._troubles.restarts),
                unknown_schemas=set(self._troubles.unknown_schemas),
            ),
            actor_names=tuple(self._ingest_actors.names),
            held_bytes_limit=self._ingest_actors.budget.limit_bytes,
            reports=dict(self._reports),
            restarts=dict(self._restarts),
            actors_down={index: down.why for index, down in dict(self._ingest_actors.down).items()},
            frontiers=coordinator.frontiers | coordinator.live_frontiers,
            backlogs=coordinator.backlogs,
            readers=coordinator.readers,
            uncommitted=tuple(coordinator.uncommitted),
        )

    def _step(self) -> None:
        try:
            self._handle(self._events.get(timeout=TICK_S / 4))
            while not self._events.empty():
                self._handle(self._events.get())
        except queue.Empty:
            pass
        # Before the commit, so that the next micro-batch starts with as many claims as it may have.
        self._feeder.feed(self._ingest_actors.names)
        self._commit_staged()
        if time.monotonic() - self._last_tick_s >= TICK_S:
            self._last_tick_s = time.monotonic()
            self._ingest_actors.check()
            if self._feeder.restart_failed_query():
                self._troubles.add_restart("the streaming query", time.monotonic())
                self._carry_out(self._coordinator.query_lost())
            self._offset_committer.commit(self._coordinator.frontiers)
            self._on_tick(self.view())

    # Events.

    def _handle(
        self,
        event: ActorEvent | MicroBatch | DiscoveredPartitions | _SparkStarted,
    ) -> None:
        match event:
            case ActorReport():
                self._handle_report(event)
            case ActorOutOfMemory(actor, why):
                name = self._ingest_actors.names[actor]
                self._troubles.add_out_of_memory(f"{name}: {why}", time.monotonic())
            case ListenerFailed(actor, error):
                name = self._ingest_actors.names[actor]
                raise ClusterUnavailable(f"no reports of {name} any more: {error!r}") from error
            case MicroBatch():
                self._handle_micro_batch(event)
            case DiscoveredPartitions():
                self._handle_discovery(event)
            case _SparkStarted(spark=SparkOnRay() as spark):
                self._feeder.start(spark)
            case _SparkStarted():
                raise ClusterUnavailable(f"no Spark: {event.error}") from event.error

    def _handle_report(self, event: ActorReport) -> None:
        actor, report = event.actor, event.report
        name = self._ingest_actors.names[actor]
        last = self._reports.get(actor)
        self._reports[actor] = report
        self._monitor.add_report(report, now())
        if report.storage_trouble:
            self._troubles.storage = report.storage_trouble
        if last is None:
            self._carry_out(self._coordinator.actor_started(actor))
        elif last.incarnation != report.incarnation:
            self._restarts[actor] += 1
            self._troubles.add_restart(name, time.monotonic())
            log.warning("ingest actor %s was restarted by Ray; its lanes are read again", name)
            self._carry_out_losses(self._coordinator.actor_lost(actor))
            if self._draining_since_s is not None:
                self._ingest_actors.flush()
        self._carry_out_losses(self._coordinator.claims_ready(actor, event.claims))

    def _handle_micro_batch(self, batch: MicroBatch) -> None:
        self._feeder.micro_batch_ended(batch)
        if self._state == "starting":
            self._state = "running"
        self._carry_out_losses(self._coordinator.outcomes(batch.outcomes))
        staged = [outcome.staged.result for outcome in batch.outcomes if outcome.staged]
        if staged:
            rows = sum(result.archived + result.dead_lettered for result in staged)
            nodes = {outcome.node_id for outcome in batch.outcomes if outcome.staged}
            self._monitor.add_micro_batch(len(staged), rows, batch.duration_s, nodes)
        for outcome in batch.outcomes:
            if outcome.failure and outcome.failure.error_class == StorageError.__name__:
                self._troubles.storage = outcome.failure.message

    def _handle_discovery(self, discovered: DiscoveredPartitions) -> None:
        answered = discovered.error is None
        self._troubles.add_discovery(discovered.trouble, answered=answered)
        if not answered:
            return
        topic_names = ", ".join(self._settings.kafka.topics)
        self._troubles.no_topic = "" if discovered.partitions else topic_names
        if self._draining_since_s is not None:
            return
        self._to_start = {
            source: offsets
            for source, offsets in {**self._to_start, **discovered.new}.items()
            if source in discovered.partitions
        }
        # First: when a topic was deleted and created again, its old partitions make way.
        gone = self._coordinator.readers.keys() - discovered.partitions
        if gone:
            topics = sorted({source.topic for source in gone})
            log.warning("topics or partitions were deleted in Kafka: %s", ", ".join(topics))
        self._carry_out(self._coordinator.partitions_gone(gone))
        try:
            self._start_lanes(self._to_start)
        except StorageError as error:
            # They are read once they are in the ledger: the next discovery retries.
            self._troubles.storage = str(error)
            return
        if self._to_start and not self._committer.in_doubt:
            self._troubles.storage = ""
        self._to_start = {}

    def _start_lanes(self, new: Mapping[TopicPartition, PartitionOffsets]) -> None:
        """Record new partitions in the ledger and read their lanes."""
        known = self._coordinator.readers
        lanes = record_lanes(self._ledger, new, known, self._settings.ingest.backlog_offsets)
        # Claims that are read again were held by an actor, and may be in a commit in doubt.
        carry_out = self._carry_out_losses if known.keys() & new.keys() else self._carry_out
        carry_out(self._coordinator.partitions_found(lanes))

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
                    self._feeder.add(instruction)
                case Discard(outcome):
                    if outcome.staged is not None:
                        self._committer.discard(outcome.staged)
                case Fail(message, retriable):
                    raise ClusterUnavailable(message) if retriable else FinkrayError(message)

    def _carry_out_losses(self, instructions: Sequence[Instruction]) -> None:
        """Carry out what follows from a loss, without what a commit in doubt forbids."""
        self._carry_out(safe_in_doubt(instructions) if self._committer.in_doubt else instructions)

    def _commit_staged(self) -> None:
        """Commit the staged claims that are next in their lanes."""
        outcomes = self._coordinator.committable()
        staged = [outcome.staged for outcome in outcomes if outcome.staged]
        if not staged:
            return
        if not self._committer.commit(staged):
            self._troubles.storage = self._committer.refusal
            return
        self._troubles.storage = ""
        instructions, done = self._coordinator.committed([claim.result.claim for claim in staged])
        self._monitor.add_durable(done, now())
        self._troubles.add_unknown_schemas(
            number for claim in done for number in claim.unknown_schemas
        )
        for claim in staged:
            self._troubles.add_committed(claim.result)
        self._carry_out(instructions)

    # The end.

    def _start_draining(self) -> None:
        log.info("archive is draining: it reads no more and commits the claims that it holds")
        self._state = "draining"
        self._draining_since_s = time.monotonic()
        self._coordinator.drain()
        self._feeder.drain()
        self._ingest_actors.flush()

    def _is_drained(self) -> bool:
        if self._draining_since_s is None:
            return False
        if time.monotonic() - self._draining_since_s > DRAIN_S:
            log.warning(
                "archive stops with %d claims not durable after %.0f s of draining; they are read "
                "again at the next start",
                self._coordinator.in_flight,
                DRAIN_S,
            )
            return True
        flushed = all(
            actor in self._reports and self._reports[actor].flushed
            for actor in range(self._settings.ingest.actors)
        )
        return flushed and self._coordinator.in_flight == 0

    def _start_spark(self) -> None:
        try:
            self._events.put(_SparkStarted(self._feeder.make_spark(), None))
        except Exception as error:  # noqa: BLE001 - the loop raises it
            self._events.put(_SparkStarted(None, error))

    def _close(self) -> None:
        """End everything that was started, or end the process if that hangs for `CLOSE_S`."""
        with closing_within(CLOSE_S):
            if self._topic_discovery is not None:
                self._topic_discovery.close()
            self._ingest_actors.close()
            self._feeder.close()
            self._offset_committer.close()
