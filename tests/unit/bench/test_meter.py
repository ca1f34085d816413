import subprocess
import sys
import time

import psutil

from bench.meter import Meter

BURN = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\n"
GRANDPARENT = (
    "import subprocess, sys, time\n"
    f"subprocess.Popen([sys.executable, '-c', {BURN + 'time.sleep(60)'!r}])\n"
    "time.sleep({stays_s})\n"
)


def started(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code])


def wait_for_cpu(meter: Meter, cpu_s: float) -> float:
    deadline = time.monotonic() + 60
    while (used := meter.sample().cpu_s) < cpu_s and time.monotonic() < deadline:
        time.sleep(0.05)
    return used


def test_descendants_count_also_when_their_parent_has_ended() -> None:
    process = started(GRANDPARENT.format(stays_s=1.0))
    meter = Meter(process.pid)
    wait_for_cpu(meter, 0.1)
    children = psutil.Process(process.pid).children()
    process.wait()
    assert wait_for_cpu(meter, 0.4) >= 0.4
    assert meter.sample().rss_bytes > 1_000_000
    meter.end_all()
    assert len(children) == 1
    assert not children[0].is_running()


def test_what_an_ended_process_used_stays_in_the_sum() -> None:
    process = started(BURN + "time.sleep(1)")
    meter = Meter(process.pid)
    before = wait_for_cpu(meter, 0.4)
    process.wait()
    after = meter.sample()
    assert after.cpu_s >= before >= 0.4
    assert after.rss_bytes == 0
