"""`finkray outliers thumb` and `thumbs`: what users think."""

from typing import Literal

from finkray.outliers.judging import judged_alert
from finkray.outliers.location import outlier_storage
from finkray.outliers.thumb_log import Entry, ThumbLog
from finkray.settings.model import Settings
from jobs.cluster.archive import archive_of


def thumb_log(settings: Settings) -> ThumbLog:
    """Return the log of thumbs."""
    return ThumbLog(outlier_storage(settings))


def give_thumb(
    settings: Settings, alert: str, action: Literal["up", "down"], user: str, note: str
) -> Entry:
    """Append a thumb for an alert that was scored; it is durable when this returns.

    Raises
    ------
    OutlierError
        If no alert of that id has a score.
    """
    facts = judged_alert(archive_of(settings), alert)
    return thumb_log(settings).append(action, user, note=note, **facts)


def thumb_text(entry: Entry) -> str:
    """Return a line about a thumb."""
    note = f"  {entry.note}" if entry.note else ""
    return (
        f"{entry.number:>4}  {entry.action:<4}  {entry.user}  {entry.at:%Y-%m-%d %H:%M}  "
        f"{entry.survey} alert {entry.alert_id} of {entry.object_id or 'no object'}{note}"
    )
