"""The bound of an ingest actor's memory holds also after a look that failed."""

import errno
import threading
from typing import Any

import psutil
import pytest

from finkray.ingest.memory_watch import MemoryWatch


def test_a_look_that_fails_is_repeated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look = psutil.Process.memory_info
    failures = [OSError(errno.EMFILE, "Too many open files")] * 3

    def fail_first(process: psutil.Process) -> Any:
        if failures:
            raise failures.pop()
        return look(process)

    monkeypatch.setattr(psutil.Process, "memory_info", fail_first)
    taken: list[int] = []
    exceeded = threading.Event()

    def note(used_bytes: int) -> None:
        taken.append(used_bytes)
        exceeded.set()

    MemoryWatch(2**20, note)
    assert exceeded.wait(60)
    assert taken[0] > 2**20
    assert caplog.text.count("Too many open files") == 1
