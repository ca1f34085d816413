"""Schema ids that were resolved once, kept in the archive so that none is looked up twice.

`schemas/ids/<cluster id>/<schema id>.json` names a schema of `schemas/` by its fingerprint::

    {"schema_id": 1000, "fingerprint": "9f…"}
"""

import json
import logging

from finkray.errors import LedgerCorrupt
from finkray.storage.contract import Storage
from finkray.storage.layout import SCHEMA_IDS_FOLDER, cluster_of_ids, schema_id_path, schema_path
from finkray.storage.schemas import read_schema

log = logging.getLogger(__name__)


def keep_schema_id(storage: Storage, cluster_id: str, schema_id: int, fingerprint: str) -> None:
    """Record the schema of an id; the schema itself must be stored already.

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
    """Return the schemas of all recorded ids, as JSON text by cluster and id.

    An id whose schema is missing or damaged is left out: it is looked up again when a packet names
    it, and its schema is then stored again.

    Raises
    ------
    LedgerCorrupt
        if a file is malformed
    StorageError
        if the storage refuses
    """
    known = {}
    for folder in storage.folders(SCHEMA_IDS_FOLDER):
        for file in storage.files(folder):
            try:
                raw = json.loads(storage.read(file.path) or b"")
                schema_id, fingerprint = int(raw["schema_id"]), str(raw["fingerprint"])
            except (ValueError, KeyError, TypeError) as error:
                raise LedgerCorrupt(
                    f"{file.path} names no schema ({type(error).__name__}: {error}): delete it, "
                    "then the schema is looked up again"
                ) from error
            text = read_schema(storage, fingerprint)
            if text is None:
                log.warning(
                    "%s, the schema with id %d, is missing or damaged; the id is looked up again",
                    schema_path(fingerprint),
                    schema_id,
                )
            else:
                known[cluster_of_ids(folder), schema_id] = text
    return known
