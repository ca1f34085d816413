"""Find the processes that a killed Ray left behind, and no other process."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from finkray.host.process import ProcessRecord
from finkray.host.processes import command_of, running_processes
from finkray.host.supervise import left_in

KILL_WAIT_S: Final = 10.0
"""How long killed processes may take to end; one that the kernel holds may take longer."""

HOME_VARIABLE: Final = "FINKRAY_LOCAL_RAY_HOME"
"""Environment variable of Ray's processes, its jobs and all that they start: the cluster's home.

When the raylet ends, the supervisor of a job kills its direct children: the shell of the job, and
the watching process that would kill the shell's process group. The program of the job lives on, in
a session of its own, unless it is connected to Ray."""


def orphans(head: ProcessRecord, home: Path) -> list[psutil.Process]:
    """Return the processes that are left of a cluster whose head was killed.

    They are those of the head's session, and those that have the cluster's home in their
    environment. A program that a person has opened on one of its logs is not among them.
    """
    session = left_in(head.pid) if head.may_have_session() else []
    return [*session, *(each for each in _started_by(home) if each not in session)]


def left_of_job(home: Path, settings: Path) -> list[psutil.Process]:
    """Return the processes that are left of one job of a cluster, with those that they started.

    Parameters
    ----------
    home
        Home of the cluster.
    settings
        The settings file of the job, which stands on its command line.
    """
    left: list[psutil.Process] = []
    for process in _started_by(home):
        if any(str(settings) in word for word in command_of(process)):
            left.append(process)
            with suppress(psutil.Error):  # it has ended since, or another user's cannot be read
                left += process.children(recursive=True)
    return left


def _started_by(home: Path) -> list[psutil.Process]:
    """Return the processes that Ray or a job of this cluster has started, without this process."""
    started = []
    for process in running_processes():
        with suppress(psutil.Error):  # it has ended, or is another user's
            if process.environ().get(HOME_VARIABLE) == str(home) and process.pid != os.getpid():
                started.append(process)
    return started


def kill(processes: list[psutil.Process]) -> None:
    """Kill processes, and wait until they have ended."""
    # psutil compares start times first, so another process with a reused id is not killed.
    alive = [process for process in processes if process.pid != os.getpid()]
    deadline_s = time.monotonic() + KILL_WAIT_S
    for process in alive:
        if process.is_running():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
    for process in alive:
        # Linux 6.15 answers ENOENT, which psutil does not expect, for one that ended just now.
        with suppress(psutil.TimeoutExpired, FileNotFoundError):
            process.wait(max(0.0, deadline_s - time.monotonic()))
