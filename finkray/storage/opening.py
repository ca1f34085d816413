"""From an archive's URI to its storage: the one place that knows which kinds there are."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from finkray.storage.contract import Storage
from finkray.storage.local import LocalStorage


def open_storage(uri: str) -> Storage:
    """The storage of an archive; nothing is looked at or made yet.

    Parameters
    ----------
    uri
        a folder, or ``file:///folder``

    Raises
    ------
    ValueError
        if it is of a kind that is not supported
    """
    return LocalStorage(folder_of(uri))


def folder_of(uri: str) -> Path:
    """The folder that a URI means, as an absolute path.

    Raises
    ------
    ValueError
        if it means none; the message says what is expected
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        raise ValueError(
            f"{parts.scheme}:// is not supported: an archive lies in a folder that all nodes see "
            "under one path and that has hard links (a local disk, NFS 4, Lustre, CephFS); give "
            "the folder, or file:///folder"
        )
    if parts.scheme and (parts.netloc or not parts.path.startswith("/")):
        raise ValueError("expected three slashes and an absolute path: file:///folder")
    return Path(unquote(parts.path) if parts.scheme else uri).expanduser().absolute()
