"""Folds of all results of an archive that are of one sort, each kept beside its results."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from finkray.errors import FinkrayError
from finkray.results.store import ResultsStore
from finkray.views.fold import Fold

FoldOfStore = TypeVar("FoldOfStore", bound=Fold[Any])

Key = tuple[str, str]
"""Name and version of results."""

log = logging.getLogger(__name__)


class StoreFolds(Generic[FoldOfStore]):
    """Folds of several folders of results; one that cannot be read holds up no other.

    Parameters
    ----------
    work
        what is done, for messages
    stores
        returns the results that are folded
    make
        makes the fold of results

    Attributes
    ----------
    folds
        by name and version of the results
    """

    def __init__(
        self,
        work: str,
        stores: Callable[[], Iterable[ResultsStore]],
        make: Callable[[ResultsStore], FoldOfStore],
    ) -> None:
        self._work, self._stores, self._make = work, stores, make
        self.folds: dict[Key, FoldOfStore] = {}
        self._problems: dict[Key, str] = {}

    def refresh(self, files: int) -> dict[Key, int]:
        """Add what is new; return how many files were added, by name and version.

        A folder that cannot be read now does not hold up the others.

        Parameters
        ----------
        files
            of each folder, at most

        Raises
        ------
        StorageError, ServiceError
            if the folders of results cannot be listed
        """
        there = {(store.name, store.version): store for store in self._stores()}
        self.folds = {key: fold for key, fold in self.folds.items() if key in there}
        done = {}
        for key, store in there.items():
            try:
                if key not in self.folds:
                    self.folds[key] = self._make(store)
                done[key] = self.folds[key].catch_up(files)
                self._problems.pop(key, None)
            except FinkrayError as error:
                if self._problems.get(key) != str(error):  # once, not each second
                    log.warning("%s %s/%s failed, will retry: %s", self._work, *key, error)
                self._problems[key] = str(error)
        return done

    def keep(self, key: Key) -> None:
        """Write the state of one fold down."""
        self.folds[key].keep()
