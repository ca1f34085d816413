"""The ids of schemas that were found once: kept with the archive, so that none is needed twice.

`schemas/ids/<cluster id>/<schema id>.json` names a schema of `schemas/` by its fingerprint::

    {"schema_id": 1000, "fingerprint": "9f…"}
"""

import json

from finkray.errors import LedgerCorrupt
from finkray.storage.contract import Storage
from finkray.storage.layout import SCHEMA_IDS_FOLDER, cluster_of_ids, schema_id_path, schema_path


def keep_schema_id(storage: Storage, cluster_id: str, schema_id: int, fingerprint: str) -> None:
    """Write down what the id means; the schema itself must be there already.

    Raises
    ------
    StorageError
        if the storage refuses
    """
    path = schema_id_path(cluster_id, schema_id)
    if storage.size_bytes(path) is None:
        raw = {"schema_id": schema_id, "fingerprint": fingerprint}
        storage.create(path, json.dumps(raw).encode() + b"\n")


def read_schema_ids(storage: Storage) -> dict[tuple[str, int], str]:
    """Every schema that was found by its id: by cluster and id, JSON.

    Raises
    ------
    LedgerCorrupt
        if one is not what it should be
    StorageError
        if the storage refuses
    """
    known = {}
    for folder in storage.folders(SCHEMA_IDS_FOLDER):
        for file in storage.files(folder):
            try:
                raw = json.loads(storage.read(file.path) or b"")
                text = (storage.read(schema_path(raw["fingerprint"])) or b"").decode()
                known[cluster_of_ids(folder), int(raw["schema_id"])] = text
            except (ValueError, KeyError, TypeError) as error:
                raise LedgerCorrupt(
                    f"{file.path} names no schema ({type(error).__name__}: {error}): delete it, "
                    "the schema is then looked up again"
                ) from error
            if not text:
                raise LedgerCorrupt(
                    f"the schema that {file.path} names is gone: delete {file.path}"
                )
    return known
