"""The state folder: what one `finkray` command keeps for the next.

ray.json           the local Ray cluster that `start` brought up
ray.log            output of `ray start`
watcher.json       the Ray watcher, which starts Ray and its jobs again after a kill
watcher.log        its log
jobs.json          the jobs that were started and not stopped since
archives.json      which archive lay in which folder when it was started
audits.json        the result of the last audit of each archive
settings/          the settings of jobs that run, each readable by its owner alone
logs/              logs of jobs of a local cluster that was taken down
aggregation.json   when the class counts were last up to date
hats.json          when the archive was last searched for nights to build
index.json         when the archive was last searched for files to index
simulator/         the simulator's Kafka
*.lock             held while a command changes any of these
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from finkray.errors import SettingsError
from finkray.host.home import expanded


def state_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Return `$FINKRAY_STATE`, else `$XDG_STATE_HOME/finkray`, else `~/.local/state/finkray`.

    The folder is created if it is missing, for its owner alone.

    Raises
    ------
    SettingsError
        Another user owns the folder or may write to it, or it cannot be created.
    """
    if named := env.get("FINKRAY_STATE"):
        folder = Path(named)
    elif home := env.get("XDG_STATE_HOME"):
        folder = Path(home) / "finkray"
    else:
        folder = Path("~/.local/state/finkray")
    try:
        folder = expanded(folder).absolute()
    except SettingsError as error:
        raise SettingsError(
            f"state folder: {error}; or name a folder of your own in FINKRAY_STATE"
        ) from error
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"state folder (FINKRAY_STATE): {folder} cannot be created: {error.strerror}: name a "
            "folder of your own in FINKRAY_STATE"
        ) from error
    refuse_shared(folder, "state folder (FINKRAY_STATE)")
    return folder


def refuse_shared(folder: Path, what: str, *, others_may_read: bool = True) -> None:
    """Refuse a folder that another user owns or may change.

    The settings of jobs with their secrets, the token of the local Ray and the record of its
    processes would be theirs to read or to replace.

    Raises
    ------
    SettingsError
        It is a link or no folder, another user owns it, or its mode lets others in.
    """
    status = folder.lstat()
    forbidden = stat.S_IWGRP | stat.S_IWOTH if others_may_read else stat.S_IRWXG | stat.S_IRWXO
    if not stat.S_ISDIR(status.st_mode):
        raise SettingsError(f"{what}: {folder} is no folder of its own: name a folder, not a link")
    if status.st_uid != os.geteuid():
        raise SettingsError(
            f"{what}: {folder} belongs to another user (uid {status.st_uid}): name a folder of "
            "your own"
        )
    if status.st_mode & forbidden:
        raise SettingsError(
            f"{what}: other users may change or read {folder} (mode "
            f"{stat.S_IMODE(status.st_mode):04o}): chmod 0700 {folder}"
        )


def settings_file(state: Path, job_id: str) -> Path:
    """Return the file with the settings of a job."""
    return state / "settings" / f"{job_id}.json"
