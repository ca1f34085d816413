"""Processes that a killed Ray left behind: found without taking anybody else's for them."""

import os

import psutil

from finkray.host.process import ProcessRecord
from finkray.host.supervise import left_in


def orphans(head: ProcessRecord) -> list[psutil.Process]:
    """Processes of the session that a head began, which has been killed since.

    Its jobs are not among them: each has a session of its own, and a watcher of Ray's that
    ends it with its supervisor. Nor is a program that a person has open on one of its logs.
    """
    if not _is_session_of(head):
        return []
    return left_in(head.pid)


def _is_session_of(record: ProcessRecord) -> bool:
    """Whether a session of this id is still the recorded process's: no other one has its id.

    The kernel gives an id away again only when nothing is left in the session of that id.
    """
    try:
        return abs(psutil.Process(record.pid).create_time() - record.started_at_unix_s) < 2
    except psutil.NoSuchProcess:
        return True


def kill(processes: list[psutil.Process]) -> None:
    """End processes at once, and wait until they are gone."""
    # psutil compares start times first: a process that only has the id is not meant.
    alive = [process for process in processes if process.pid != os.getpid()]
    for process in alive:
        if process.is_running():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
    psutil.wait_procs(alive, timeout=10)
