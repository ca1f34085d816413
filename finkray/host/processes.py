"""List the processes of this machine."""

from collections.abc import Iterator
from contextlib import suppress

import psutil


def running_processes() -> Iterator[psutil.Process]:
    """Yield the processes of this machine as they are now, by rising id.

    `psutil.process_iter` remembers what it found in earlier calls of this process by id. Where an
    id is used again, it yields the process that has ended: psutil does not kill that one, does not
    list its children and says that it does not run. Ids are soon used again: many machines count
    to 32768, threads included.
    """
    for pid in psutil.pids():
        with suppress(psutil.NoSuchProcess):  # it has ended since it was listed
            yield psutil.Process(pid)


def command_of(process: psutil.Process) -> list[str]:
    """Return the words of a process's command line; none of one that has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
