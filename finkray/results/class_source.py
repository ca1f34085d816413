"""Counts and lists of classes for viewers, kept in memory: what the page shows of results."""

import threading
from collections import OrderedDict
from typing import Final

from finkray.results.class_list import ClassifiedAlert, newest_of_class
from finkray.results.counts import ClassCounters, ClassCounts, NightCounts
from finkray.results.store import find_store
from finkray.storage.contract import Storage

LISTED: Final = 50
"""How many alerts the list of a class has."""

FILES_AT_ONCE: Final = 500
"""How many files of each folder of results one refresh counts; then the page shows progress."""

_KEPT_LISTS: Final = 64
"""How many lists are kept, so that each is read once per change of its count, for all tabs."""


class ClassSource:
    """Reads counts and lists; `counts` is for one thread, `newest` for any.

    Parameters
    ----------
    archive
        Where the alerts are, and the results beside them.
    """

    def __init__(self, archive: Storage) -> None:
        self._archive = archive
        self._counters = ClassCounters(archive)
        self._lock = threading.Lock()
        self._lists: OrderedDict[tuple[object, ...], tuple[ClassifiedAlert, ...]] = OrderedDict()

    def counts(self) -> tuple[ClassCounts, ...]:
        """Return the counts; while many files are new, of the part counted so far."""
        self._counters.refresh(FILES_AT_ONCE)
        return self._counters.counts()

    def newest(
        self, counts: ClassCounts, night: NightCounts, name: str
    ) -> tuple[ClassifiedAlert, ...]:
        """Return the alerts of a class in a night that arrived last.

        Raises
        ------
        FinkrayError, OSError, ArrowException
            If they cannot be read.
        """
        key = (counts.name, counts.version, night.night, name, night.classes.get(name), night.hours)
        with self._lock:
            if key in self._lists:
                self._lists.move_to_end(key)
                return self._lists[key]
        store = find_store(self._archive, f"{counts.name}/{counts.version}")
        alerts = newest_of_class(store, night, name, LISTED)
        with self._lock:
            self._lists[key] = alerts
            while len(self._lists) > _KEPT_LISTS:
                self._lists.popitem(last=False)
        return alerts
