"""The log of a service, read while it grows."""

from pathlib import Path
from typing import Final

_END_LINES: Final = 20


class LogText:
    """The text of a log, piece by piece; a log that is not there yet has none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def more(self) -> str:
        """What was written since the last time."""
        if not self._path.exists():
            return ""
        with self._path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._position)
            text = file.read()
            self._position = file.tell()
        return text


def text_end(path: Path) -> str:
    """The last lines of a log."""
    if not path.exists():
        return "(there is none)"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_END_LINES:])
