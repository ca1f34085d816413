"""Commands on an archive whose disk does not answer say so and end."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.archiving import wait_until
from tests.support.hung_folder import hung_folder

pytestmark = pytest.mark.timeout(240)


def waits_for_disk(process_id: int) -> bool:
    """Whether a thread of the process is in a call that no signal but SIGKILL ends."""
    tasks = Path(f"/proc/{process_id}/task").iterdir()
    return any("D (disk sleep)" in (task / "status").read_text() for task in tasks)


def test_commands_say_that_the_folder_does_not_answer(tmp_path: Path) -> None:
    with hung_folder(tmp_path / "disk") as disk:
        archive = disk / "archive"
        environment = {
            **os.environ,
            "FINKRAY_STATE": str(tmp_path / "state"),
            "FINKRAY__ARCHIVE__URI": str(archive),
        }

        def begin(*words: str) -> "subprocess.Popen[str]":
            return subprocess.Popen(
                [sys.executable, "-m", "jobs.cli.main", *words],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        told = f"{archive}(/ledger)? does not answer: is its disk, or the server behind it, up"
        # `status` has told what it can: with `--check` it is an error.
        exits = {
            "status": 0,
            "start archive": 3,
            "start index": 3,
            "outliers list": 3,
            "storage check": 1,
            "ledger rebuild --dry-run": 3,
        }
        asked = {words: begin(*words.split()) for words in exits}
        interrupted = begin("outliers", "list")
        try:
            wait_until("it waits for the folder", lambda: waits_for_disk(interrupted.pid))
            interrupted.send_signal(signal.SIGINT)
            assert interrupted.wait(60) == 130
            for words, process in asked.items():
                output, errors = process.communicate(timeout=60)
                assert process.returncode == exits[words], (words, output, errors)
                assert len(re.findall(told, output + errors)) == 1, (words, output, errors)
        finally:
            for process in (interrupted, *asked.values()):
                process.kill()
                process.communicate()
