"""Decide which nights are due, build and consolidate them: the work of `finkray start hats`."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Final

from catalogs.nights.all_nights import AllNights, consolidate, find_all
from catalogs.nights.build import NightRequest, build_night
from catalogs.nights.generation import delete_old, read_committed
from catalogs.nights.index import NightIndex
from catalogs.nights.layout import all_folder, night_end, nights_folder
from catalogs.nights.steps import BuildStopped, Steps
from finkray.errors import FinkrayError, StorageError
from finkray.storage.contract import Storage
from finkray.surveys import SURVEYS

SETTLE_S: Final = 900.0
"""Seconds without new alerts of a night before it is built: a backfill of hours makes one
generation and not many."""

RETRY_S: Final = 600.0
"""Seconds before a night that could not be built is tried again."""

LOOK_AT_ALL_S: Final = 3600.0
"""Seconds between two looks whether the nights are to be consolidated."""

_Night = tuple[str, date]

log = logging.getLogger(__name__)


class NightBuilder:
    """Knows which nights of an archive are due, and builds them.

    Parameters
    ----------
    storage
        of the archive
    stopping
        ends a build, which the next start continues
    settle_s
        as `SETTLE_S`
    now
        returns the time, UTC
    """

    def __init__(
        self,
        storage: Storage,
        stopping: threading.Event,
        settle_s: float = SETTLE_S,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._storage = storage
        self._stopping = stopping
        self._settle_s = settle_s
        self._now = now
        self._index: NightIndex | None = None
        self._not_before_s: dict[_Night, float] = {}
        self._problems: dict[_Night, str] = {}
        self._look_problem = ""
        self._all_problem = ""
        self._all_not_before_s = 0.0

    @property
    def problem(self) -> str:
        """What fails at present; "" is nothing."""
        of_nights = (
            f"night {night.isoformat()} of {survey}: {problem}"
            for (survey, night), problem in sorted(self._problems.items())
        )
        others = filter(None, [self._look_problem, self._all_problem])
        return "; ".join([*others, *of_nights])

    def look(self) -> None:
        """Read what is new in the ledger."""
        first = self._index is None
        try:
            self._index = self._index or NightIndex(self._storage)
            self._index.update(self._steps)
        except BuildStopped:
            return
        except FinkrayError as error:
            log.warning("looking for nights failed, will retry: %s", error)
            self._look_problem = f"looking for nights: {error}"
            return
        self._look_problem = ""
        # At the first look all nights are new: those that are over have settled.
        after_s = 0.0 if first else self._settle_s
        for night in self._index.changed:
            self._not_before_s[night] = time.monotonic() + after_s
        self._index.changed.clear()

    def build_due(self) -> list[_Night]:
        """Build the nights that are complete and not built yet; return them."""
        built = []
        for night in self.due():
            if self._stopping.is_set():
                break
            try:
                self._build(night)
            except BuildStopped:
                break
            except FinkrayError as error:
                if self._problems.get(night) != str(error):  # once, not at each retry
                    log.warning("night %s of %s not built, will retry: %s", *_named(night), error)
                self._problems[night] = str(error)
                self._not_before_s[night] = time.monotonic() + RETRY_S
            else:
                self._problems.pop(night, None)
                built.append(night)
        return built

    def consolidate_due(self) -> list[str]:
        """Consolidate the nights of each survey that is due; return these surveys.

        It waits while a night that is over has alerts that its generation lacks.
        """
        if self._index is None or time.monotonic() < self._all_not_before_s:
            return []
        self._all_not_before_s = time.monotonic() + LOOK_AT_ALL_S
        done = []
        try:
            for nights in find_all(self._storage, self._index):
                if self._all_due(nights) and not self._stopping.is_set():
                    self._consolidate(nights)
                    done.append(nights.survey)
            self._all_problem = ""
        except BuildStopped:
            self._all_not_before_s = 0.0
        except FinkrayError as error:
            if self._all_problem != f"consolidation: {error}":  # once, not at each retry
                log.warning("nights not consolidated, will retry: %s", error)
            self._all_problem = f"consolidation: {error}"
        return done

    def due(self) -> list[_Night]:
        """Return the nights that are complete and not built, or built of fewer alerts."""
        due = []
        for night, facts in sorted((self._index.nights if self._index else {}).items()):
            survey, of_night = night
            over = self._now() >= night_end(SURVEYS[survey], of_night)
            if not over or time.monotonic() < self._not_before_s.get(night, 0.0):
                continue
            folder = f"{nights_folder(self._storage, survey)}/{of_night.isoformat()}"
            try:
                committed = read_committed(self._storage, folder)
                delete_old(self._storage, folder, self._now())
            except FinkrayError as error:
                log.warning("night %s of %s cannot be read: %s", *_named(night), error)
                continue
            if committed is None or not committed.is_of(facts.cursor):
                due.append(night)
        return due

    def _build(self, night: _Night) -> None:
        if self._index is None:
            raise StorageError("the nights of the archive are not known yet")
        survey, of_night = night
        begun_s = time.monotonic()
        request = NightRequest(survey, of_night, self._index.nights[night])
        committed = build_night(self._storage, request, self._steps)
        log.info(
            "night %s of %s: generation %d with %d alerts of %d objects, through ledger entry %d, "
            "in %.1f s",
            *_named(night),
            committed.generation,
            committed.alerts,
            committed.objects,
            committed.through_entry,
            time.monotonic() - begun_s,
        )

    def _all_due(self, nights: AllNights) -> bool:
        folder = all_folder(self._storage, nights.survey)
        delete_old(self._storage, folder, self._now())
        survey = SURVEYS[nights.survey]
        waits = any(self._now() >= night_end(survey, night) for night in nights.left_out)
        return not waits and nights.is_due(read_committed(self._storage, folder), self._now())

    def _consolidate(self, nights: AllNights) -> None:
        begun_s = time.monotonic()
        committed = consolidate(self._storage, nights, self._steps)
        log.info(
            "%d nights of %s consolidated: generation %d with %d alerts of %d objects, in %.1f s",
            len(nights.built),
            nights.survey,
            committed.generation,
            committed.alerts,
            committed.objects,
            time.monotonic() - begun_s,
        )

    @property
    def _steps(self) -> Steps:
        return Steps(self._go_on, lambda text: log.debug("%s", text))

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise BuildStopped


def _named(night: _Night) -> tuple[str, str]:
    survey, of_night = night
    return of_night.isoformat(), survey
