"""Make standard input, output and error fit for writing text, however the command was called."""

import io
import os
import sys
from typing import Final

_NAMES: Final = ("stdin", "stdout", "stderr")


def mend_standard_streams() -> None:
    """Open the streams that are closed on nothing, and let all of them take any text.

    A closed stream (`>&-`, a service without one) leaves its number free: the next file that is
    opened, such as one of the archive, would get it, and the output of child processes with it.
    A terminal or pipe that is not of UTF-8 gets characters that it lacks as their numbers.
    """
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
