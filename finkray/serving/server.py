"""The loop of a service: what is durable is asked of the workers, what they say is made durable.

    archive's ledger ─> Backlog ─> Core ─batch─> Pool of workers ─answer─┐
                                                                         ▼
                    science ledger <─ commit <─ stage <─ claims of which all files are answered

One loop, and one committer, live and over the past. It reads the archive's folder and writes its
own; the archive does not know of it.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from finkray.claim import Claim
from finkray.errors import StorageError
from finkray.results.backlog import Backlog, ClaimWork
from finkray.results.rows import RowAnswers
from finkray.services.messages import Answer, Slice, null_rows
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
from finkray.serving.scale import Load, ScaleSettings, ScaleState, scale
from finkray.serving.sink import Sink
from finkray.storage.contract import Storage

LOOK_S = 0.2
"""How often the archive's ledger is looked at while nothing happens."""

TICK_S = 1.0
"""How often the number of workers is thought over, and the snapshot made."""

RETRY_STORAGE_S = 1.0
"""Pause before a commit is tried again after the storage refused it."""

POSITION_S = 10.0
"""How often it is written down how far all is done."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Bounds of the loop.

    Attributes
    ----------
    core, scale
        of the decisions
    open_claims
        claims that are in work at a time; no more are looked at meanwhile
    commit_claims, commit_s
        answered claims are committed when there are so many, or when the first is so old
    """

    core: DispatcherSettings
    scale: ScaleSettings
    open_claims: int = 512
    commit_claims: int = 64
    commit_s: float = 0.5


@dataclass(slots=True)
class _InWork:
    """A claim whose files are being answered."""

    work: ClaimWork
    missing: set[str]
    answers: dict[str, list[RowAnswers]]


