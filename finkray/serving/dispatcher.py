"""Assign batches to workers, and decide what follows a failure: retry, split, blame one alert.

Pure: events in, instructions out. The rules:

- Alerts on which the service raises are found by its child process (`finkray.serving.child`). The
  dispatcher sees batches that have no answer at all.
- Such a batch is halved until the alerts that cause the failure stand alone: these get the status
  `error`, the others their results.
- A batch whose process died, or took too much memory, is first retried as it is, for that may have
  had other reasons.
- A batch that was lost with its actor is retried however often: the service is not at fault.
- When nothing succeeds any more, single alerts are not at fault. Then the circuit breaker opens: no
  batch is assigned for a while, then a single one, a new one if possible. The breaker closes when
  that batch succeeds. Until then alerts wait, except those that fail alone once more.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from finkray.circuit_breaker import BreakerState, CircuitBreaker
from finkray.services.messages import Fault, Slice, rows_of

DEATHS_ALONE = 3
"""Deaths of the process on one alert alone before the alert is blamed: another process may have
killed it."""

UNREADABLE_TRIES = 3
"""How often a file is tried before it is abandoned, for `finkray audit` to report."""


@dataclass(frozen=True, slots=True)
class DispatcherSettings:
    """Limits of batches, and settings of the circuit breaker.

    Attributes
    ----------
    batch_rows
        most alerts of a batch
    breaker_failures
        failures in a row that open the circuit breaker
    breaker_rest_s, breaker_longest_rest_s
        how long it stays open at first, and at most
    """

    batch_rows: int
    breaker_failures: int
    breaker_rest_s: float
    breaker_longest_rest_s: float


@dataclass(frozen=True, slots=True)
class Batch:
    """The alerts that a worker processes at a time.

    Attributes
    ----------
    slices
        the alerts
    failures
        how often its process died or took too much memory, with the batch as it is
    unreadable
        how often a file could not be read
    """

    slices: tuple[Slice, ...]
    failures: int = 0
    unreadable: int = 0

    @property
    def rows(self) -> int:
        """Number of alerts."""
        return rows_of(self.slices)


# Instructions.


@dataclass(frozen=True, slots=True)
class AssignBatch:
    """Have the worker process a batch."""

    worker: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class RecordError:
    """Give the single alert of a slice the status `error`."""

    alert: Slice
    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class CompleteFile:
    """Note that all rows of a file have an answer."""

    file: str


@dataclass(frozen=True, slots=True)
class AbandonFile:
    """Forget the answers of a file: it cannot be read."""

    file: str
    detail: str


Instruction = AssignBatch | RecordError | CompleteFile | AbandonFile


class Dispatcher:
    """Assigns batches, and decides what follows a failure; the module lists the rules.

    Every method may be followed by `assign`.

    Parameters
    ----------
    settings
        bounds

    Attributes
    ----------
    last_fault
        the last failure that counted against the service, in words
    """

    def __init__(self, settings: DispatcherSettings) -> None:
        self.settings = settings
        self.last_fault = ""
        self._breaker = CircuitBreaker(
            settings.breaker_failures, settings.breaker_rest_s, settings.breaker_longest_rest_s
        )
        self._fresh: deque[Slice] = deque()
        self._retries: deque[Batch] = deque()
        self._missing_rows: dict[str, int] = {}
        self._idle: list[int] = []
        self._busy: dict[int, Batch] = {}

    @property
    def breaker(self) -> BreakerState:
        """State of the circuit breaker: while it is open no batch is assigned."""
        return self._breaker.state

    @property
    def opened(self) -> int:
        """How often the circuit breaker was opened by a failure."""
        return self._breaker.opened

    @property
    def opened_s(self) -> float | None:
        """Since when the circuit breaker is not closed, on the monotonic clock; None if it is."""
        return self._breaker.opened_s

    @property
    def waiting_rows(self) -> int:
        """Number of alerts that no worker has."""
        return rows_of(self._fresh) + sum(batch.rows for batch in self._retries)

    @property
    def files(self) -> int:
        """Number of files that are not complete."""
        return len(self._missing_rows)

    @property
    def workers(self) -> int:
        """Number of workers that are busy or ready."""
        return len(self._idle) + len(self._busy)

    @property
    def busy(self) -> dict[int, Batch]:
        """The batch of each worker that has one; not to be changed."""
        return self._busy

    @property
    def idle(self) -> Sequence[int]:
        """The workers that are ready for a batch; not to be changed."""
        return self._idle

    def add(self, files: Iterable[tuple[str, int]]) -> None:
        """Add files to process, each with its number of rows."""
        for file, rows in files:
            self._missing_rows[file] = rows
            for first in range(0, rows, self.settings.batch_rows):
                self._fresh.append(Slice(file, first, min(self.settings.batch_rows, rows - first)))

    def ready(self, worker: int) -> None:
        """Note that a worker is ready for a batch."""
        self._idle.append(worker)

    def retire(self, worker: int) -> bool:
        """Assign no more batches to a worker; return False if it has one now."""
        if worker in self._idle:
            self._idle.remove(worker)
        return worker not in self._busy

    def answered(self, worker: int, now_s: float) -> list[Instruction]:  # noqa: ARG002 - as `failed`
        """Note that a worker has the answer of its batch."""
        batch = self._busy.pop(worker)
        self._breaker.succeeded()
        return self._done(batch.slices)

    def failed(self, worker: int, fault: Fault, detail: str, now_s: float) -> list[Instruction]:
        """Note that the batch of a worker has no answer."""
        batch = self._busy.pop(worker)
        if fault == "lost":
            self._retries.appendleft(batch)
            self._breaker.lost(now_s)
            return []
        if fault == "unreadable":
            return self._unreadable(batch, detail)
        self.last_fault = f"{fault}: {detail}"
        self.failed_to_start(detail, now_s, note=False)
        if fault == "start":
            self._retries.appendleft(batch)
            return []
        return self._suspect(batch, fault, detail)

    def failed_to_start(self, detail: str, now_s: float, *, note: bool = True) -> None:
        """Count a worker that could not be set up, or failed: enough of them open the breaker."""
        if note:
            self.last_fault = f"start: {detail}"
        self._breaker.failed(now_s)

    def may_start(self, now_s: float) -> bool:
        """Return whether a worker that could not be set up may be tried again."""
        return not self._breaker.is_resting(now_s)

    def assign(self, now_s: float) -> list[Instruction]:
        """Assign batches to the workers that are ready, as far as the circuit breaker allows."""
        out: list[Instruction] = []
        while self._breaker.allows(now_s) and self._idle:
            if self.breaker == "closed":
                batch = self._next_retry() or self._fresh_batch()
            else:  # a new batch, if there is one, tests the service better than one that failed
                batch = self._fresh_batch() or self._next_retry()
            if batch is None:
                break
            self._breaker.begin()
            out.append(self._assign(batch))
        return out

    def _assign(self, batch: Batch) -> AssignBatch:
        worker = self._idle.pop(0)
        self._busy[worker] = batch
        return AssignBatch(worker, batch)

    def _next_retry(self) -> Batch | None:
        return self._retries.popleft() if self._retries else None

    def _fresh_batch(self) -> Batch | None:
        slices: list[Slice] = []
        rows = 0
        while self._fresh and rows + self._fresh[0].rows <= self.settings.batch_rows:
            slices.append(self._fresh.popleft())
            rows += slices[-1].rows
        return Batch(tuple(slices)) if slices else None

    def _suspect(self, batch: Batch, fault: Fault, detail: str) -> list[Instruction]:
        died = fault in ("died", "memory")
        alone = batch.rows == 1
        failures = batch.failures + died
        if alone and (not died or failures >= DEATHS_ALONE):
            return [RecordError(batch.slices[0], fault, detail), *self._done(batch.slices)]
        if died and (alone or failures == 1):
            # It is queued behind the others: a batch that is not at fault is delayed only once.
            self._retries.append(replace(batch, failures=failures))
            return []
        self._retries.extend(Batch(half) for half in _halves(batch.slices))
        return []

    def _unreadable(self, batch: Batch, detail: str) -> list[Instruction]:
        files = {slice_.file for slice_ in batch.slices}
        if len(files) > 1:  # find out which of the alerts causes the failure
            self._retries.extend(
                Batch(tuple(slice_ for slice_ in batch.slices if slice_.file == file))
                for file in sorted(files)
            )
            return []
        if batch.unreadable + 1 < UNREADABLE_TRIES:
            self._retries.append(replace(batch, unreadable=batch.unreadable + 1))
            return []
        (file,) = files
        if self._missing_rows.pop(file, None) is None:
            return []
        self._fresh = deque(slice_ for slice_ in self._fresh if slice_.file != file)
        self._retries = deque(
            Batch(kept, batch.failures, batch.unreadable)
            for batch in self._retries
            if (kept := tuple(slice_ for slice_ in batch.slices if slice_.file != file))
        )
        return [AbandonFile(file, detail)]

    def _done(self, slices: Iterable[Slice]) -> list[Instruction]:
        out: list[Instruction] = []
        for slice_ in slices:
            if slice_.file not in self._missing_rows:  # the file was abandoned in the meantime
                continue
            self._missing_rows[slice_.file] -= slice_.rows
            if self._missing_rows[slice_.file] == 0:
                del self._missing_rows[slice_.file]
                out.append(CompleteFile(slice_.file))
        return out


def _halves(slices: Sequence[Slice]) -> tuple[tuple[Slice, ...], tuple[Slice, ...]]:
    """Split slices in two, with about the same number of alerts in each half, in order."""
    left = rows_of(slices) // 2
    first: list[Slice] = []
    second: list[Slice] = []
    for slice_ in slices:
        take = min(slice_.rows, left)
        left -= take
        if take:
            first.append(replace(slice_, rows=take))
        if take < slice_.rows:
            second.append(Slice(slice_.file, slice_.first_row + take, slice_.rows - take))
    return tuple(first), tuple(second)
