"""A lock between processes that may work on the same folder at the same time."""

import fcntl
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

_LOG = logging.getLogger(__name__)

_QUIET_S: Final = 2.0
"""Who waits for longer says so. Most have the lock for less, and a start of Ray for minutes."""

_POLL_S: Final = 0.05


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Lock the file `path`, which is created if missing; wait while another process has the lock.

    The kernel releases the lock when its process ends, so a lock is never stale. The file is not
    deleted, because then two processes could lock two files of one name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        if not _locked_within(file, _QUIET_S):
            _LOG.warning(
                "another process works in %s: waiting for it (`fuser %s` names it)",
                path.parent,
                path,
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _locked_within(file: TextIO, wait_s: float) -> bool:
    until_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until_s:
                return False
            time.sleep(_POLL_S)
        else:
            return True
