"""Choose the files of alerts that a look-up opens: by the object index, or all of them."""

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Final, TypeVar

import pyarrow as pa

from finkray.errors import FinkrayError
from finkray.index.manifest import INDEX_FOLDER, read_manifest
from finkray.index.objects import ObjectIndex
from finkray.storage.contract import Storage
from finkray.text import error_text

Circle = tuple[float, float, float]
"""Right ascension and declination in degrees, radius in arcsec."""

Answer = TypeVar("Answer")

_DAMAGE: Final = (FinkrayError, OSError, pa.ArrowException)
_MALFORMED: Final = (KeyError, TypeError, ValueError, AttributeError)
"""Errors of reading a step of the index if it is valid JSON, but not that of a step."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IndexedFiles:
    """The object index of an archive, for several threads at once."""

    index: ObjectIndex
    lock: Lock

    def of_objects(self, ids: Collection[str]) -> list[str]:
        """Return the files that may have alerts of objects.

        Raises
        ------
        StorageError
            if the index cannot be read
        """
        with self.lock:
            return self.index.files_of(ids)

    def in_circles(self, circles: Iterable[Circle]) -> list[str] | None:
        """Return the files with alerts in some circles; None, for all, without `cdshealpix`.

        Raises
        ------
        StorageError
            if the index cannot be read
        """
        try:
            with self.lock:
                found = {file for circle in circles for file in self.index.files_in_circle(*circle)}
        except ModuleNotFoundError as error:
            log.info("%s; looking for positions in all files: install finkray[catalogs]", error)
            return None
        return sorted(found)


class AlertFiles:
    """The files of alerts of an archive, and its object index, which is opened once.

    Parameters
    ----------
    storage
        of the archive
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._index: ObjectIndex | None = None
        self._lock = Lock()
        self._warned = False

    def __reduce__(self) -> "tuple[type[AlertFiles], tuple[Storage]]":
        return AlertFiles, (self.storage,)

    def answer(self, look: Callable[[IndexedFiles | None], Answer]) -> Answer:
        """Return the answer of a look-up with the index, or without it if it is none or fails.

        Parameters
        ----------
        look
            is called with the index as it is now; with None it looks into all files

        Raises
        ------
        StorageError
            if a file of alerts cannot be read
        """
        try:
            with self._lock:
                index = self._refreshed()
            if index is not None:
                return look(IndexedFiles(index, self._lock))
        except _DAMAGE as error:
            self._warn(str(error))
        return look(None)

    def _refreshed(self) -> ObjectIndex | None:
        """Return the index as it is now; None if the archive has none."""
        try:
            if self._index is not None:
                self._index.refresh()
            elif read_manifest(self.storage).runs:
                self._index = ObjectIndex.open(self.storage)
            if self._index is not None and not self._index.status().runs:
                self._index = None
                if read_manifest(self.storage).runs:
                    self._warn("it is of another ledger")
        except (*_DAMAGE, *_MALFORMED) as error:
            self._index = None
            self._warn(error_text(error))
        return self._index

    def _warn(self, reason: str) -> None:
        """Say once why the index is not used, and what to do."""
        if not self._warned:
            log.warning(
                "the object index in %s cannot answer (%s): looking through all files, which is "
                "slow. If this stays, delete the folder %s/ of the archive and run "
                "`finkray index build`",
                self.storage.uri,
                reason,
                INDEX_FOLDER,
            )
        self._warned = True
