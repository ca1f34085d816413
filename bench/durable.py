"""The times at which alerts became durable, from the ledger of an archive or of results."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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


class Durable(NamedTuple):
    """A claim, and when it was committed."""

    at_unix_s: float
    partition: int
    first_offset: int
    last_offset: int


def durable_claims(storage: Storage) -> list[Durable]:
    """Return all claims of the ledger in order of commit."""
    claims = read_claims(storage, ("at", "partition", "first_offset", "last_offset"))
    return [
        Durable(row["at"].timestamp(), row["partition"], row["first_offset"], row["last_offset"])
        for row in claims.to_pylist()
    ]


def alerts_of(claim: Durable) -> int:
    """Return the number of alerts of a claim."""
    return claim.last_offset - claim.first_offset + 1


def results_after_s(durable: Sequence[Durable], results: Sequence[Durable]) -> np.ndarray:
    """Return for each alert of claims how long after its commit its result was durable.

    Parameters
    ----------
    durable
        claims of alerts
    results
        claims of the results of a service, which are the same ranges of offsets
    """
    at_unix_s = {each[1:]: each.at_unix_s for each in results}
    return np.concatenate(
        [np.full(alerts_of(each), at_unix_s[each[1:]] - each.at_unix_s) for each in durable]
    )
