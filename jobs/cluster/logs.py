"""Read the log of a job while it grows."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_END_LINES: Final = 20

_END_BYTES: Final = 1 << 16
"""What is read of a log for its last failure: it may be long, and a traceback has some KiB."""

_RESTART: Final = re.compile(r" process exited with (-?\d+); restarting in [\d.]+ s$", re.MULTILINE)
"""As `finkray.host.supervise` logs it."""

_ERROR: Final = re.compile(r"^[A-Za-z_][\w.]*: (.+)$", re.MULTILINE)
"""The last line of a traceback."""


class LogText:
    """The text of a log, piece by piece; a log that does not exist yet has none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def more(self) -> str:
        """Return what was written since the last call."""
        if not self._path.exists():
            return ""
        with self._path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._position)
            text = file.read()
            self._position = file.tell()
        return text


def failures_in(text: str) -> list[str]:
    """Return why a process that is restarted failed, once for each restart that a log tells of."""
    begins, found = 0, []
    for restart in _RESTART.finditer(text):
        errors = _ERROR.findall(text, begins, restart.start())
        found.append(errors[-1] if errors else f"it exited with {restart[1]}")
        begins = restart.end()
    return found


def failing_jobs(logs: Mapping[str, Path]) -> tuple[str, ...]:
    """Return a line for each job whose log tells that its process fails and is started again.

    Parameters
    ----------
    logs
        of jobs that run and do not report, by name of the job
    """
    found = []
    for name, path in logs.items():
        if failures := failures_in(_end(path)):
            found.append(
                f"{name} fails and is started again and again: {failures[-1]} "
                f"(finkray logs {name} shows more)"
            )
    return tuple(found)


def _end(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END_BYTES))
        return file.read().decode("utf-8", errors="replace")


def text_end(path: Path) -> str:
    """Return the last lines of a log."""
    if not path.exists():
        return "(there is none)"
    return "\n".join(_end(path).splitlines()[-_END_LINES:])
