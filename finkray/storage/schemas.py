"""The writer schemas of an archive, each in a file that the SHA-256 of its content names."""

import hashlib
import logging
from typing import Literal

from finkray.storage.contract import Storage
from finkray.storage.layout import schema_path

_MAX_VERIFIED = 4096

_VERIFIED: dict[tuple[str, str], None] = {}
"""Files that this process has compared with their schemas, by the archive's URI and path: tasks
keep the schemas of each claim."""

log = logging.getLogger(__name__)


def keep_schema(storage: Storage, fingerprint: str, text: str) -> None:
    """Store a writer schema, unless the archive has it; a damaged file is written again.

    Raises
    ------
    StorageError
        if the storage refuses
    """
    path, data = schema_path(fingerprint), text.encode()
    size_bytes = storage.size_bytes(path)
    if size_bytes is None:
        storage.create(path, data)
    elif size_bytes == len(data) and (storage.uri, path) in _VERIFIED:
        return
    elif storage.read(path) != data:
        log.warning("%s was damaged; it is written again", path)
        storage.replace(path, data)
    if len(_VERIFIED) >= _MAX_VERIFIED:
        _VERIFIED.clear()
    _VERIFIED[storage.uri, path] = None


def read_schema(storage: Storage, fingerprint: str) -> str | None:
    """Return a writer schema as JSON, or None if the archive does not have it, or not whole.

    Raises
    ------
    StorageError
        if the storage refuses
    """
    data = storage.read(schema_path(fingerprint))
    if data is None or hashlib.sha256(data).hexdigest() != fingerprint:
        return None
    return data.decode()


def schema_problem(storage: Storage, fingerprint: str) -> Literal["missing", "damaged"] | None:
    """Return what is wrong with the file of a writer schema.

    Raises
    ------
    StorageError
        if the storage refuses
    """
    if read_schema(storage, fingerprint) is not None:
        return None
    return "missing" if storage.size_bytes(schema_path(fingerprint)) is None else "damaged"
