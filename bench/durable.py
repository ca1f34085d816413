"""The times at which alerts became durable, from the ledger of an archive or of results."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finkray.ledger.claims import read_claims
from finkray.storage.contract import Storage


def last_commit_unix_s(storage: Storage) -> float:
    """Return the time of the last commit."""
    return float(max(read_claims(storage, ("at",))["at"].to_pylist()).timestamp())


def kafka_unix_s(storage: Storage, claim: Mapping[str, Any]) -> np.ndarray:
    """Return the Kafka timestamps in the files of a claim, which was read with its `files`."""
    stamps = []
    for file in claim["files"]:
        with storage.open(file["path"]) as source:
            table = pq.read_table(source, columns=["kafka_timestamp"], partitioning=None)
        stamps.append(table.slice(file["first_row"] or 0, file["rows"]))
    found = [np.asarray(table.column(0).cast(pa.int64())) for table in stamps]
    return np.concatenate([np.array([]), *found]) / 1e3
