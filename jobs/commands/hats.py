"""`finkray hats`: build, list and consolidate HATS nights."""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from catalogs.nights.all_nights import AllNights, consolidate, find_all
from catalogs.nights.build import build_night, refuse_incomplete, requests
from catalogs.nights.generation import Committed
from catalogs.nights.index import NightIndex
from catalogs.nights.layout import all_folder, nights_folder
from catalogs.nights.listing import BuiltNight, built_night, built_nights
from catalogs.nights.steps import BuildStopped, Steps
from finkray.errors import NightError
from finkray.settings.model import Settings
from jobs.cluster.archive import archive_of


class NightsCommand:
    """Builds nights of the archive of the settings.

    Parameters
    ----------
    settings
        Name the archive.
    stopping
        Ends the work when it is set.
    tell
        Is called with a line of progress.
    """

    def __init__(
        self, settings: Settings, stopping: threading.Event, tell: Callable[[str], None]
    ) -> None:
        self._storage = archive_of(settings)
        self._stopping = stopping
        self._steps = Steps(self._go_on, tell)

    def build(
        self, night: date, survey: str | None, scratch: Path | None, complete_at: datetime | None
    ) -> list[BuiltNight] | None:
        """Build a night of one survey or of all; None if the work was ended.

        Parameters
        ----------
        night
            The observing night.
        survey
            Its name; None: all that have alerts of the night.
        scratch
            Folder of the local disk.
        complete_at
            When the night must be over; None: it need not be.

        Raises
        ------
        NightError
            There is no such night, it is not complete, or another process builds it.
        StorageError
            The storage refuses.
        """
        try:
            index = NightIndex(self._storage)
            index.update(self._steps)
            found = requests(index, night, survey)
            if complete_at is not None:
                for request in found:
                    refuse_incomplete(request, complete_at)
            built = []
            for request in found:
                build_night(self._storage, replace(request, scratch=scratch), self._steps)
                root = nights_folder(self._storage, request.survey)
                built.append(built_night(self._storage, f"{root}/{night.isoformat()}"))
        except BuildStopped:
            return None
        return [each for each in built if each is not None]

    def consolidate(
        self, survey: str | None, scratch: Path | None
    ) -> "list[ConsolidationResult] | None":
        """Consolidate the nights of one survey or of all; None if the work was ended.

        Raises
        ------
        NightError
            No night is built, or another process consolidates.
        StorageError
            The storage refuses.
        """
        try:
            index = NightIndex(self._storage)
            index.update(self._steps)
            found = [
                each for each in find_all(self._storage, index) if survey in (None, each.survey)
            ]
            if not any(each.built for each in found):
                raise NightError(
                    "no night is built with all its alerts: finkray hats build --night D"
                )
            done = []
            for nights in found:
                if nights.built:
                    committed = consolidate(self._storage, nights, self._steps, scratch=scratch)
                    uri = f"{self._storage.uri}/{all_folder(self._storage, nights.survey)}"
                    done.append(ConsolidationResult(uri, nights, committed))
        except BuildStopped:
            return None
        return done

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise BuildStopped


@dataclass(frozen=True, slots=True)
class ConsolidationResult:
    """The collection of all nights of a survey.

    Attributes
    ----------
    uri
        as `lsdb.open_catalog` takes it
    nights
        what it is made of
    committed
        its generation
    """

    uri: str
    nights: AllNights
    committed: Committed

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        committed = asdict(self.committed) | {"built_at": self.committed.built_at.isoformat()}
        del committed["cursor"], committed["format"]
        return {
            "uri": self.uri,
            "nights": [night.isoformat() for night in sorted(self.nights.built)],
            "left_out": [night.isoformat() for night in self.nights.left_out],
            **committed,
        }


def consolidated_text(done: ConsolidationResult) -> str:
    """Return a line about the collection of all nights."""
    built, left_out = done.committed, done.nights.left_out
    text = (
        f"{len(done.nights.built):,} nights of {built.survey}: {built.alerts:,} alerts of "
        f"{built.objects:,} objects, generation {built.generation}, in {done.uri}"
    )
    if left_out:
        text += (
            f"; {len(left_out):,} nights that are not built are left out, the first {left_out[0]}"
        )
    return text


def list_nights(settings: Settings) -> list[BuiltNight]:
    """Return the nights of the archive that readers can open.

    Raises
    ------
    SettingsError
        There is no archive.
    """
    return list(built_nights(archive_of(settings)))


def built_text(night: BuiltNight) -> str:
    """Return a line about a night."""
    built = night.committed
    unplaced = built.without_position
    left_out = f", {unplaced:,} without a position left out" if unplaced else ""
    return (
        f"{night.night} {built.survey}: {built.alerts:,} alerts of {built.objects:,} objects"
        f"{left_out}, generation {built.generation}, in {night.uri}"
    )
