"""Ctrl-C, and its like, at a command that has something to bring to an end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def asked_by_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second is as always.

    No exception for the first: where it arises is up to chance, and Python drops one that
    arises while it clears something away.
    """
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


class Interrupts:
    """Ctrl-C, SIGTERM and a terminal that has gone, at a command whose steps cannot wait.

    Each raises KeyboardInterrupt where the command is. Python drops that if it arises while
    something is cleared away, so it is remembered too, for whoever looks at the next step. When
    the command brings all to an end, no more of them disturbs it.
    """

    def __init__(self) -> None:
        self._came = False
        self._ending = False

    def listen(self) -> None:
        """From now on. To be said once more after `ray.init`, which has a handler of its own.

        SIGINT also where a script started the command in the background, which ignores it; but a
        command that was to outlive its terminal does.
        """
        for number in _ENDING:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._hear)

    def look(self) -> None:
        """Raise KeyboardInterrupt if one came."""
        if self._came:
            raise KeyboardInterrupt

    @contextmanager
    def until_the_end(self) -> Iterator[None]:
        """What is after the block is the end, which is not to be disturbed."""
        try:
            yield
        finally:
            self._ending = True

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._came = True
        if not self._ending:
            raise KeyboardInterrupt


@contextmanager
def interrupted_after() -> Iterator[None]:
    """What would interrupt the block does so when it is over, and in force for its children.

    A command that a script put into the background has SIGINT ignored, and would hand that down.
    """
    came: list[int] = []
    handled = [n for n in _ENDING if n is signal.SIGINT or callable(signal.getsignal(n))]
    before = {n: signal.signal(n, lambda number, _: came.append(number)) for n in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for caught in came:
            signal.raise_signal(caught)
