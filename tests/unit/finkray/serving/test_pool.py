"""A pool tells of everything that happens to its workers, also of what no worker foresaw."""

from collections.abc import Sequence

import pyarrow as pa
import pytest

from finkray.services.messages import Answer, Slice
from finkray.services.service import Described
from finkray.serving.pool import (
    BatchAnswered,
    Pool,
    PoolEvent,
    WorkerGone,
    WorkerNotStarted,
    WorkerReady,
)

DESCRIBED = Described("double", "1", (), pa.schema([]), "")
NO_PROCESS = OSError(11, "Resource temporarily unavailable")
SLICES = [Slice("alerts/x.parquet", 0, 1)]


class OddHost:
    """A host without a process; it raises what it is given, each once."""

    def __init__(self, *, start: Exception | None = None, run: Exception | None = None) -> None:
        self._raises = {"start": start, "run": run}
        self.closed = False

    def start(self) -> Described:
        self._raise("start")
        return DESCRIBED

    def run(self, slices: Sequence[Slice]) -> Answer:  # noqa: ARG002 - as the protocol has it
        self._raise("run")
        return Answer()

    def close(self) -> None:
        self.closed = True

    def _raise(self, what: str) -> None:
        error, self._raises[what] = self._raises[what], None
        if error is not None:
            raise error


def next_event(pool: Pool) -> PoolEvent:
    return pool.events.get(timeout=60)


def test_a_worker_without_a_process_is_told_and_starts_later() -> None:
    hosts = [OddHost(start=NO_PROCESS), OddHost()]
    made = iter(hosts)
    pool = Pool(lambda _: next(made))
    worker = pool.start()
    told = next_event(pool)
    assert isinstance(told, WorkerNotStarted)
    assert "Resource temporarily unavailable" in told.detail
    pool.retry_start(worker)
    assert next_event(pool) == WorkerReady(worker)
    pool.close()
    assert next_event(pool) == WorkerGone(worker)
    assert all(host.closed for host in hosts)


def test_a_host_that_cannot_be_made_is_told_and_made_later() -> None:
    problems: list[Exception] = [NO_PROCESS]

    def make(_: int) -> OddHost:
        if problems:
            raise problems.pop()
        return OddHost()

    pool = Pool(make)
    worker = pool.start()
    assert isinstance(next_event(pool), WorkerNotStarted)
    pool.retry_start(worker)
    assert next_event(pool) == WorkerReady(worker)
    pool.close()


@pytest.mark.parametrize("error", [NO_PROCESS, pa.ArrowInvalid("no stream"), ValueError("no JSON")])
def test_a_batch_whose_worker_raises_has_an_answer(error: Exception) -> None:
    """Without one its claims would be in work for ever, and a drain would never end."""
    hosts = [OddHost(run=error), OddHost()]
    made = iter(hosts)
    pool = Pool(lambda _: next(made))
    worker = pool.start()
    assert next_event(pool) == WorkerReady(worker)
    pool.assign(worker, SLICES)
    answered = next_event(pool)
    assert isinstance(answered, BatchAnswered)
    assert answered.answer.fault == "died"
    assert str(error) in answered.answer.detail
    assert hosts[0].closed, "what it was doing is not known"
    assert next_event(pool) == WorkerReady(worker)
    pool.close()
