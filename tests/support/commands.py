"""`finkray` as somebody gives it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

WAIT_S = 400.0
"""Enough for a start of everything on a machine that does other things too."""


def finkray(
    *words: str, folder: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Give the command in that folder, and wait for what it says."""
    return subprocess.run(
        [sys.executable, "-m", "jobs.cli.main", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
