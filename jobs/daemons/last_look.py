"""When a daemon that follows the archive last looked at it, in a file of the state folder."""

import json
from datetime import UTC, datetime
from pathlib import Path

from finkray.settings.model import Settings
from jobs.cluster.archive import archive_of
from jobs.cluster.job import Job


def record_look(state: Path, daemon: str) -> None:
    """Record that a daemon looks now."""
    new = state / f"{daemon}.json.new"
    new.write_text(json.dumps({"at": datetime.now(UTC).isoformat()}), encoding="utf-8")
    new.replace(state / f"{daemon}.json")


def last_look(state: Path, daemon: str) -> datetime | None:
    """Return when a daemon with this state folder last looked, UTC; None: never."""
    path = state / f"{daemon}.json"
    try:
        return datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["at"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


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
