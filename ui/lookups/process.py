"""Run look-ups in a child process, so that none can stop the live page or take its memory.

One look-up runs at a time, a few wait. One that takes too long ends with its process, and the next
look-up starts a new one, which takes a second or two; on a machine that is very busy much longer,
so the time of a look-up counts from when its code is loaded.
"""

import logging
import multiprocessing
import os
import resource
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import pyarrow as pa

from finkray.errors import FinkrayError
from finkray.reader import Archive
from finkray.storage.contract import Storage
from finkray.text import error_text

_LOG = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

TIMEOUT_S: Final = 30.0
"""An object in a night of a million alerts takes 0.1 s with an index, and some seconds without."""

START_S: Final = 180.0
"""Until the process has started and loaded the code of a look-up: if that counted as its time, a
busy machine would end each look-up and its process, and never answer one."""

WAITING: Final = 8
"""Look-ups that may wait for their turn; more are refused. A browser asks for six images at a
time."""

DATA_BYTES: Final = 3 << 30
"""Most private memory of the process: an object with 10 000 alerts takes 0.5 GiB."""

NOT_THERE: Final = 422
"""HTTP status of a look-up for what the archive does not have, or that makes no sense."""

NICE: Final = 5
"""The archive and the live page come first."""


class LookupRefused(FinkrayError):
    """A look-up that could not be answered, with the reason.

    Parameters
    ----------
    text
        The reason, for the viewer.
    status
        HTTP status of an API's answer.
    """

    def __init__(self, text: str, status: int = NOT_THERE) -> None:
        super().__init__(text)
        self.status = status


class Lookups:
    """Runs look-ups in an archive; several threads may ask.

    Parameters
    ----------
    storage
        Of the archive.
    timeout_s
        Seconds after which a look-up is ended.
    waiting
        Look-ups that may wait for their turn.
    data_bytes
        Private memory that the process may take.
    """

    def __init__(
        self,
        storage: Storage,
        timeout_s: float = TIMEOUT_S,
        *,
        waiting: int = WAITING,
        data_bytes: int = DATA_BYTES,
    ) -> None:
        self._storage = storage
        self._timeout_s = timeout_s
        self._data_bytes = data_bytes
        self._places = threading.Semaphore(1 + waiting)
        self._lock = threading.Lock()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection[Any, Any] | None = None

    @property
    def uri(self) -> str:
        """URI of the archive."""
        return self._storage.uri

    def ask(
        self,
        function: Callable[Concatenate[Archive, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Return what a function of a module returns for the archive and these arguments.

        Raises
        ------
        LookupRefused
            It raised an error, took too long or too much memory, or too many look-ups wait.
        """
        if not self._places.acquire(blocking=False):
            raise LookupRefused("too many look-ups wait already: try again in a few seconds", 503)
        try:
            with self._lock:
                answer, refusal = self._answer((function, args, kwargs))
        finally:
            self._places.release()
        if refusal is not None:
            raise LookupRefused(*refusal)
        found: T = answer
        return found

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _answer(self, request: tuple[Any, ...]) -> tuple[Any, tuple[str, int] | None]:
        connection = self._started()
        try:
            connection.send(request)
            if not connection.poll(START_S):
                self._end()
                return None, ("the machine is too busy to look: try again in a minute", 503)
            connection.recv()  # the look-up begins
            if not connection.poll(self._timeout_s):
                self._end()
                seconds = f"{self._timeout_s:.0f} s"
                return None, (f"it took longer than {seconds} and was ended: ask for less", 504)
            answer: tuple[Any, tuple[str, int] | None] = connection.recv()
        except (EOFError, OSError):
            self._end()
            limit = f"{self._data_bytes >> 30} GiB"
            return None, (f"its process ended, perhaps above {limit} of memory: ask for less", 500)
        return answer

    def _started(self) -> "Connection[Any, Any]":
        if self._process is None or not self._process.is_alive() or self._connection is None:
            self._end()
            context = multiprocessing.get_context("spawn")
            self._connection, other = context.Pipe()
            self._process = context.Process(
                target=_serve,
                args=(other, self._storage, self._data_bytes),
                name="finkray-lookups",
                daemon=True,
            )
            self._process.start()
            other.close()
        return self._connection

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _serve(connection: "Connection[Any, Any]", storage: Storage, data_bytes: int) -> None:
    """Answer until the other end is closed: the main function of the child."""
    os.nice(NICE)
    # Unlike RLIMIT_AS it does not count what Arrow's and DuckDB's allocators reserve and never use.
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
    archive = Archive(storage)
    while True:
        try:
            function, args, kwargs = connection.recv()
        except EOFError:
            return
        connection.send(None)  # all is loaded
        try:
            answer, refusal = function(archive, *args, **kwargs), None
        except LookupRefused as error:
            answer, refusal = None, (str(error), error.status)
        except (FinkrayError, ValueError, OverflowError, pa.ArrowException, OSError) as error:
            answer, refusal = None, (error_text(error), NOT_THERE)
        except MemoryError:
            answer, refusal = None, ("it took too much memory: ask for less", 422)
        except Exception as error:  # noqa: BLE001 - the process of all look-ups goes on
            _LOG.exception("the look-up %s failed: a bug", function.__name__)
            answer, refusal = None, (f"a bug: {error!r}; the log of the page shows where", 500)
        try:
            connection.send((answer, refusal))
        except MemoryError:  # it needs a copy of the answer, before the first byte is sent
            connection.send((None, ("the answer is too large: ask for less", 422)))
