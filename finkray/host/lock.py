"""A lock between processes that may work on the same folder at the same time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Lock the file `path`, which is created if missing; wait while another process has the lock.

    The kernel releases the lock when its process ends, so a lock is never stale. The file is not
    deleted, because then two processes could lock two files of one name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
