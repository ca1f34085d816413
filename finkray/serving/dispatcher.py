"""What is asked of whom, and who is to blame. Events in, instructions out; no input, no output.

Alerts on which the service raises are found by its process itself (`finkray.serving.child`). What
comes here are batches without any answer. Such a one is halved until the guilty alerts stand
alone: they get the status `error`, the others their results. A batch whose process died, or took
too much memory, is first done again as it is, for that may have had other reasons. One that was
lost with its actor is nobody's fault and is done again however often.

When nothing succeeds any more the fault is not in single alerts. Then the breaker opens: nothing
is asked for a while, then one batch, a new one if there is one; when that succeeds all goes on.
Alerts wait meanwhile, but for those that fail alone once more.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from finkray.circuit_breaker import BreakerState, CircuitBreaker
from finkray.services.messages import Fault, Slice, rows_of

DEATHS_ALONE = 3
"""So often must the process die of an alert alone before the alert is to blame: somebody may have
killed it."""

UNREADABLE_TRIES = 3
"""So often is a file tried before it is left to the audit."""


@dataclass(frozen=True, slots=True)
class DispatcherSettings:
    """Bounds.

    Attributes
    ----------
    batch_rows
        most alerts of a batch
    breaker_failures
        so many batches must fail one after the other for the breaker to open
    breaker_rest_s, breaker_longest_rest_s
        how long it stays open at first, and at most
    """

    batch_rows: int
    breaker_failures: int
    breaker_rest_s: float
    breaker_longest_rest_s: float


@dataclass(frozen=True, slots=True)
class Batch:
    """What a worker is asked.

    Attributes
    ----------
    slices
        the alerts
    failures
        how often it failed as it is, by dying or by memory
    unreadable
        how often a file could not be read
    """

    slices: tuple[Slice, ...]
    failures: int = 0
    unreadable: int = 0

    @property
    def rows(self) -> int:
        """How many alerts."""
        return rows_of(self.slices)


# Instructions.


@dataclass(frozen=True, slots=True)
class AssignBatch:
    """Let the worker process a batch."""

    worker: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class RecordError:
    """The alert of this one row gets the status `error`."""

    alert: Slice
    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class CompleteFile:
    """All rows of a file have an answer."""

    file: str


@dataclass(frozen=True, slots=True)
class AbandonFile:
    """A file cannot be read: forget what there is of it."""

    file: str
    detail: str


Instruction = AssignBatch | RecordError | CompleteFile | AbandonFile


class Dispatcher:
    """Assign batches, and decide what follows a failure; see the module for the rules.

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
        self._again: deque[Batch] = deque()
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
    def waiting_rows(self) -> int:
        """Alerts that nobody works on."""
        return rows_of(self._fresh) + sum(batch.rows for batch in self._again)

    @property
    def files(self) -> int:
        """Files that are not complete."""
        return len(self._missing_rows)

    @property
    def workers(self) -> int:
        """Those that have a batch or could have one."""
        return len(self._idle) + len(self._busy)

    @property
    def busy(self) -> dict[int, Batch]:
        """Who works on what; not to be changed."""
        return self._busy

    @property
    def idle(self) -> Sequence[int]:
        """Who has nothing to do; not to be changed."""
        return self._idle

    def add(self, files: Iterable[tuple[str, int]]) -> None:
        """Files with so many rows are to be served."""
        for file, rows in files:
            self._missing_rows[file] = rows
            for first in range(0, rows, self.settings.batch_rows):
                self._fresh.append(Slice(file, first, min(self.settings.batch_rows, rows - first)))

    def ready(self, worker: int) -> None:
        """A worker can be given a batch."""
        self._idle.append(worker)

    def retire(self, worker: int) -> bool:
        """Give the worker no more; False if it is at work now."""
        if worker in self._idle:
            self._idle.remove(worker)
        return worker not in self._busy

    def answered(self, worker: int, now_s: float) -> list[Instruction]:  # noqa: ARG002 - as `failed`
        """A worker has the answer of its batch."""
        batch = self._busy.pop(worker)
        self._breaker.succeeded()
        return self._done(batch.slices)

    def failed(self, worker: int, fault: Fault, detail: str, now_s: float) -> list[Instruction]:
        """A worker's batch has no answer."""
        batch = self._busy.pop(worker)
        if fault == "lost":
            self._again.appendleft(batch)
            self._breaker.lost(now_s)
            return []
        if fault == "unreadable":
            return self._unreadable(batch, detail)
        self.last_fault = f"{fault}: {detail}"
        self.failed_to_start(detail, now_s, note=False)
        if fault == "start":
            self._again.appendleft(batch)
            return []
        return self._suspect(batch, fault, detail)

    def failed_to_start(self, detail: str, now_s: float, *, note: bool = True) -> None:
        """A worker could not be set up, or failed: enough of it opens the breaker."""
        if note:
            self.last_fault = f"start: {detail}"
        self._breaker.failed(now_s)

    def may_start(self, now_s: float) -> bool:
        """Whether a worker that could not be set up may be tried again."""
        return not self._breaker.is_resting(now_s)

    def assign(self, now_s: float) -> list[Instruction]:
        """Give out what can be given out."""
        out: list[Instruction] = []
        while self._breaker.allows(now_s) and self._idle:
            if self.breaker == "closed":
                batch = self._next_again() or self._fresh_batch()
            else:  # a new batch, if there is one, tests the service better than one that failed
                batch = self._fresh_batch() or self._next_again()
            if batch is None:
                break
            self._breaker.begin()
            out.append(self._give(batch))
        return out

    def _give(self, batch: Batch) -> AssignBatch:
        worker = self._idle.pop(0)
        self._busy[worker] = batch
        return AssignBatch(worker, batch)

    def _next_again(self) -> Batch | None:
        return self._again.popleft() if self._again else None

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
            # Behind the others: if it is not to blame it only has bad luck once.
            self._again.append(replace(batch, failures=failures))
            return []
        self._again.extend(Batch(half) for half in _halves(batch.slices))
        return []

    def _unreadable(self, batch: Batch, detail: str) -> list[Instruction]:
        files = {part.file for part in batch.slices}
        if len(files) > 1:  # which of them?
            self._again.extend(
                Batch(tuple(part for part in batch.slices if part.file == file))
                for file in sorted(files)
            )
            return []
        if batch.unreadable + 1 < UNREADABLE_TRIES:
            self._again.append(replace(batch, unreadable=batch.unreadable + 1))
            return []
        (file,) = files
        if self._missing_rows.pop(file, None) is None:
            return []
        self._fresh = deque(part for part in self._fresh if part.file != file)
        self._again = deque(
            Batch(kept, one.failures, one.unreadable)
            for one in self._again
            if (kept := tuple(part for part in one.slices if part.file != file))
        )
        return [AbandonFile(file, detail)]

    def _done(self, slices: Iterable[Slice]) -> list[Instruction]:
        out: list[Instruction] = []
        for part in slices:
            if part.file not in self._missing_rows:  # it was abandoned meanwhile
                continue
            self._missing_rows[part.file] -= part.rows
            if self._missing_rows[part.file] == 0:
                del self._missing_rows[part.file]
                out.append(CompleteFile(part.file))
        return out


def _halves(slices: Sequence[Slice]) -> tuple[tuple[Slice, ...], tuple[Slice, ...]]:
    """Two parts of about the same number of alerts, in order."""
    left = rows_of(slices) // 2
    first: list[Slice] = []
    second: list[Slice] = []
    for part in slices:
        take = min(part.rows, left)
        left -= take
        if take:
            first.append(replace(part, rows=take))
        if take < part.rows:
            second.append(Slice(part.file, part.first_row + take, part.rows - take))
    return tuple(first), tuple(second)