class Server:
    """Serves a backlog with a pool of workers.

    Parameters
    ----------
    archive
        where the alerts are
    sink
        what keeps the results
    output
        the columns that the service adds
    backlog
        what is to be done
    pool
        who does it
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
        archive: Storage,
        sink: Sink,
        output: pa.Schema,
        backlog: Backlog,
        pool: Pool,
        settings: ServeSettings,
        monitor: ServiceMonitor,
        on_tick: Callable[["Server"], None],
    ) -> None:
        self._archive = archive
        self._sink = sink
        self._output = output
        self._backlog = backlog
        self._pool = pool
        self._settings = settings
        self._on_tick = on_tick
        self._in_work: dict[Claim, _InWork] = {}
        self._claim_of: dict[str, Claim] = {}
        self._done: list[ClaimWork] = []
        self._rows_done: list[pa.Table] = []
        self._done_since_s = 0.0
        self._rest_until_s = 0.0
        self._not_started: set[int] = set()
        self._scale_state = ScaleState()
        self._next_tick_s = self._next_look_s = 0.0
        self._next_position_s = time.monotonic() + POSITION_S
        self.core = Dispatcher(settings.core)
        self.monitor = monitor
        self.wanted_workers = 0
        self.draining = False
        self.more_waits = False

    def run(self, stopping: threading.Event, *, until_done: bool = False) -> None:
        """Serve until `stopping` is set; what is in work then is done and made durable.

        Parameters
        ----------
        stopping
            ends it
        until_done
            also end when nothing more is to be done

        Raises
        ------
        Fenced
            if somebody else took the store over
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
                    self._carry_out(self.core.assign(time.monotonic()))
                self._commit_if_due()
                if self._nothing_left(until_done=until_done):
                    break
                self._take_event()
            self._backlog.keep_position()
            self._on_tick(self)
        finally:
            self._pool.close()

    def _nothing_left(self, *, until_done: bool) -> bool:
        if self.draining:
            return not self.core.busy and not self._done
        return until_done and not self._in_work and not self._done and not self.more_waits

    def _begin_to_drain(self) -> None:
        # What nobody works on yet is not begun: the ledger knows what is missing.
        if not self.draining:
            log.info("draining: %d batches are being worked on", len(self.core.busy))
            self.draining = True

    @property
    def waiting_rows(self) -> int:
        """Alerts that were looked at and have no durable result."""
        return sum(one.work.rows for one in self._in_work.values()) + sum(
            work.rows for work in self._done
        )

    @property
    def oldest(self) -> ClaimWork | None:
        """The claim that waits longest."""
        works = [one.work for one in self._in_work.values()]
        return min(works, key=lambda work: work.seq, default=None)

    def _look(self) -> None:
        now_s = time.monotonic()
        room = self._settings.open_claims - self._backlog.open_claims
        if self.draining or now_s < self._next_look_s or room <= 0:
            return
        works = self._backlog.more(min(room, self._settings.commit_claims))
        # What came may not be all: look again at once.
        self._next_look_s = now_s if works else now_s + LOOK_S
        self.more_waits = bool(works)
        for work in works:
            self._begin(work)

    def _begin(self, work: ClaimWork) -> None:
        uris = {self._uri(file.path): file for file in work.files if file.rows}
        one = _InWork(work, set(uris), {})
        self._in_work[work.claim] = one
        self._claim_of.update(dict.fromkeys(uris, work.claim))
        self.core.add((uri, file.rows) for uri, file in uris.items())
        if not uris:
            self._finish(one)

    def _uri(self, path: str) -> str:
        return f"{self._archive.uri}/{path}"

    def _path(self, uri: str) -> str:
        return uri.removeprefix(f"{self._archive.uri}/")

    def _take_event(self) -> None:
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
                    self.core.ready(worker)
            case WorkerNotStarted(worker, detail):
                if worker not in self._not_started:
                    log.warning("worker %d: %s", worker, detail)
                self._not_started.add(worker)
                self.core.failed_to_start(detail, now_s)
            case BatchAnswered(worker, answer):
                self._answered(worker, answer, now_s)
            case WorkerGone(worker):
                self._not_started.discard(worker)

    def _answered(self, worker: int, answer: Answer, now_s: float) -> None:
        batch = self.core.busy[worker]
        self.monitor.answered(batch.rows, answer, time.time())
        if answer.fault is None and answer.table is not None:
            self._keep(batch.slices, answer)
            self._carry_out(self.core.answered(worker, now_s))
            return
        fault = answer.fault or "died"
        log.warning("%d alerts, %s: %s", batch.rows, fault, answer.detail)
        self._carry_out(self.core.failed(worker, fault, answer.detail, now_s))

    def _keep(self, slices: tuple[Slice, ...], answer: Answer) -> None:
        """Put each slice's rows to its file."""
        assert answer.table is not None  # noqa: S101 - asked before
        errors = {row: f"{fault}: {detail}" for row, fault, detail in answer.errors}
        at = 0
        for part, skipped in zip(slices, answer.skipped, strict=True):
            rows = range(at, at + part.rows)
            usual = "skipped" if skipped else "ok"
            why = "it has none of the columns that the service reads" if skipped else None
            said = RowAnswers(
                first_row=part.first_row,
                table=answer.table.slice(at, part.rows),
                status=["error" if row in errors else usual for row in rows],
                reason=[errors.get(row, why) for row in rows],
            )
            self._answers_of(part.file).append(said)
            at += part.rows

    def _answers_of(self, uri: str) -> list[RowAnswers]:
        claim = self._claim_of.get(uri)
        if claim is None:  # abandoned meanwhile
            return []
        return self._in_work[claim].answers.setdefault(self._path(uri), [])

    def _carry_out(self, instructions: list[Instruction]) -> None:
        for one in instructions:
            match one:
                case AssignBatch(worker, batch):
                    self._pool.give(worker, batch.slices)
                case RecordError(alert, fault, detail):
                    log.warning("row %d of %s: %s: %s", alert.first_row, alert.file, fault, detail)
                    nothing = null_rows(1, self._output)
                    said = RowAnswers(alert.first_row, nothing, ["error"], [f"{fault}: {detail}"])
                    self._answers_of(alert.file).append(said)
                case CompleteFile(file):
                    self._file_ended(file)
                case AbandonFile(file, detail):
                    log.error("%s is not served, see `finkray audit`: %s", file, detail)
                    self._answers_of(file).clear()
                    claim = self._claim_of[file]
                    self._in_work[claim].answers.pop(self._path(file), None)
                    self._file_ended(file)

    def _file_ended(self, uri: str) -> None:
        one = self._in_work[self._claim_of.pop(uri)]
        one.missing.discard(uri)
        if not one.missing:
            self._finish(one)

    def _finish(self, one: _InWork) -> None:
        """All files of a claim are answered: write them aside."""
        del self._in_work[one.work.claim]
        rows = self._sink.stage(one.work, one.answers)
        if rows is None:
            self._backlog.done(one.work.claim)
            return
        if not self._done:
            self._done_since_s = time.monotonic()
        self._done.append(one.work)
        self._rows_done.append(rows)

    def _commit_if_due(self) -> None:
        now_s = time.monotonic()
        enough = len(self._done) >= self._settings.commit_claims
        old = now_s - self._done_since_s >= self._settings.commit_s
        nothing_else = self.draining or not self.core.files
        if not self._done or now_s < self._rest_until_s or not (enough or old or nothing_else):
            return
        try:
            self._sink.commit()
        except StorageError as error:
            log.warning("results are not committed, and tried again: %s", error)
            self._rest_until_s = now_s + RETRY_STORAGE_S
            return
        for work in self._done:
            self._backlog.done(work.claim)
        for rows in self._rows_done:
            self.monitor.durable(rows, time.time())
        self._done.clear()
        self._rows_done.clear()

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
            self._scale(now_s)
            if self.core.may_start(now_s):
                for worker in list(self._not_started):
                    self._not_started.discard(worker)
                    self._pool.start_again(worker)
        self._on_tick(self)

    def _scale(self, now_s: float) -> None:
        load = Load(
            waiting_rows=self.core.waiting_rows,
            rows_per_s=self.monitor.rows_per_s,
            actors=len(self._pool.workers),
            held=self.core.breaker != "closed",
        )
        count, self._scale_state = scale(load, self._settings.scale, self._scale_state, now_s)
        if count != load.actors:
            log.info("%d workers, %d wait, so %d", load.actors, load.waiting_rows, count)
        self.wanted_workers = count
        while len(self._pool.workers) < count:
            self._pool.start()
        for _ in range(load.actors - count):
            idle = self.core.idle
            worker = idle[-1] if idle else self._pool.workers[-1]
            self.core.retire(worker)
            self._pool.retire(worker)
