"""When a daemon that follows the archive last looked at it, and what fails, in the state folder."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finkray.settings.model import Settings
from finkray.whole_file import whole_file
from jobs.cluster.archive import archive_of
from jobs.cluster.job import Job

_LOG = logging.getLogger(__name__)


def record_look(state: Path, daemon: str, problem: str = "") -> None:
    """Record that a daemon looks now, and what fails at present; "" is nothing.

    A disk that refuses is logged: the daemon has its work to do, and this tells of it alone.
    """
    look = {"at": datetime.now(UTC).isoformat(), "problem": problem}
    path = state / f"{daemon}.json"
    try:
        with whole_file(path, durable=False) as file:
            file.write(json.dumps(look).encode())
    except OSError as error:
        _LOG.warning(
            "%s goes on, but cannot write %s: %s: look at its disk (df -h, df -i, mount)",
            daemon,
            path,
            error.strerror,
        )


def last_look(state: Path, daemon: str) -> datetime | None:
    """Return when a daemon with this state folder last looked, UTC; None: never."""
    try:
        return datetime.fromisoformat(_look(state, daemon)["at"])
    except (ValueError, KeyError):
        return None


def last_problem(state: Path, daemon: str) -> str:
    """Return what failed when a daemon last looked; "" if nothing did, or it never looked."""
    return str(_look(state, daemon).get("problem", ""))


def has_looked(job: Job, _settings: Settings, state: Path) -> bool:
    """Return whether the daemon of a job has looked since the job was started: `is_ready`."""
    looked = last_look(state, job.daemon.name)
    return looked is not None and looked >= job.since


def check_archive(settings: Settings) -> None:
    """Check that there is an archive to follow: `check_start`.

    Raises
    ------
    SettingsError
        There is none.
    """
    archive_of(settings)


def _look(state: Path, daemon: str) -> dict[str, Any]:
    path = state / f"{daemon}.json"
    try:
        look = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return look if isinstance(look, dict) else {}
