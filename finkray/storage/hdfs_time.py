"""A limit of time for each call of a library that has none.

The library waits for minutes while a name node is away, and for ever for one that accepts a
connection and answers nothing. So each call runs in a thread of its own. When the limit has passed,
the caller waits no longer, and the thread ends before the next step of the call: at the latest when
the library returns. The library's asynchronous client could be cancelled, but it panics when it
waits for a name node (0.14.7).
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class GivenUp(Exception):
    """The limit of time of a call has passed."""


class CallLimit:
    """The limit of time of one call: the call and the thread that waits for it share it.

    The call says after each step that the limit counts anew; the thread gives the call up when the
    limit has passed, and the call ends before its next step.

    Parameters
    ----------
    limit_s
        how long the call, or each stretch of it that ends with `moved`, may take

    Attributes
    ----------
    ended
        whether the call has returned or raised
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.ended = False
        self._ends_s = time.monotonic() + limit_s
        self._given_up = False

    def check(self) -> None:
        """End the call if it was given up: to be called before a step that changes something."""
        if self._given_up:
            raise GivenUp

    def moved(self) -> None:
        """Say that a step was done: the limit counts anew."""
        self.check()
        self._ends_s = time.monotonic() + self.limit_s

    def left_s(self) -> float:
        """Return how long the call may still take."""
        return self._ends_s - time.monotonic()

    def give_up(self) -> None:
        """Let the call end before its next step."""
        self._given_up = True


def within(limit: CallLimit, call: Callable[[CallLimit], T]) -> T:
    """Return what a call returns, or raise what it raises, within a limit of time.

    Raises
    ------
    TimeoutError
        if the call takes longer; a request that it has sent may still be carried out
    """
    answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(limit), None))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            answers.put((None, error))
        finally:
            limit.ended = True

    threading.Thread(target=run, name="hdfs", daemon=True).start()
    while (left_s := limit.left_s()) > 0:
        try:
            answer, error = answers.get(timeout=left_s)
        except queue.Empty:
            continue
        if error is None:
            return answer  # type: ignore[return-value]  # of the call itself
        if isinstance(error, Exception):
            raise error
        # A panic of the library is no Exception.
        raise RuntimeError(f"the client library failed: {error}") from error
    limit.give_up()
    raise TimeoutError(f"no answer within {limit.limit_s:g} s")
