"""A set of workers that grows and shrinks: a thread for each, and a queue of events for all."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from finkray.errors import FinkrayError
from finkray.services.messages import Answer, Slice
from finkray.services.service import Described
from finkray.text import error_text

log = logging.getLogger(__name__)


class Host(Protocol):
    """The process of a worker: a `finkray.serving.worker.Worker`, or an actor that has one."""

    def start(self) -> Described:
        """Start the process and set the service up, unless it is up; an error if that fails."""

    def run(self, slices: Sequence[Slice]) -> Answer:
        """Process a batch."""

    def close(self) -> None:
        """End the process."""


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker is set up and has no batch."""

    worker: int


@dataclass(frozen=True, slots=True)
class WorkerNotStarted:
    """A worker could not be set up; `Pool.retry_start` makes another attempt."""

    worker: int
    detail: str


@dataclass(frozen=True, slots=True)
class BatchAnswered:
    """A worker has finished its batch, with an answer or a fault."""

    worker: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A worker that was retired has ended."""

    worker: int


PoolEvent = WorkerReady | WorkerNotStarted | BatchAnswered | WorkerGone


class Pool:
    """Starts workers, assigns batches to them, and retires them.

    Parameters
    ----------
    make_host
        makes the host of a worker, by the number of the worker
    """

    def __init__(self, make_host: Callable[[int], Host]) -> None:
        self._make_host = make_host
        self._next = 0
        self._inboxes: dict[int, queue.SimpleQueue[Sequence[Slice] | None]] = {}
        self._threads: list[threading.Thread] = []
        self.events: queue.SimpleQueue[PoolEvent] = queue.SimpleQueue()

    @property
    def workers(self) -> Sequence[int]:
        """The workers that were started and have not been retired."""
        return list(self._inboxes)

    def start(self) -> int:
        """Start one more worker; `WorkerReady` follows when it is set up."""
        worker = self._next
        self._next += 1
        self._inboxes[worker] = queue.SimpleQueue()
        thread = threading.Thread(
            target=self._serve, args=(worker, self._inboxes[worker]), name=f"worker-{worker}"
        )
        thread.daemon = True
        thread.start()
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]
        return worker

    def assign(self, worker: int, slices: Sequence[Slice]) -> None:
        """Let a worker process a batch; `BatchAnswered` and then `WorkerReady` follow."""
        self._inboxes[worker].put(slices)

    def retry_start(self, worker: int) -> None:
        """Make another attempt to set up a worker that did not start."""
        if worker in self._inboxes:
            self._inboxes[worker].put(())

    def retire(self, worker: int) -> None:
        """End a worker; at once if it has no batch, else after it."""
        self._inboxes.pop(worker).put(None)

    def close(self, wait_s: float = 10.0) -> None:
        """End all workers."""
        for worker in self.workers:
            self.retire(worker)
        ends_s = time.monotonic() + wait_s
        for thread in self._threads:
            thread.join(max(0.0, ends_s - time.monotonic()))

    def _serve(self, worker: int, inbox: "queue.SimpleQueue[Sequence[Slice] | None]") -> None:
        host: Host | None = None
        try:
            while True:
                try:
                    host = host or self._make_host(worker)
                    host.start()
                except FinkrayError as error:
                    self.events.put(WorkerNotStarted(worker, str(error)))
                except Exception as error:  # noqa: BLE001 - `_give_up` logs it
                    host = _give_up(worker, host)
                    self.events.put(WorkerNotStarted(worker, error_text(error)))
                else:
                    self.events.put(WorkerReady(worker))
                slices = inbox.get()
                if slices is None:
                    return
                if slices and host is not None:
                    try:
                        answer = host.run(slices)
                    except Exception as error:  # noqa: BLE001 - the same
                        # A batch without an answer would be in work for ever.
                        host = _give_up(worker, host)
                        answer = Answer(fault="died", detail=error_text(error))
                    self.events.put(BatchAnswered(worker, answer))
        finally:
            if host is not None:
                host.close()
            self.events.put(WorkerGone(worker))


def _give_up(worker: int, host: Host | None) -> Host | None:
    """End a host that raised what it promises not to; return None: a new one is made."""
    log.exception("worker %d failed, and gets a new process", worker)
    if host is not None:
        host.close()
    return None
