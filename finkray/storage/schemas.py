"""The writer schemas of an archive, each in a file that its fingerprint names."""

from finkray.storage.contract import Storage
from finkray.storage.layout import schema_path


def keep_schema(storage: Storage, fingerprint: str, text: str) -> None:
    """Store a writer schema, unless the archive has it.

    Raises
    ------
    StorageError
        if the storage refuses
    """
    path = schema_path(fingerprint)
    if storage.size_bytes(path) is None:
        storage.create(path, text.encode())


def read_schema(storage: Storage, fingerprint: str) -> str | None:
    """Return a writer schema as JSON, or None if the archive does not have it.

    Raises
    ------
    StorageError
        if the storage refuses
    """
    data = storage.read(schema_path(fingerprint))
    return None if data is None else data.decode(errors="replace")
