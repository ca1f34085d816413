"""`finkray logs`: the log of the last job of a name, also after it has ended."""

import re
import time
from pathlib import Path
from typing import Final

from finkray.errors import FinkrayError
from finkray.host.interrupt import stop_on_interrupt
from finkray.text import visible_text
from jobs.cluster.local_ray import job_logs
from jobs.cluster.logs import LogText
from jobs.commands.context import CommandContext

_JOB_ID: Final = re.compile(r"finkray-(?P<name>.+)-(?P<time>\d{8}-\d{6})-[0-9a-f]{4}")
"""A job id as `jobs.cluster.ray_jobs.Jobs.submit` makes it."""

FOLLOW_S: Final = 0.3


def last_log(logs: dict[str, Path], name: str) -> Path:
    """Return the log of the job of a name that was started last.

    Parameters
    ----------
    logs
        The logs that are kept, by job id.
    name
        Of the job.

    Raises
    ------
    FinkrayError
        There is none.
    """
    ids = [found for job_id in logs if (found := _JOB_ID.fullmatch(job_id))]
    named = [found for found in ids if found["name"] == name]
    if not named:
        names = ", ".join(sorted({found["name"] for found in ids}))
        which = f"there are logs of {names}" if names else "no job was started on this machine"
        raise FinkrayError(f"there is no log of {name}: {which}")
    return logs[max(named, key=lambda found: found["time"]).string]


def show_log(context: CommandContext, name: str, lines: int, *, follow: bool) -> None:
    """Print the end of a log, and what is added until Ctrl-C if it is followed.

    Parameters
    ----------
    context
        Of the command.
    name
        Of the job.
    lines
        How many of the last lines; 0: all.
    follow
        Whether to go on.

    Raises
    ------
    FinkrayError
        There is no log of that name on this machine.
    """
    log = LogText(last_log(job_logs(context.state), name))
    _print(context, "".join(log.more().splitlines(keepends=True)[-lines:]))
    if not follow:
        return
    with stop_on_interrupt() as interrupted:
        # `| head -1` has what it wants, and the log may get no line for hours.
        while not interrupted.is_set() and context.progress.is_read():
            _print(context, log.more())
            time.sleep(FOLLOW_S)


def _print(context: CommandContext, text: str) -> None:
    """Print log text; control characters of what Kafka sent are shown, and do nothing."""
    shown = "\n".join(map(visible_text, text.split("\n")))
    context.progress.write(shown)
