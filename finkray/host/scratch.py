"""Temporary folders that belong to one process, and are deleted after its end however it ended.

A process that is killed deletes nothing. So the name of such a folder tells whose it is::

    finkray-<kind>-<boot and pid namespace>-<pid>-<start>-<random>

A later process deletes those whose process has ended. The name is there from the first moment, so
none that is being made can be taken for one that was left. What belongs to a process that cannot
be seen, as of another container, stays.
"""

import hashlib
import logging
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from finkray.host.process_id import ProcessId

_LOG = logging.getLogger(__name__)


def make_scratch(kind: str) -> Path:
    """Create a folder for this process, which its user alone may enter.

    Before, delete what processes of this user left that have ended.
    """
    mine = ProcessId.mine()
    left = [folder for folder in _of_ended_processes(kind, mine) if _delete(folder)]
    if left:
        _LOG.info("deleted %d temporary folders that killed processes left", len(left))
    start = f"{_seen_together(kind, mine)}{mine.pid}-{mine.started}-"
    return Path(tempfile.mkdtemp(prefix=start))


def _of_ended_processes(kind: str, mine: ProcessId) -> list[Path]:
    pattern = re.compile(re.escape(_seen_together(kind, mine)) + r"(\d+)-(\d+)-\w+")
    found = []
    for folder in Path(tempfile.gettempdir()).iterdir():
        if name := pattern.fullmatch(folder.name):
            owner = replace(mine, pid=int(name[1]), started=name[2])
            if not owner.is_running():
                found.append(folder)
    return found


def _seen_together(kind: str, mine: ProcessId) -> str:
    """Return how the names begin of folders whose processes this process can see."""
    where = hashlib.sha256(f"{mine.boot_id} {mine.pid_namespace}".encode()).hexdigest()
    return f"finkray-{kind}-{where[:8]}-"


def _delete(folder: Path) -> bool:
    """Delete a folder of this user; return whether it is gone."""
    with suppress(OSError):
        if folder.lstat().st_uid == os.geteuid():
            shutil.rmtree(folder)
            return True
    return False
