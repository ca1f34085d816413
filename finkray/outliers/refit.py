"""Let the model in use learn the thumbs that count: on request, and once a day."""

import logging
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from finkray.errors import OutlierError, StorageError
from finkray.outliers.judging import taught
from finkray.outliers.location import outlier_storage
from finkray.outliers.store import ModelStore
from finkray.outliers.thumb_log import ThumbLog
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from finkray.surveys import SURVEYS

ALL_USERS: Final = "all"
"""The user in the facts of a model that has learnt the thumbs of all users."""

DAILY_HOUR_UTC: Final = 17
"""Hour of the daily refit: day at Palomar and in Chile, so the last night is over and the next not
begun."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RefitResult:
    """A model that was taught thumbs.

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


def refit(storage: Storage, survey: str, user: str | None) -> RefitResult:
    """Teach the model in use the thumbs that count, keep it, and use it if it is no worse.

    Where the user has a model of their own, it is that one; else the model of all.

    Parameters
    ----------
    storage
        of the folder `outliers` of an archive
    survey
        of the model
    user
        whose thumbs are learnt; None is all

    Raises
    ------
    OutlierError
        If there is no model, or there are no thumbs.
    """
    own = user is not None and user in ModelStore(storage, survey).users()
    return _refit(storage, survey, user, user if own else None)


def _refit(storage: Storage, survey: str, user: str | None, owner: str | None) -> RefitResult:
    """Teach the model of `owner` (None: that of all) the thumbs of `user` (None: those of all)."""
    store, thumbs = ModelStore(storage, survey, owner), ThumbLog(storage)
    version = store.in_use()
    if version is None:
        raise OutlierError(
            f"no model of {survey} is in use: finkray outliers train, or give another --survey"
        )
    last_entry = max((entry.number for entry in thumbs.entries()), default=0)
    found = taught(store.load(version), thumbs.active(user, survey))
    facts = {
        "refit_of": version,
        "user": user or ALL_USERS,
        "owner": owner or ALL_USERS,
        "thumbs_up": found.up,
        "thumbs_down": found.down,
        "nights": found.nights,
        "order_before": found.before,
        "order_after": found.after,
        "last_entry": last_entry,
    }
    digest = store.add(found.model, facts)
    if found.better:
        store.use(digest)
    counts = (found.up, found.down, found.older, found.nights)
    return RefitResult(survey, digest, *counts, found.before, found.after, found.better)


class DailyRefits:
    """Refits the models in use of each survey once a day if the log of thumbs has new entries.

    The model of all learns the thumbs of the user whose it has learnt, else those of all; the own
    model of a user or group learns theirs. What was done is in the facts of the models, so a
    process that was killed does it again.

    Parameters
    ----------
    storage
        of the folder `outliers` of an archive
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._done: date | None = None

    def turn(self, now: datetime) -> list[RefitResult]:
        """Refit what is due, and return it; a refit that fails is logged and waits for a day."""
        if now.hour < DAILY_HOUR_UTC or self._done == now.date():
            return []
        self._done = now.date()
        refitted = []
        for survey in SURVEYS:
            for owner in (None, *ModelStore(self._storage, survey).users()):
                try:
                    if self._is_due(survey, owner):
                        user = owner or self._user(survey)
                        refitted.append(_refit(self._storage, survey, user, owner))
                except (OutlierError, StorageError) as error:
                    whose = owner or ALL_USERS
                    log.warning(
                        "daily refit of the outliers of %s for %s failed: %s", survey, whose, error
                    )
        for each in refitted:
            log.info("daily refit of outliers: %s", each.text())
        return refitted

    def _is_due(self, survey: str, owner: str | None) -> bool:
        """Return whether there are thumbs, and entries that no model of the owner has learnt."""
        thumbs, store = ThumbLog(self._storage), ModelStore(self._storage, survey)
        entries = thumbs.entries()
        facts = (model.manifest.facts for model in store.models())
        own = (each for each in facts if each.get("owner", ALL_USERS) == (owner or ALL_USERS))
        learnt = max((int(each.get("last_entry", 0)) for each in own), default=0)
        is_new = max((each.number for each in entries), default=0) > learnt
        return is_new and bool(thumbs.active(owner or self._user(survey), survey))

    def _user(self, survey: str) -> str | None:
        store = ModelStore(self._storage, survey)
        version = store.in_use()
        facts: dict[str, Any] = {} if version is None else store.manifest(version).facts
        user = str(facts.get("user", ALL_USERS))
        return None if user == ALL_USERS else user


def daily_refits(settings: Settings) -> DailyRefits | None:
    """Return the refits of an archive; None if `[services.outliers] daily_refit` is false."""
    own = settings.services.own_tables().get("outliers", {})
    return DailyRefits(outlier_storage(settings)) if own.get("daily_refit", True) else None
