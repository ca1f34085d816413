"""Log what a child process prints: line by line, clipped, and a bounded number of lines.

A child that runs code of someone else inherits no descriptor of a terminal or a log. It gets a
pipe, so that a line in the log names who printed it, control characters are shown, and code that
prints each alert does not fill a disk.
"""

import logging
import os
import threading
import time
from typing import Final

from finkray.text import clipped, count_text, visible_text

_LOG = logging.getLogger(__name__)

LINE_CHARS: Final = 500
"""Longer lines are clipped."""

LINES_PER_MIN: Final = 100
"""A traceback has some 30 lines."""

OUTPUT_S: Final = 1.0
"""How long the last lines of a process that has ended are waited for. A process that it started and
that has left its group may hold the pipe open."""

_READ_BYTES: Final = 65536
_MINUTE_S: Final = 60.0


class ChildOutput:
    """Logs what comes out of a pipe until its other end is closed, in a thread of its own.

    Parameters
    ----------
    who
        what the other end belongs to, as a log line names it: "filter bright"

    Attributes
    ----------
    descriptor
        for standard output and standard error of the child. `handed_over` closes it here
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self._mine, self.descriptor = os.pipe()
        self._left = LINES_PER_MIN
        self._left_out = 0
        self._minute_ends_s = time.monotonic() + _MINUTE_S
        self._thread = threading.Thread(target=self._read, name=f"output of {who}", daemon=True)
        self._thread.start()

    def handed_over(self) -> None:
        """Close the end of the child in this process, once the child has it or does not start."""
        os.close(self.descriptor)

    def join(self) -> None:
        """Wait until all that a child printed is logged, which has ended."""
        self._thread.join(OUTPUT_S)

    def _read(self) -> None:
        begun = b""
        try:
            while data := os.read(self._mine, _READ_BYTES):
                *lines, begun = (begun + data).split(b"\n")
                begun = begun[: 4 * LINE_CHARS]  # a character has at most four bytes
                for line in lines:
                    self._log(line)
        finally:
            os.close(self._mine)
            if begun:
                self._log(begun)
            self._tell_left_out()

    def _log(self, line: bytes) -> None:
        if time.monotonic() > self._minute_ends_s:
            self._tell_left_out()
            self._left = LINES_PER_MIN
            self._minute_ends_s = time.monotonic() + _MINUTE_S
        if self._left == 0:
            self._left_out += 1
            return
        self._left -= 1
        text = line[: 4 * LINE_CHARS].decode(errors="backslashreplace").expandtabs()
        # A warning, because commands and actors show no less.
        _LOG.warning("%s printed: %s", self._who, clipped(visible_text(text), LINE_CHARS))

    def _tell_left_out(self) -> None:
        if self._left_out:
            _LOG.warning(
                "%s printed %s more lines within a minute, which are left out",
                self._who,
                count_text(self._left_out),
            )
            self._left_out = 0
