import subprocess
import sys

from finkray.serving.memory import ProcessMemory, may_have_children
from tests.support.archiving import wait_until

PARENT = """
import subprocess, sys
if input() == "start":
    child = subprocess.Popen([sys.executable, "-c", "x = b'x' * 300_000_000; input()"], stdin=-1)
print("started", flush=True)
input()
"""


def test_the_memory_of_children_counts_and_a_search_needs_some() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert not may_have_children(parent.pid)
        memory = ProcessMemory(parent.pid)
        assert 0 < memory.own_bytes() < 100_000_000
        parent.stdin.write("start\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "started\n"
        assert may_have_children(parent.pid)
        wait_until("the child to be counted", lambda: memory.own_bytes() > 300_000_000)
        parent.kill()
    assert may_have_children(parent.pid), "of a process that has ended the kernel says nothing"
    assert memory.own_bytes() == 0
