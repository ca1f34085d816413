"""Read the log of a job while it grows."""

from pathlib import Path
from typing import Final

_END_LINES: Final = 20


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


def text_end(path: Path) -> str:
    """Return the last lines of a log."""
    if not path.exists():
        return "(there is none)"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_END_LINES:])
