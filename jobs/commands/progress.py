"""What a command says while it works: lines on standard output, a moving one on the terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """Tells a person how far a command is.

    Results go to standard output, one line each. What is waited for goes to standard error:
    as one line that changes if that is a terminal, else as a line when it begins.
    """

    def __init__(self) -> None:
        self._errors = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """A line that stays."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def tell(self, text: str) -> None:
        """A line about the work, on standard error, so that output stays what was asked for."""
        self._errors.print(text, markup=False)

    def write(self, text: str) -> None:
        """Text as it is."""
        sys.stdout.write(text)
        sys.stdout.flush()

    @contextmanager
    def waiting(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show what is waited for; gives a function that says how far it is."""
        if not self._errors.is_terminal:
            self._errors.print(f"{text} …", markup=False)
            yield lambda _: None
            return
        with self._errors.status(text) as status:
            yield lambda more: status.update(f"{text}: {more}")
