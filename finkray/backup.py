"""Back an archive up, also while it runs: copy what could not be made again.

Copied are alerts, dead letters and schemas with the ledger, the results of services, models of
outliers and thumbs, and published filters. HATS nights, the object index and the counts of classes
can be made again. Results are copied before the alerts: so a backup has no result of an alert that
it lacks.
"""

from collections.abc import Iterable

from finkray.errors import SettingsError
from finkray.ledger.copying import BackupResult, Tell, begin_copy, copy_archive
from finkray.ledger.identity import read_identity
from finkray.outliers.location import FOLDER as OUTLIERS_FOLDER
from finkray.results.backlog import LIVE_PATH
from finkray.results.store import ABOUT_PATH, list_stores, store_folder
from finkray.storage.contract import Storage
from finkray.streamout.published import FOLDER as FILTERS_FOLDER


def back_up(source: Storage, target: Storage, tell: Tell = lambda _: None) -> BackupResult:
    """Copy an archive, or what is new in it since the last backup in the same place.

    Parameters
    ----------
    source
        of the archive, which may run
    target
        of the backup: empty, or an earlier backup of the same archive
    tell
        gets a line on progress

    Returns
    -------
    BackupResult
        entries of the archive's ledger; files and what is missing, of results too

    Raises
    ------
    SettingsError, LedgerError, ArchiveHeld, StorageError
        as `finkray.ledger.copying.copy_archive`
    """
    if f"{target.uri}/".startswith(f"{source.uri}/"):
        raise SettingsError(f"{target.uri} is in the archive itself: choose another folder")
    begin_copy(source, target)
    copies = []
    for store in list_stores(source):
        if read_identity(store.storage) is None:
            continue  # it never ran
        folder = store_folder(store.name, store.version)
        copies.append((folder, copy_archive(store.storage, target.below(folder), tell)))
        _copy_objects(store.storage, target.below(folder), (ABOUT_PATH, LIVE_PATH))
    for folder in (OUTLIERS_FOLDER, FILTERS_FOLDER):
        _copy_objects(source, target, (file.path for file in source.walk(folder)))
    alerts = copy_archive(source, target, tell)
    copies.append(("", alerts))
    return BackupResult(
        entries=alerts.entries,
        files=sum(each.files for _, each in copies),
        size_bytes=sum(each.size_bytes for _, each in copies),
        missing=tuple(
            f"{folder}/{path}".lstrip("/") for folder, each in copies for path in each.missing
        ),
    )


def _copy_objects(source: Storage, target: Storage, paths: Iterable[str]) -> None:
    """Copy small objects as they are now."""
    for path in paths:
        data = source.read(path)
        if data is not None and data != target.read(path):
            target.replace(path, data)
