"""Output of a command while it works: lines, and one line that changes on a terminal."""

import errno
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO, cast

from rich.console import Console
from rich.text import Text

from finkray.text import visible_lines

_NO_READER: Final = (errno.EPIPE, errno.EIO)
"""Errors of writing to a pipe whose reader has ended, and to a terminal that was closed."""


class _DroppedIfUnread:
    """A stream that is dropped when nobody reads it any more.

    A command that starts or stops jobs must end what it began, though `| head -1` has ended or the
    terminal was closed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        with self._dropped_if_unread():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        with self._dropped_if_unread():
            self._stream.flush()

    @contextmanager
    def _dropped_if_unread(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _NO_READER:
                raise
            # From now on the stream writes to /dev/null, also what is in its buffer at the end.
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)


class Progress:
    """Shows how far a command is.

    Results go to standard output, one line each. What the command waits for goes to standard error:
    as one line that changes if that is a terminal, else as a line when the wait begins.
    """

    def __init__(self) -> None:
        self._errors = Console(file=cast("TextIO", _DroppedIfUnread(sys.stderr)), highlight=False)

    def say(self, text: str) -> None:
        """Print a line of the result, in which control characters are shown as escapes."""
        self.show(f"{visible_lines(text)}\n")

    def is_read(self) -> bool:
        """Return whether somebody may still read the result: False after its pipe was closed."""
        poller = select.poll()
        poller.register(sys.stdout.fileno(), 0)  # errors and hang-ups alone
        return not poller.poll(0)

    def tell(self, text: str) -> None:
        """Print a line about the work to standard error, apart from the result."""
        self._errors.print(visible_lines(text), markup=False)

    def show(self, text: str) -> None:
        """Print text as it is, as long as somebody reads it."""
        output = _DroppedIfUnread(sys.stdout)
        output.write(text)
        output.flush()

    def write(self, text: str) -> None:
        """Print text as it is.

        Raises
        ------
        BrokenPipeError
            Nobody reads it any more.
        """
        sys.stdout.write(text)
        sys.stdout.flush()

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show what the command waits for; yield a function that shows how far it is."""
        text = visible_lines(text)
        if not self._errors.is_terminal:
            self._errors.print(f"{text} …", markup=False)
            yield lambda _: None
            return
        with self._errors.status(Text(text)) as status:
            yield lambda more: status.update(Text(f"{text}: {visible_lines(more)}"))
