"""A disk that is full, for the files of one folder; `small_disk` makes a real one."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def fill_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `finkray.whole_file` find no room for files in that folder."""
    os_open = os.open

    def open_or_refuse(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT and Path(path).parent == folder:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os_open(path, flags, *rest, **named)

    monkeypatch.setattr("finkray.whole_file.os.open", open_or_refuse)
