"""SIGINT and SIGTERM end a main loop, whatever it does at that moment."""

import signal
import subprocess
import sys

import pytest

STOP_WHILE_A_LOCK_IS_HELD = """
import os, signal, sys, threading
from finkray.host.signals import handle_signals

signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in what a script puts into the background
lock = threading.Lock()

class Stopping(threading.Event):
    def set(self):
        with lock:
            super().set()

stopping = Stopping()
handle_signals(stopping)
with lock:
    os.kill(os.getpid(), int(sys.argv[1]))
stopping.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_counts_even_while_the_main_thread_holds_the_lock(number: signal.Signals) -> None:
    command = [sys.executable, "-c", STOP_WHILE_A_LOCK_IS_HELD, str(int(number))]
    assert subprocess.run(command, check=False, timeout=20).returncode == 0
