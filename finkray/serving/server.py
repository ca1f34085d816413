"""The loop of a service: durable alerts go to the workers, their answers go to the sink.

    archive's ledger ─> Backlog ─> Dispatcher ─batch─> Pool of workers ─answer─┐
                                                                               ▼
       sink <─ commit ─ Committer <─ stage ─ claims complete ─ OpenClaims <────┘

One loop, and one committer, for live services and for the past. It reads the archive's folder and
writes to its own sink; the archive does not know of it. What it decides with stands in
`dispatcher` (batches and failures), `answers` (which claims are complete), `commits` (when to
commit) and `scale` (how many workers).
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from finkray.errors import StorageError
from finkray.monitor.clock import now
from finkray.results.backlog import Backlog, ClaimWork
from finkray.services.messages import Answer
from finkray.serving.answers import AnsweredClaim, OpenClaims
from finkray.serving.commits import CommitSettings, Committer
from finkray.serving.dispatcher import (
    AbandonFile,
    AssignBatch,
    CompleteFile,
    Dispatcher,
    DispatcherSettings,
    Instruction,
    RecordError,
)
from finkray.serving.monitor import ServiceMonitor
from finkray.serving.pool import BatchAnswered, Pool, WorkerGone, WorkerNotStarted, WorkerReady
from finkray.serving.pool_scaler import PoolScaler
from finkray.serving.scale import ScaleSettings
from finkray.serving.sink import Sink

LOOK_S = 0.2
"""How often the loop looks for claims in the archive's ledger while nothing happens."""

TICK_S = 1.0
"""How often the number of workers is decided, and the snapshot made."""

POSITION_S = 10.0
"""How often the position in the ledger is stored before which all claims are done."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Bounds of the loop.

    Attributes
    ----------
    dispatcher, scale, commit
        bounds of the decisions of these modules
    open_claims
        number of claims in work or staged at which no more are taken from the backlog
    """

    dispatcher: DispatcherSettings
    scale: ScaleSettings
    commit: CommitSettings = field(default_factory=CommitSettings)
    open_claims: int = 512


