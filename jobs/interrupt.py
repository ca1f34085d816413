"""Ctrl-C at a command that has something to bring to an end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


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
