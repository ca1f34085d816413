"""Where the models of outliers lie: beside the alerts, or where the service's settings say."""

from pathlib import Path
from typing import Final

from finkray.errors import SettingsError
from finkray.host.home import expanded
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from finkray.storage.opening import StorageLocation, absolute, open_storage

FOLDER: Final = "outliers"
"""Folder of models, rankings and thumbs, beside the alerts."""

SERVICE: Final = "outliers"


def outlier_storage(settings: Settings) -> Storage:
    """Return the storage of models, rankings and thumbs.

    Raises
    ------
    SettingsError
        If `[services.outliers] folder` is no text.
    """
    return storage_beside(open_storage(settings.archive), _own_folder(settings))


def storage_beside(archive: Storage, folder: str | Path | None) -> Storage:
    """Return the storage of models, rankings and thumbs of an archive; None is its own folder."""
    if folder is None:
        return archive.below(FOLDER)
    return open_storage(StorageLocation(str(folder)))


def shared_table(settings: Settings) -> dict[str, str]:
    """Return what the process of a service may know: the folder of the models, without a secret.

    It is empty where the models lie in an object store: a service's process has no key to it.
    """
    folder = _own_folder(settings)
    if folder is not None:
        return {"folder": str(folder)}
    location = absolute(settings.archive)
    if location.options or "://" in location.uri.removeprefix("file://"):
        return {}
    return {"folder": f"{location.uri}/{FOLDER}"}


def _own_folder(settings: Settings) -> Path | None:
    folder = settings.services.own_tables().get(SERVICE, {}).get("folder")
    if folder is None:
        return None
    if not isinstance(folder, str) or not folder:
        raise SettingsError(
            "services.outliers.folder: expected a folder that all nodes see under the same path"
        )
    return expanded(folder).absolute()