class Server:
    """Processes a backlog with a pool of workers.

    Parameters
    ----------
    sink
        what keeps the results
    output
        the columns that the service adds
    backlog
        the claims to process
    pool
        the workers
    settings
        bounds
    monitor
        counts what happens
    on_tick
        called about once a second
    """

    def __init__(
        self,
        *,
        sink: Sink,
        output: pa.Schema,
        backlog: Backlog,
        pool: Pool,
        settings: ServeSettings,
        monitor: ServiceMonitor,
        on_tick: Callable[["Server"], None],
    ) -> None:
        self._backlog = backlog
        self._pool = pool
        self._settings = settings
        self._on_tick = on_tick
        self._claims = OpenClaims(output)
        self._committer = Committer(sink, settings.commit)
        self._not_started: set[int] = set()
        self._next_tick_s = self._next_look_s = 0.0
        self._next_position_s = time.monotonic() + POSITION_S
        self.dispatcher = Dispatcher(settings.dispatcher)
        self._scaler = PoolScaler(pool, self.dispatcher, settings.scale)
        self.monitor = monitor
        self.draining = False
        self.more_waits = False

    def run(self, stopping: threading.Event, *, until_done: bool = False) -> None:
        """Process until `stopping` is set; then finish the batches in work, and commit.

        Parameters
        ----------
        stopping
            ends it
        until_done
            also end when nothing more is to be done

        Raises
        ------
        Fenced
            if another process has taken the sink over
        LedgerCorrupt
            if a ledger cannot be read
        """
        try:
            while True:
                if stopping.is_set():
                    self._begin_to_drain()
                self._look()
                self._tick()
                if not self.draining:
                    self._carry_out(self.dispatcher.assign(time.monotonic()))
                self._commit_if_due()
                if self._nothing_left(until_done=until_done):
                    break
                self._take_events()
            self._backlog.keep_position()
            self._on_tick(self)
        finally:
            self._pool.close()

    @property
    def waiting_rows(self) -> int:
        """Alerts that were taken from the backlog and have no durable result."""
        return self._claims.rows + self._committer.rows

    @property
    def rows_without_inputs(self) -> int:
        """Alerts that wait for results of other services."""
        return self._backlog.rows_without_inputs

    @property
    def oldest(self) -> ClaimWork | None:
        """The claim in work that came first into the archive."""
        return self._claims.oldest

    @property
    def wanted_workers(self) -> int:
        """Number of workers that the last scaling decided on."""
        return self._scaler.decided

    def _nothing_left(self, *, until_done: bool) -> bool:
        if self.draining:
            return not self.dispatcher.busy and not self._committer.staged
        in_work = len(self._claims) or self._committer.staged
        return until_done and not in_work and not self.more_waits

    def _begin_to_drain(self) -> None:
        # Alerts that no worker has are left: the next start finds them by the two ledgers.
        if not self.draining:
            log.info("service drains: %d workers finish their batches", len(self.dispatcher.busy))
            self.draining = True

    def _look(self) -> None:
        """Take claims from the backlog."""
        now_s = time.monotonic()
        room = self._settings.open_claims - self._backlog.open_claims
        if self.draining or now_s < self._next_look_s or room <= 0:
            return
        works = self._backlog.more(min(room, self._settings.commit.claims))
        # There may be more claims: look again at once.
        self._next_look_s = now_s if works else now_s + LOOK_S
        self.more_waits = bool(works) or self._backlog.is_held_up
        for work in works:
            files = self._claims.open(work)
            self.dispatcher.add(files.items())
            if not files:
                self._stage(self._claims.take_empty(work))

    def _take_events(self) -> None:
        try:
            self._handle(self._pool.events.get(timeout=LOOK_S / 2))
            while True:
                self._handle(self._pool.events.get_nowait())
        except queue.Empty:
            return

    def _handle(self, event: object) -> None:
        now_s = time.monotonic()
        match event:
            case WorkerReady(worker):
                self._not_started.discard(worker)
                if worker in self._pool.workers:
                    self.dispatcher.ready(worker)
            case WorkerNotStarted(worker, detail):
                if worker not in self._not_started:
                    log.warning("worker %d did not start: %s", worker, detail)
                self._not_started.add(worker)
                self.dispatcher.failed_to_start(detail, now_s)
            case BatchAnswered(worker, answer):
                self._answered(worker, answer, now_s)
            case WorkerGone(worker):
                self._not_started.discard(worker)

    def _answered(self, worker: int, answer: Answer, now_s: float) -> None:
        batch = self.dispatcher.busy[worker]
        self.monitor.answered(batch.rows, answer, now())
        if answer.fault is None and answer.table is not None:
            self._claims.add(batch.slices, answer)
            self._carry_out(self.dispatcher.answered(worker, now_s))
            return
        fault = answer.fault or "died"
        log.warning(
            "worker %d failed on %d alerts of %s: %s: %s",
            worker,
            batch.rows,
            ", ".join(sorted({slice_.file for slice_ in batch.slices})),
            fault,
            answer.detail,
        )
        self._carry_out(self.dispatcher.failed(worker, fault, answer.detail, now_s))

    def _carry_out(self, instructions: Iterable[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case AssignBatch(worker, batch):
                    self._pool.assign(worker, self._claims.with_inputs(batch.slices))
                case RecordError(alert, fault, detail):
                    log.warning(
                        "alert in row %d of %s has no result: %s: %s",
                        alert.first_row,
                        alert.file,
                        fault,
                        detail,
                    )
                    self._claims.add_error(alert, fault, detail)
                case CompleteFile(file):
                    self._stage(self._claims.complete(file))
                case AbandonFile(file, detail):
                    log.error("%s cannot be read, see `finkray audit`: %s", file, detail)
                    self._stage(self._claims.abandon(file))

    def _stage(self, answered: AnsweredClaim | None) -> None:
        if answered is not None and not self._committer.stage(answered, time.monotonic()):
            self._backlog.done(answered.work.claim)

    def _commit_if_due(self) -> None:
        committed = self._committer.commit_if_due(
            time.monotonic(), nothing_else_to_do=self.draining or not self.dispatcher.files
        )
        if committed is not None:
            for work in committed.works:
                self._backlog.done(work.claim)
            for rows in committed.rows:
                self.monitor.durable(rows, now())

    def _tick(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_tick_s:
            return
        self._next_tick_s = now_s + TICK_S
        if now_s >= self._next_position_s:
            self._next_position_s = now_s + POSITION_S
            with contextlib.suppress(StorageError):  # it only saves time at the next start
                self._backlog.keep_position()
        if not self.draining:
            self._scaler.scale(self.monitor.rows_per_s, now_s)
            if self.dispatcher.may_start(now_s):
                for worker in list(self._not_started):
                    self._not_started.discard(worker)
                    self._pool.retry_start(worker)
        self._on_tick(self)
