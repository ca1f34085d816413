"""The order and the digest of a model's rows, which depend on their values alone. Pure."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DIGEST_CHARS = 16


def canonical_order(table: pa.Table) -> np.ndarray:
    """Return the order in which the values of its rows put a table, from its first column on.

    Two rows that are equal in all columns may be exchanged: nothing shows it.
    """
    keys = [(name, "ascending") for name in table.column_names]
    order: np.ndarray = pc.sort_indices(table, sort_keys=keys).to_numpy()
    return order


def digest_of(survey: str, seed: int, features: str, reference: pa.Table, thumbs: pa.Table) -> str:
    """Return the digest of a model's data."""
    digest = hashlib.sha256()
    facts = {"survey": survey, "seed": seed, "features": features}
    digest.update(json.dumps(facts, sort_keys=True).encode())
    for table in (reference, thumbs):
        digest.update(json.dumps([table.num_rows, *table.column_names]).encode())
        for column in table.columns:
            digest.update(_bytes_of(column.combine_chunks()))
    return digest.hexdigest()[:DIGEST_CHARS]


def _bytes_of(values: pa.Array) -> bytes:
    """Return the values of a column as bytes; those of null are of one form."""
    if pa.types.is_floating(values.type):
        numbers = values.to_numpy(zero_copy_only=False).astype("<f8")
        return np.where(np.isnan(numbers), np.nan, numbers + 0.0).tobytes()  # -0.0 is 0.0
    return json.dumps(values.to_pylist()).encode()
