"""All exit codes of finkray: of commands, and of the processes that run until they are stopped.

The two tables are apart: a command answers a person or a script, a daemon its supervisor and Ray.
docs/operations.md shows both; a test compares.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class CommandExit(IntEnum):
    """Exit code of a `finkray` command."""

    DONE = 0
    NO = 1
    SETTINGS = 2
    UNAVAILABLE = 3
    BUG = 70  # EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


class DaemonExit(IntEnum):
    """Exit code of a daemon's process, as `python -m finkray.archive`."""

    DRAINED = 0
    FAILED = 1
    SETTINGS = 2
    HELD = 3
    RESTART = 75  # EX_TEMPFAIL of sysexits.h


COMMAND_EXITS: Final[Mapping[CommandExit, str]] = {
    CommandExit.DONE: "done; or: yes",
    CommandExit.NO: "failed, or refused; or: no (not balanced, a check says no)",
    CommandExit.SETTINGS: "the command or a setting is wrong",
    CommandExit.UNAVAILABLE: "trouble that may pass: Kafka, Ray or the disk does not answer as it "
    "should",
    CommandExit.BUG: "a bug of finkray; --debug shows where",
    CommandExit.INTERRUPTED: "Ctrl-C, SIGTERM, or the terminal was closed",
}

DAEMON_EXITS: Final[Mapping[DaemonExit, str]] = {
    DaemonExit.DRAINED: "it was stopped, and what it had begun is durable",
    DaemonExit.FAILED: "it failed, and would fail again",
    DaemonExit.SETTINGS: "a setting is wrong",
    DaemonExit.HELD: "another process writes the same archive or the same results",
    DaemonExit.RESTART: "it failed, and a fresh process may succeed: its supervisor starts one",
}
