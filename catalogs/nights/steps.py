"""Report the progress of a build, and ask it to end."""

from collections.abc import Callable
from dataclasses import dataclass


class BuildStopped(Exception):
    """The build was asked to end; the next one continues it."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Two functions that a build calls between two steps of its work.

    Attributes
    ----------
    go_on
        raises `BuildStopped` to end the build
    tell
        reports progress
    """

    go_on: Callable[[], None] = lambda: None
    tell: Callable[[str], None] = lambda _: None
