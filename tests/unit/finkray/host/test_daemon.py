"""How a daemon's process ends."""

import subprocess
import sys

import pytest

from finkray.host.exit_codes import DaemonExit

FAILS = """
import atexit, sys, time
import finkray.host.daemon
from finkray.errors import *
finkray.host.daemon.EXIT_S = 0.5
def work(options):
    raise {error}
if {hangs}:
    atexit.register(time.sleep, 60)
arguments = ["--unsupervised"] if {restarts} else []
parser = finkray.host.daemon.daemon_parser("a.module", "")
sys.exit(
    finkray.host.daemon.run_daemon(
        "a.module", parser, work, name="archive", restarts={restarts}, arguments=arguments
    )
)
"""


def ended(error: str, *, restarts: bool, hangs: bool = False) -> subprocess.CompletedProcess[str]:
    code = FAILS.format(error=error, hangs=hangs, restarts=restarts)
    return subprocess.run(
        [sys.executable, "-c", code], check=False, timeout=30, capture_output=True, text=True
    )


@pytest.mark.parametrize("hangs_at_its_end", [False, True])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("SettingsError('that is no port')", DaemonExit.SETTINGS),
        ("ArchiveHeld('by another')", DaemonExit.HELD),
        ("CodeMismatch('of another finkray')", DaemonExit.FAILED),
        ("ClusterUnavailable('no Ray')", DaemonExit.RESTART),
        ("KeyError('nobody foresaw it')", DaemonExit.RESTART),
    ],
)
def test_the_exit_code_of_a_process_that_fails(
    error: str, code: DaemonExit, *, hangs_at_its_end: bool
) -> None:
    assert ended(error, restarts=True, hangs=hangs_at_its_end).returncode == code


@pytest.mark.parametrize("error", ["ClusterUnavailable('no Ray')", "KeyError('unforeseen')"])
def test_a_daemon_without_a_supervisor_does_not_ask_for_a_restart(error: str) -> None:
    assert ended(error, restarts=False).returncode == DaemonExit.FAILED


def test_the_log_says_which_daemon_stopped_and_why() -> None:
    assert "archive stopped: unexpected error" in ended("KeyError(1)", restarts=True).stderr
    assert (
        "ERROR a.module: that is no port"
        in ended("SettingsError('that is no port')", restarts=False).stderr
    )
