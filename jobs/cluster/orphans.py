"""Find the processes that a killed Ray left behind, and no other process."""

import os

import psutil

from finkray.host.process import ProcessRecord
from finkray.host.supervise import left_in


def orphans(head: ProcessRecord) -> list[psutil.Process]:
    """Return the processes of the session of a head that was killed.

    Its jobs are not among them: each has a session of its own, and a watcher of Ray that ends it
    with its supervisor. A program that a person has opened on one of its logs is not either.
    """
    if not _is_session_of(head):
        return []
    return left_in(head.pid)


def _is_session_of(record: ProcessRecord) -> bool:
    """Return whether a session of this id is still the recorded process's.

    The kernel reuses an id only when no process is left in the session of that id.
    """
    try:
        return abs(psutil.Process(record.pid).create_time() - record.started_at_unix_s) < 2
    except psutil.NoSuchProcess:
        return True


def kill(processes: list[psutil.Process]) -> None:
    """Kill processes, and wait until they have ended."""
    # psutil compares start times first, so another process with a reused id is not killed.
    alive = [process for process in processes if process.pid != os.getpid()]
    for process in alive:
        if process.is_running():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
    psutil.wait_procs(alive, timeout=10)
