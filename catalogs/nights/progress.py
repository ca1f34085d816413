"""Find which nights are built and which wait, from the archive, for `finkray status`."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from catalogs.nights.generation import Committed, read_committed
from catalogs.nights.index import NightIndex
from catalogs.nights.layout import INDEX_PATH, night_end, nights_folder
from finkray.storage.contract import Storage
from finkray.surveys import SURVEYS
from finkray.views.fold import read_stored_state

LOOKED_AT: Final = 60
"""Number of the latest nights whose generations are read: one small object each."""


@dataclass(frozen=True, slots=True)
class NightsProgress:
    """Which nights are built and which wait, among the latest `LOOKED_AT`.

    Attributes
    ----------
    last_night, last_survey
        the latest night that is built; None and "" if none is
    last
        its generation; None if no night is built
    built
        nights with a generation of all their alerts
    waiting
        nights that are over and are not built, or have alerts that their generation lacks
    """

    last_night: date | None = None
    last_survey: str = ""
    last: Committed | None = None
    built: int = 0
    waiting: tuple[date, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what `finkray status --json` prints of it."""
        last = None
        if self.last is not None and self.last_night is not None:
            last = {
                "night": self.last_night.isoformat(),
                "survey": self.last_survey,
                "generation": self.last.generation,
                "alerts": self.last.alerts,
                "objects": self.last.objects,
                "through_entry": self.last.through_entry,
                "built_at": self.last.built_at.isoformat(),
            }
        waiting = [night.isoformat() for night in self.waiting]
        return {"last": last, "built_nights": self.built, "waiting_nights": waiting}


def read_nights_progress(storage: Storage, now: datetime | None = None) -> NightsProgress | None:
    """Return which nights of an archive are built; None if no process has looked for nights yet.

    Raises
    ------
    StorageError
        if the storage refuses
    NightError
        if a generation's file is damaged
    """
    kept = read_stored_state(storage, INDEX_PATH, NightIndex.parse)
    if kept is None:
        return None
    at = now or datetime.now(UTC)
    latest = sorted(kept.state.items(), key=lambda item: item[0][1])[-LOOKED_AT:]
    progress = NightsProgress()
    built, waiting = 0, []
    for (survey, night), facts in latest:
        folder = f"{nights_folder(storage, survey)}/{night.isoformat()}"
        committed = read_committed(storage, folder)
        if committed is not None:
            progress = NightsProgress(night, survey, committed)
        if committed is not None and committed.is_of(facts.cursor):
            built += 1
        elif at >= night_end(SURVEYS[survey], night):
            waiting.append(night)
    return NightsProgress(
        progress.last_night, progress.last_survey, progress.last, built, tuple(waiting)
    )
