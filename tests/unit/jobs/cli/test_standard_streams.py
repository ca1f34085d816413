import subprocess
import sys

PROGRAM = """
import os, sys
from jobs.cli.standard_streams import mend_standard_streams
mend_standard_streams()
print("\N{MIDDLE DOT}")
sys.stderr.write("\N{MIDDLE DOT}")
assert sys.stdin.read() == ""
os.fstat(0), os.fstat(1), os.fstat(2)
with open(__import__("tempfile").mkstemp()[1]) as file:
    sys.exit(7 if file.fileno() > 2 else 8)
"""


def test_a_closed_stream_reads_nothing_and_takes_everything() -> None:
    # A file that is opened later must not get the number of the output.
    command = f"{sys.executable} -c '{PROGRAM}' <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 7


def test_a_terminal_without_utf_8_gets_any_text() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"\\xb7\n", b"\\xb7")
