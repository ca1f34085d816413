"""Find the late files for which services may have answered, from the ledgers of their results.

Each file of results belongs to a file of alerts. So only those of thousands of late files are
looked at whose answers have just become durable, each of them once.
"""

import time
from typing import Final

from finkray.ledger.follow import Position
from finkray.results.store import ResultsStore, alerts_path
from finkray.storage.layout import parse_path
from finkray.streamout.alerts import AlertReader
from finkray.streamout.late import LateFile, LateFiles
from finkray.streamout.ledger_files import end_of_ledger, files_from

FORGOTTEN_S: Final = 60.0
"""After this time without a late file, the ledger of results is not read on but skipped, and the
files that are late then are looked at once: a night of a service has tens of thousands of
entries."""


class AnswerWatch:
    """Follows the ledgers of the services that alerts wait for.

    Parameters
    ----------
    reader
        knows the results of services
    """

    def __init__(self, reader: AlertReader) -> None:
        self._reader = reader
        self._positions: dict[tuple[str, str], tuple[Position, float]] = {}
        self._due: dict[bytes, None] = {}

    def due(self, late: LateFiles) -> list[LateFile]:
        """Return the late files to look at; each is returned until `looked` is called with it."""
        waited_for = late.services
        for name, store in self._reader.services().items() if waited_for else ():
            if name in waited_for:
                self._follow(store, late)
        found = {key: late.get(key) for key in self._due}
        self._due = {key: None for key, file in found.items() if file is not None}
        return [file for file in found.values() if file is not None]

    def looked(self, file: LateFile) -> None:
        """Forget a late file until a service has answered again."""
        self._due.pop(file.key, None)

    def _follow(self, store: ResultsStore, late: LateFiles) -> None:
        """Note what a service has answered since the last call."""
        key, now_s = (store.name, store.version), time.monotonic()
        position, read_s = self._positions.get(key, (None, 0.0))
        if position is None or now_s - read_s > FORGOTTEN_S:
            # Answers that come before the look at the files are seen twice, and none is missed.
            self._positions[key] = end_of_ledger(store.storage), now_s
            self._due |= {file.key: None for file in late if store.name in file.services}
            return
        for item in files_from(store.storage, position, None):
            position = item.after
            if item.file is not None and item.exists:
                found = _files_of(alerts_path(item.file.path), late)
                self._due |= {file.key: None for file in found if store.name in file.services}
        self._positions[key] = position, now_s


def _files_of(path: str, late: LateFiles) -> list[LateFile]:
    """Return the late files to which results may belong that were made of a file of alerts."""
    in_folder = late.in_folder(path.rpartition("/")[0])
    if same := [file for file in in_folder if file.path == path]:
        return same
    answered = parse_path(path)
    return [
        file
        for file in in_folder
        if answered is not None
        and (own := parse_path(file.path)) is not None
        and own.topic_id8 == answered.topic_id8
        and (
            own.others
            or (
                own.partition == answered.partition
                and own.first_offset <= answered.last_offset
                and own.last_offset >= answered.first_offset
            )
        )
    ]
