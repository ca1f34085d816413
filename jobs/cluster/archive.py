"""The archive that the settings name, as commands and services find it."""

from finkray.errors import SettingsError
from finkray.results.counts import ClassCounts, classified_stores, read_counts
from finkray.settings.model import Settings
from finkray.storage.local import LocalStorage


def archive_of(settings: Settings) -> LocalStorage:
    """The archive's folder, which must be there.

    Raises
    ------
    SettingsError
        There is none.
    """
    root = settings.archive.root
    if not (root / "ledger").is_dir():
        raise SettingsError(f"there is no archive in {root}: is archive.uri right?")
    return LocalStorage(root)


def counts_of(settings: Settings) -> tuple[ClassCounts, ...]:
    """The counts by class and night that stand beside an archive's results, if there are any."""
    root = settings.archive.root
    if not root.is_dir():
        return ()
    found = (read_counts(store) for store in classified_stores(LocalStorage(root)))
    return tuple(one for one in found if one is not None)
