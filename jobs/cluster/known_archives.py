"""Which archive lay in which folder when `finkray start` started it.

An empty folder says nothing about itself: it may be that of a new archive, or the mount point of a
disk that is not mounted. So the state folder keeps the identities, in `archives.json`::

    {"/data/archive": "5e…"}
"""

import json
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from finkray.errors import FinkrayError, LedgerCorrupt
from finkray.host.records import read_record, write_private
from finkray.ledger.entry import LOG_FOLDER
from finkray.ledger.identity import IDENTITY_PATH, read_identity
from finkray.ledger.segment import FOLDED_FOLDER
from finkray.settings.model import Settings
from finkray.storage.opening import open_storage

_FILE: Final = "archives.json"


def remember_archive(state: Path, settings: Settings) -> None:
    """Record which archive lies in the folder of the settings; nothing if there is none yet.

    Called under the lock of the services.
    """
    storage = open_storage(settings.archive)
    found = read_identity(storage)
    known = _known_archives(state)
    if found is not None and known.get(storage.uri) != found.archive_id:
        known[storage.uri] = found.archive_id
        write_private(state / _FILE, json.dumps(known, indent=2))


def refuse_vanished(state: Path, settings: Settings) -> None:
    """Check that the folder of the settings still has the archive that was started there.

    Raises
    ------
    FinkrayError
        The folder is empty, or has another archive.
    StorageError
        The storage refuses.
    """
    storage = open_storage(settings.archive)
    known = _known_archives(state).get(storage.uri)
    if known is None:
        return
    try:
        found = read_identity(storage)
    except LedgerCorrupt:
        return  # the archive itself says what to do
    if found is None and not (storage.files(LOG_FOLDER) or storage.files(FOLDED_FOLDER)):
        raise FinkrayError(
            f"{storage.uri} has no {IDENTITY_PATH} and no ledger, but archive {known} was there "
            "when it was started last: its disk is not mounted, or the folder was deleted. Mount "
            "it, or restore the folder. To begin a new archive there: finkray start archive "
            "--new-archive"
        )
    if found is not None and found.archive_id != known:
        raise FinkrayError(
            f"{storage.uri} is the folder of archive {found.archive_id}, but archive {known} was "
            "there when it was started last: mount the right disk. If this one is meant: finkray "
            "start archive --new-archive"
        )


def _known_archives(state: Path) -> dict[str, str]:
    """Return the identity of each archive that was started, by the URI of its folder."""
    return read_record(state / _FILE, _KNOWN.validate_json, _ADVICE) or {}


_KNOWN: Final = TypeAdapter(dict[str, str])

_ADVICE: Final = (
    "move it away. The next `finkray start archive` takes what is in the folder for the archive "
    "that is meant, so look first whether its disk is mounted"
)
