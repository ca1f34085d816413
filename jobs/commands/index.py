"""`finkray index`: build the object index, and say how far it is."""

import threading
from collections.abc import Callable

from finkray.index.follower import IndexFollower
from finkray.index.manifest import Manifest
from finkray.index.objects import ObjectIndex
from finkray.index.status import IndexStatus
from finkray.settings.model import Settings
from finkray.text import bytes_text
from jobs.cluster.archive import archive_of


def build_index(
    settings: Settings, stopping: threading.Event, tell: Callable[[str], None]
) -> IndexStatus:
    """Index all files of the archive that are published, or until `stopping` is set.

    Raises
    ------
    SettingsError
        There is no archive.
    StorageError
        The storage refuses.
    """

    def go_on(index: Manifest) -> bool:
        tell(f"{index.alerts:,} alerts in {len(index.runs)} runs, to entry {index.next_seq}")
        return not stopping.is_set()

    storage = archive_of(settings)
    IndexFollower(storage).catch_up(go_on)
    return ObjectIndex.open(storage).status()


def index_status(settings: Settings) -> IndexStatus:
    """Return how far the index of the archive is.

    Raises
    ------
    SettingsError
        There is no archive.
    """
    return ObjectIndex.open(archive_of(settings)).status()


def status_text(status: IndexStatus) -> str:
    """Return a line about an index."""
    alerts, files = status.indexed_alerts, status.indexed_files
    text = (
        f"{alerts:,} alerts of {files:,} files in {status.runs} runs, "
        f"{bytes_text(status.size_bytes)}, up to ledger entry {status.next_entry}"
    )
    if status.unindexed_files:
        text += (
            f"; {status.unindexed_alerts:,} alerts of {status.unindexed_files:,} files are not "
            "indexed, look-ups read them directly"
        )
    if status.skipped_files:
        text += f"; {status.skipped_files:,} of these could not be read, see finkray audit --deep"
    return text
