"""Give a thumb for an alert of an archive: an entry of the log, with what the user could see."""

import getpass
from typing import Literal

from finkray.errors import SettingsError
from finkray.outliers.judging import judged_alert
from finkray.outliers.thumb_log import Entry, ThumbLog
from finkray.storage.contract import Storage


def give_thumb(
    archive: Storage,
    log: ThumbLog,
    alert: str,
    direction: Literal["up", "down"],
    *,
    user: str | None = None,
    note: str = "",
) -> Entry:
    """Append a thumb for an alert that was scored; it is durable when this returns.

    Parameters
    ----------
    archive
        its storage
    log
        its thumbs
    alert
        id of the alert, or of its object
    direction
        `up` or `down`
    user
        who judges; None is the login name
    note
        a remark

    Raises
    ------
    OutlierError
        If no alert of that id has a score.
    ServiceError
        If there are no results of `outliers`.
    SettingsError
        If nobody is named, and the login has no name.
    ValueError
        If the direction is neither.
    StorageError
        If the storage refuses.
    """
    if direction not in ("up", "down"):
        raise ValueError(f"{direction!r} is no direction: expected up or down")
    facts = judged_alert(archive, alert)
    return log.append(direction, named_user(user), note=note, **facts)


def named_user(user: str | None) -> str:
    """Return who gives a thumb: the login name if nobody is named.

    Raises
    ------
    SettingsError
        If the login has no name.
    """
    try:
        return user or getpass.getuser()
    except KeyError as error:  # in a container a user may have a number alone
        raise SettingsError("this user has no name: give one with --user, or user=") from error
