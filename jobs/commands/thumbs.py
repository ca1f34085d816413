"""`finkray outliers thumb` and `thumbs`: what users think."""

from finkray.outliers.location import outlier_storage
from finkray.outliers.thumb_log import Entry, ThumbLog
from finkray.settings.model import Settings


def thumb_log(settings: Settings) -> ThumbLog:
    """Return the log of thumbs."""
    return ThumbLog(outlier_storage(settings))


def thumb_text(entry: Entry) -> str:
    """Return a line about a thumb."""
    note = f"  {entry.note}" if entry.note else ""
    return (
        f"{entry.number:>4}  {entry.action:<4}  {entry.user}  {entry.at:%Y-%m-%d %H:%M}  "
        f"{entry.survey} alert {entry.alert_id} of {entry.object_id or 'no object'}{note}"
    )
