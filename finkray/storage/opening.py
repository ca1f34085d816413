"""Open the storage of an archive: the only module that knows which storages there are.

To add a storage, write a class with a `from_uri` like `LocalStorage.from_uri` and add its scheme
to `_OPENERS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import urlsplit

from finkray.storage.contract import Storage

Option = str | bool | int | float
"""Value of an option of a storage."""


class ArchiveLocation(Protocol):
    """Where an archive lies: `finkray.settings.model.ArchiveSettings`, or a `StorageLocation`."""

    @property
    def uri(self) -> str:
        """A folder, or a URI with a scheme."""

    def storage_options(self) -> Mapping[str, Option]:
        """Return the options of the storage, secrets in clear."""


@dataclass(frozen=True, slots=True)
class StorageLocation:
    """Where an archive lies, in a form that another process can open.

    Hashable and picklable. Its `repr` does not show the options, which may be secret.

    Attributes
    ----------
    uri
        absolute
    options
        of the storage, secrets in clear
    """

    uri: str
    options: Mapping[str, Option] = field(default_factory=dict, repr=False, hash=False)

    def storage_options(self) -> Mapping[str, Option]:
        """Return the options."""
        return self.options


def open_storage(location: ArchiveLocation) -> Storage:
    """Return the storage of an archive, without any access to it.

    Parameters
    ----------
    location
        the archive's section of the settings, or a `StorageLocation`

    Raises
    ------
    ValueError
        if the URI is of an unsupported scheme or malformed, or the storage does not take an
        option. No value of an option is in the message
    """
    scheme = urlsplit(location.uri).scheme
    opener = _OPENERS.get(scheme)
    if opener is None:
        raise ValueError(
            f"{scheme}:// is not supported: an archive lies in a folder that all nodes see "
            "under one path and that has hard links (a local disk, NFS 4, Lustre, CephFS), in an "
            "object store, or in HDFS; give the folder, or file:///folder, or s3://bucket/prefix, "
            "or hdfs://host:port/folder"
        )
    return opener(location.uri, location.storage_options())


def absolute(location: ArchiveLocation) -> StorageLocation:
    """Return a location with the same meaning in other processes and working directories.

    Raises
    ------
    ValueError
        as `open_storage`
    """
    return StorageLocation(open_storage(location).uri, dict(location.storage_options()))


def _open_local(uri: str, options: Mapping[str, Option]) -> Storage:
    from finkray.storage.local import LocalStorage

    return LocalStorage.from_uri(uri, options)


def _open_memory(uri: str, options: Mapping[str, Option]) -> Storage:
    from finkray.storage.memory import MemoryStorage

    return MemoryStorage.from_uri(uri, options)


def _open_objects(uri: str, options: Mapping[str, Option]) -> Storage:
    from finkray.storage.objects import ObjectStorage

    return ObjectStorage.from_uri(uri, options)


def _open_hdfs(uri: str, options: Mapping[str, Option]) -> Storage:
    from finkray.storage.hdfs import HdfsStorage

    return HdfsStorage.from_uri(uri, options)


_OPENERS: Final[Mapping[str, Callable[[str, Mapping[str, Option]], Storage]]] = {
    "": _open_local,
    "file": _open_local,
    "memory": _open_memory,
    "s3": _open_objects,
    "gs": _open_objects,
    "az": _open_objects,
    "hdfs": _open_hdfs,
}
"""Functions that open a storage, by scheme. Each imports its module only when it is called, because
a client library may take long to load."""
