"""A driver whose loop does not advance is ended, so that its supervisor starts a fresh one."""

import subprocess
import sys
import time

from finkray.driver.watchdog import CHECK_S, Watchdog
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


def test_a_loop_that_does_not_advance_ends_the_process_and_shows_the_stacks() -> None:
    command = [sys.executable, "-c", STANDS_STILL]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == DaemonExit.RESTART
    assert "a_call_that_hangs" in ended.stderr
    assert "has not advanced" in ended.stderr


def test_a_process_whose_loop_advances_or_has_ended_is_not_ended() -> None:
    with Watchdog(LIMIT_S) as watchdog:
        for _ in range(round(2 * LIMIT_S / 0.1)):
            watchdog.beat()
            time.sleep(0.1)
    time.sleep(LIMIT_S + 2 * CHECK_S)
