"""A disk that is full, for the files of one folder; `small_disk` makes a real one."""

import errno
import os
from pathlib import Path

import pytest


def fill_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `finkray.whole_file` find no room for files in that folder."""
    fsync = os.fsync

    def fsync_or_refuse(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().parent == folder:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr("finkray.whole_file.os.fsync", fsync_or_refuse)
