"""The processes of this machine are found as they are, and not as they were."""

import subprocess

import psutil

from finkray.host.processes import command_of, running_processes
from tests.support.archiving import wait_until


def test_a_process_is_known_that_has_the_id_of_one_that_has_ended() -> None:
    """psutil yields the ended one, which it says is not running and does not kill."""
    with subprocess.Popen(["sleep", "60"]) as child:
        for known in psutil.process_iter():  # noqa: TID251 # fills what psutil remembers
            if known.pid == child.pid:
                known._ident = (child.pid, 1.0)  # of another start, as when the id is used again
        (found,) = (each for each in running_processes() if each.pid == child.pid)
        runs = found.is_running()
        child.kill()
        assert runs


def test_a_process_that_has_ended_has_no_words() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        process = psutil.Process(child.pid)
        # For some instructions after it began to run a program, a process has no command line.
        wait_until("the command line to be there", lambda: command_of(process) == ["sleep", "60"])
        child.kill()
    assert command_of(process) == []
