import subprocess
import sys
import time

import psutil

from bench.meter import Meter

BURN = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\n"
UNTIL_CLOSED = "import sys\nsys.stdin.read()\n"
CHILD = BURN + "time.sleep(600)"
PARENT = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {CHILD!r}])\n"


def started(code: str) -> "subprocess.Popen[bytes]":
    """Start a process that runs the code and then waits for `process.communicate()`."""
    return subprocess.Popen([sys.executable, "-c", code + UNTIL_CLOSED], stdin=subprocess.PIPE)


def wait_for_cpu(meter: Meter, cpu_s: float) -> float:
    deadline = time.monotonic() + 60
    while (used := meter.sample().cpu_s) < cpu_s and time.monotonic() < deadline:
        time.sleep(0.05)
    return used


def test_descendants_count_after_their_parent_has_ended() -> None:
    process = started(PARENT)
    meter = Meter(process.pid)
    wait_for_cpu(meter, 0.4)
    (child,) = psutil.Process(process.pid).children()
    process.communicate()
    used = meter.sample()
    assert used.cpu_s >= 0.4
    assert used.rss_bytes > 1_000_000
    meter.end_all()
    assert not child.is_running()


def test_the_cpu_time_of_an_ended_process_stays_in_the_sum() -> None:
    process = started(BURN)
    meter = Meter(process.pid)
    before = wait_for_cpu(meter, 0.4)
    process.communicate()
    after = meter.sample()
    assert after.cpu_s >= before > 0
    assert after.rss_bytes == 0


def test_excluded_processes_do_not_count() -> None:
    process = started(BURN)
    everything, nothing = Meter(process.pid), Meter(process.pid, without=("process_time",))
    wait_for_cpu(everything, 0.2)
    assert everything.sample().rss_bytes > 0
    assert nothing.sample().rss_bytes == 0
    everything.end_all()
