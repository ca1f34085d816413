"""Output of a command while it works: lines, and one line that changes on a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from finkray.text import visible_lines


class Progress:
    """Shows how far a command is.

    Results go to standard output, one line each. What the command waits for goes to standard error:
    as one line that changes if that is a terminal, else as a line when the wait begins.
    """

    def __init__(self) -> None:
        self._errors = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Print a line of the result; what it may have from a stream cannot steer the terminal."""
        sys.stdout.write(f"{visible_lines(text)}\n")
        sys.stdout.flush()

    def tell(self, text: str) -> None:
        """Print a line about the work to standard error, apart from the result."""
        self._errors.print(visible_lines(text), markup=False)

    def write(self, text: str) -> None:
        """Print text as it is."""
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
