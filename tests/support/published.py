"""Packages as they are published, which our environment does not have."""

import subprocess
import sys
from pathlib import Path

import pytest


def install(folder: Path, *packages: str) -> Path:
    """Install packages, without what they declare to need, into a folder; return it.

    Where the registry is out of reach the test is skipped.
    """
    wanted = [sys.executable, "-m", "pip", "install", "--no-deps", "-q", "--target", str(folder)]
    done = subprocess.run(
        [*wanted, *packages], capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        pytest.skip(f"{packages[0]} cannot be had here: {done.stderr[-300:]}")
    return folder
