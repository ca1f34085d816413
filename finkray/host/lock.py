"""A lock between processes, for work on a folder that two of them may begin at once."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the file `path` (made if missing) locked; wait while another process does.

    The kernel lets the lock go with the process that holds it, so there is no stale one.
    The file stays: to remove it would let two processes hold locks on two files of one name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
