"""Find rows whose id an earlier row has, in bounded memory."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from catalogs.spill import Spill

BUCKETS: Final = 64


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The duplicates of a catalogue.

    Attributes
    ----------
    rows
        numbers of the rows in the source, ascending; the first row with an id is not a duplicate
    examples
        a few of the ids
    """

    rows: np.ndarray
    examples: tuple[str, ...]


class DuplicateFinder:
    """Collects ids piece by piece. Rows without an id are no duplicates."""

    def __init__(self, folder: Path) -> None:
        self._spill: Spill[int] = Spill(folder)

    def add(self, ids: pa.ChunkedArray, rows: np.ndarray) -> None:
        """Add a piece: ids, and the numbers of their rows."""
        from pandas.util import hash_array

        table = pa.table({"id": ids, "row": rows}).filter(ids.is_valid()).combine_chunks()
        if not table.num_rows:
            return
        values = table["id"].to_numpy()
        buckets = hash_array(values, categorize=False) % BUCKETS
        order = np.argsort(buckets, kind="stable")
        edges = np.searchsorted(buckets[order], np.arange(BUCKETS + 1))
        table = table.take(pa.array(order))
        for bucket in range(BUCKETS):
            start, end = int(edges[bucket]), int(edges[bucket + 1])
            if end > start:
                self._spill.append(bucket, table.slice(start, end - start))

    def found(self) -> Duplicates:
        """Return all duplicates among the ids that were added, and forget these."""
        rows, examples = [], []
        for bucket in self._spill.keys_with_rows():
            table = self._spill.take(bucket)
            again = table["id"].to_pandas().duplicated(keep="first").to_numpy()
            if again.any():
                rows.append(table["row"].to_numpy()[again])
                examples += _some(table["id"].filter(pa.array(again)).slice(0, 5).to_pylist())
        numbers = np.sort(np.concatenate(rows)) if rows else np.empty(0, np.int64)
        return Duplicates(numbers, tuple(sorted(set(examples))[:5]))


def _some(ids: Iterable[object]) -> list[str]:
    return [str(value) for value in ids]
