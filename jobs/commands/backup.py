"""`finkray backup`: copy the archive to another folder or store."""

from collections.abc import Callable

from finkray.backup import back_up
from finkray.errors import SettingsError
from finkray.ledger.copying import BackupResult
from finkray.settings.model import Settings
from finkray.storage.opening import open_storage
from finkray.text import bytes_text, count_text
from jobs.cluster.archive import archive_of, location_beside

SHOWN = 10
"""How many missing files are named."""


def backup_now(settings: Settings, uri: str, tell: Callable[[str], None]) -> BackupResult:
    """Copy the archive of the settings to a URI; see `finkray.backup.back_up`.

    Raises
    ------
    SettingsError
        There is no archive, or the URI names no storage.
    """
    source = archive_of(settings)
    try:
        target = open_storage(location_beside(settings, uri))
    except ValueError as error:
        raise SettingsError(f"{uri}: {error}") from error
    return back_up(source, target, tell)


def copied_text(copied: BackupResult, uri: str) -> str:
    """Return what `finkray backup` prints."""
    new = f"{count_text(copied.files)} new files, {bytes_text(copied.size_bytes)}"
    last = copied.entries - 1
    lines = [f"{uri} has the archive up to entry {last} of its ledger: {new}"]
    if copied.missing:
        count, named = count_text(len(copied.missing)), ", ".join(copied.missing[:SHOWN])
        lines.append(f"{count} files that the ledger names are missing, see finkray audit: {named}")
    return "\n".join(lines)
