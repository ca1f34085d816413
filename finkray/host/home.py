"""Find home folders: that of this user, and those that a path names by `~`."""

from pathlib import Path

from finkray.errors import SettingsError


def expanded(path: str | Path) -> Path:
    """Return a path with the home folder in place of `~` or `~user` at its beginning.

    Raises
    ------
    SettingsError
        There is no such home folder: in a container a user may have none.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise SettingsError(
            f"{path}: nobody knows this home folder: write the path without ~, or set HOME"
        ) from error
