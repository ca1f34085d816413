"""Handle Ctrl-C and similar signals in a command that must finish what it started."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets; the second raises KeyboardInterrupt.

    SIGTERM and the loss of the terminal set it too, as often as they come: a closed terminal sends
    SIGHUP, and so does its shell. The first signal raises no exception: it could be raised
    anywhere, and Python drops an exception that is raised during a clean-up.
    """
    stopping = threading.Event()

    def request_stop(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    with _handled_by(request_stop, (signal.SIGINT, *_without_ignored_hangup())):
        yield stopping


@contextmanager
def endings_interrupt() -> Iterator[None]:
    """Let SIGTERM and the loss of the terminal raise KeyboardInterrupt, as Ctrl-C does.

    Without that they end a command at once, and what it began stays: a Ray without a job, or a job
    that its foreground command should have drained.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled_by(interrupt, _without_ignored_hangup()):
        yield


def _without_ignored_hangup() -> tuple[int, ...]:
    """Return SIGTERM and SIGHUP; the second only if the command shall not outlive its terminal."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM,) if ignored else (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def _handled_by(
    handler: Callable[[int, FrameType | None], None], numbers: Iterable[int]
) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


class Interrupts:
    """Ctrl-C, SIGTERM and the loss of the terminal, for a command whose steps cannot be waited for.

    Each signal raises KeyboardInterrupt wherever the command is. Python drops the exception if it
    is raised during a clean-up, so the signal is also remembered, for `check` before the next step.
    While the command cleans up at its end, signals are ignored.
    """

    def __init__(self) -> None:
        self._received = False
        self._ending = False

    def install(self) -> None:
        """Install the handlers; call it again after `ray.init`, which installs its own.

        SIGINT is handled even if it was ignored, as in a command that a script started in the
        background. SIGHUP that was ignored stays so: the command shall outlive its terminal.
        """
        for number in _ENDING:
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._receive)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal was received."""
        if self._received:
            raise KeyboardInterrupt

    @contextmanager
    def ignored_after(self) -> Iterator[None]:
        """Ignore signals after the block, while the command cleans up."""
        try:
            yield
        finally:
            self._ending = True

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self._received = True
        if not self._ending:
            raise KeyboardInterrupt


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Defer signals to the end of the block, and let processes started in it handle SIGINT.

    A command that a script put into the background ignores SIGINT, and its children would inherit
    that.
    """
    received: list[int] = []
    handled = [
        number
        for number in _ENDING
        if number is signal.SIGINT or callable(signal.getsignal(number))
    ]
    before = {
        number: signal.signal(number, lambda caught, _: received.append(caught))
        for number in handled
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for caught in received:
            signal.raise_signal(caught)
