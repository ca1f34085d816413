"""Open an archive by its URI, or the one that the settings name."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa

from finkray.errors import StorageError
from finkray.reader.archive import Archive
from finkray.storage.hours import Moment
from finkray.storage.opening import Option, StorageLocation, open_storage


def open_archive(uri: str | Path, options: Mapping[str, Option] | None = None) -> Archive:
    """Open an archive for reading.

    Parameters
    ----------
    uri
        its folder, ``file:///folder``, ``s3://bucket/prefix`` or ``hdfs://host:port/folder``
    options
        of the storage, as `archive.options` of the settings; a folder takes none, and an object
        store needs none if the environment has its credentials

    Raises
    ------
    StorageError
        if there is no such folder, or the store refuses
    ValueError
        if the scheme of the URI is not supported, or the storage does not take an option
    """
    storage = open_storage(StorageLocation(str(uri), options or {}))
    if not storage.exists():
        raise StorageError(f"there is no archive at {storage.uri}: no such folder")
    return Archive(storage)


def lightcurve(
    object_id: str | int,
    *,
    bands: str | Collection[str] | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    kinds: str | Collection[str] | None = None,
) -> pa.Table:
    """Return the light curve of an object of the archive that the settings name.

    The settings are those of the file in ``FINKRAY_CONFIG``, or ``conf/finkray.toml`` of the
    current folder if there is one. Parameters and errors are those of `Archive.lightcurve`.

    Raises
    ------
    SettingsError
        if a setting is wrong
    """
    from finkray.settings.model import load

    default = Path("conf/finkray.toml")
    named = os.environ.get("FINKRAY_CONFIG")
    config = Path(named) if named else default if default.exists() else None
    location = load(config, os.environ).archive
    archive = open_archive(location.uri, location.storage_options())
    return archive.lightcurve(object_id, bands=bands, start=start, end=end, kinds=kinds)
