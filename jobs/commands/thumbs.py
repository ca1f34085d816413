"""`finkray outliers thumb`, `thumbs` and `refit`: what users think, and models that learn it."""

from dataclasses import dataclass
from typing import Any, Literal

from finkray.errors import OutlierError
from finkray.outliers.judging import judged_alert, taught
from finkray.outliers.location import outlier_storage
from finkray.outliers.store import ModelStore
from finkray.outliers.thumb_log import Entry, ThumbLog
from finkray.settings.model import Settings
from jobs.cluster.archive import archive_of


@dataclass(frozen=True, slots=True)
class Refitted:
    """A model that a command taught thumbs.

    Attributes
    ----------
    survey, version
        of the model
    up, down
        how many thumbs it has learnt
    older
        how many were left out, because they were given with another list of features
    nights
        how many nights the thumbs are of
    before, after
        how often a thumb up is above a thumb down, without and with what those of other nights
        teach (of one night: what the others teach); None where that cannot be tried
    in_use
        whether alerts are scored with it from now on
    """

    survey: str
    version: str
    up: int
    down: int
    older: int
    nights: int
    before: float | None
    after: float | None
    in_use: bool

    def text(self) -> str:
        """Return a line about it."""
        tried = "too few thumbs to try it on those left out"
        if self.before is not None and self.after is not None:
            left_out = f"{self.nights} replayed nights" if self.nights > 1 else "thumbs left out"
            tried = f"{left_out} in order: {self.before:.2f} before, {self.after:.2f} now"
        use = "in use from now on" if self.in_use else "worse, so it is kept and not used"
        learnt = f"{self.up} up, {self.down} down"
        if self.older:
            learnt += f", {self.older} left out that were given with other features"
        return f"{self.survey} {self.version}: {learnt}; {tried}; {use}"

    def to_json(self) -> dict[str, Any]:
        """Return its fields."""
        return {name: getattr(self, name) for name in self.__slots__}


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


def refit_model(settings: Settings, survey: str, user: str | None) -> Refitted:
    """Teach the model in use the thumbs that count, keep it, and use it if it is no worse.

    Raises
    ------
    OutlierError
        If there is no model, or there are no thumbs.
    """
    store = ModelStore(outlier_storage(settings), survey)
    version = store.in_use()
    if version is None:
        raise OutlierError(f"no model of {survey} is in use: finkray outliers train")
    found = taught(store.load(version), thumb_log(settings).active(user, survey))
    facts = {
        "refit_of": version,
        "user": user or "all",
        "thumbs_up": found.up,
        "thumbs_down": found.down,
        "nights": found.nights,
        "order_before": found.before,
        "order_after": found.after,
    }
    digest = store.add(found.model, facts)
    if found.better:
        store.use(digest)
    tried = (found.before, found.after, found.better)
    counts = (found.up, found.down, found.older, found.nights)
    return Refitted(survey, digest, *counts, *tried)


def thumb_text(entry: Entry) -> str:
    """Return a line about a thumb."""
    note = f"  {entry.note}" if entry.note else ""
    return (
        f"{entry.number:>4}  {entry.action:<4}  {entry.user}  {entry.at:%Y-%m-%d %H:%M}  "
        f"{entry.survey} alert {entry.alert_id} of {entry.object_id or 'no object'}{note}"
    )
