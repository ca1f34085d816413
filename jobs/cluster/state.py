"""The state folder: what one `finkray` command keeps for the next.

ray.json           the local Ray cluster that `start` brought up
ray.log            output of `ray start`
settings/          the settings of jobs that run, each readable by its owner alone
logs/              logs of jobs of a local cluster that was taken down
aggregation.json   when the class counts were last up to date
simulator/         the simulator's Kafka
*.lock             held while a command changes any of these
"""

import os
from collections.abc import Mapping
from pathlib import Path


def state_folder(env: Mapping[str, str] = os.environ) -> Path:
    """Return `$FINKRAY_STATE`, else `$XDG_STATE_HOME/finkray`, else `~/.local/state/finkray`.

    The folder is created if it is missing, for its owner alone.
    """
    if named := env.get("FINKRAY_STATE"):
        folder = Path(named)
    elif home := env.get("XDG_STATE_HOME"):
        folder = Path(home) / "finkray"
    else:
        folder = Path.home() / ".local" / "state" / "finkray"
    folder = folder.expanduser().absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(path, "x", opener=_private, encoding="utf-8") as file:
        file.write(text)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
