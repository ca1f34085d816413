import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from jobs.commands.progress import Progress
progress = Progress()
sys.stdin.read()
with progress.waiting("long"):
    progress.say("first")
progress.tell("more")
progress.say("last")
open(sys.argv[1], "w").write("ended")
"""


def test_a_command_ends_what_it_began_though_nobody_reads_what_it_says(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "done")]
    reader, writer = os.pipe()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=writer, stderr=writer) as process:
        os.close(writer)
        os.close(reader)
        process.communicate()
    assert (process.returncode, (tmp_path / "done").read_text()) == (0, "ended")
