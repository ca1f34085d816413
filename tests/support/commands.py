"""The command line `finkray`, run as a process or inside the test."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

WAIT_S = 400.0
"""Time limit of a command: enough to start Ray and Spark on a busy machine."""


class Answer(NamedTuple):
    """What a command inside the test returned and printed."""

    returncode: int
    stdout: str
    stderr: str


Finkray = Callable[..., Answer]
"""The type of the fixture `finkray` of tests/conftest.py: run a command inside the test."""


def finkray(
    *words: str, folder: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run the command as a process in that folder, and wait until it ends."""
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli.main", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
