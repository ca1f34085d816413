"""A driver whose loop does not advance is ended, so that its supervisor starts a fresh one."""

import subprocess
import sys

from finkray.driver.watchdog import CHECK_S
from finkray.host.exit_codes import DaemonExit

LIMIT_S = 2 * CHECK_S

STANDS_STILL = f"""
import time
from finkray.driver.watchdog import Watchdog
def a_call_that_hangs():
    time.sleep(60)
with Watchdog({LIMIT_S}):
    a_call_that_hangs()
"""

ADVANCES_AND_ENDS = """
import time
from finkray.driver import watchdog
watchdog.CHECK_S = 0.1
limit_s = 10 * watchdog.CHECK_S
with watchdog.Watchdog(limit_s) as dog:
    for _ in range(40):
        dog.beat()
        time.sleep(0.05)
    print("advanced")
time.sleep(limit_s + 2 * watchdog.CHECK_S)
print("ended")
"""
"""Twice the limit with beats, then longer than the limit without any, after the loop has ended."""

DOES_NOT_CLOSE = """
import time
from finkray.driver.watchdog import closing_within
try:
    raise ValueError("Spark is gone")
finally:
    with closing_within(0.2):
        time.sleep(60)
"""

CLOSES = """
import time
from finkray.driver.watchdog import closing_within
with closing_within(0.2):
    print("closed")
time.sleep(0.5)
"""


def test_a_loop_that_does_not_advance_ends_the_process_and_shows_the_stacks() -> None:
    command = [sys.executable, "-c", STANDS_STILL]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == DaemonExit.RESTART
    assert "a_call_that_hangs" in ended.stderr
    assert "has not advanced" in ended.stderr


def test_a_process_whose_loop_advances_or_has_ended_is_not_ended() -> None:
    """A watchdog that struck here would end the process with `DaemonExit.RESTART`."""
    command = [sys.executable, "-c", ADVANCES_AND_ENDS]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "advanced\nended\n"), ended.stderr


def test_a_process_that_does_not_close_says_why_it_closes_and_ends() -> None:
    command = [sys.executable, "-c", DOES_NOT_CLOSE]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == DaemonExit.RESTART
    assert "did not close within" in ended.stderr
    assert "ValueError: Spark is gone" in ended.stderr


def test_a_process_that_closes_in_time_goes_on() -> None:
    command = [sys.executable, "-c", CLOSES]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (0, "closed\n"), ended.stderr
