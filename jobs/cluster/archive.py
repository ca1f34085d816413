"""The archive that the settings name, as commands and jobs find it."""

from urllib.parse import urlsplit

from finkray.errors import SettingsError
from finkray.results.counts import ClassCounts, classified_stores, read_counts
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, open_storage


def archive_of(settings: Settings) -> Storage:
    """Return the storage of the archive, which must exist.

    Raises
    ------
    SettingsError
        There is no archive.
    StorageError
        The storage does not answer, or refuses.
    """
    storage = open_storage(settings.archive)
    if not storage.below("ledger").exists():
        raise SettingsError(f"there is no archive in {storage.uri}: is archive.uri right?")
    return storage


def location_beside(settings: Settings, uri: str) -> StorageLocation:
    """Return the location of a URI; with the scheme of `archive.uri` it has the same options."""
    same = urlsplit(uri).scheme == urlsplit(settings.archive.uri).scheme
    return StorageLocation(uri, settings.archive.storage_options() if same else {})


def counts_of(storage: Storage) -> tuple[ClassCounts, ...]:
    """Return the counts by class and night of all results of an archive; () without any."""
    stores = classified_stores(storage)
    return tuple(counts for store in stores if (counts := read_counts(store)) is not None)
