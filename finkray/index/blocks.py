"""Tables that are sorted by their first column, in blocks that are read one by one.

A file is an Arrow IPC file whose record batches are blocks of `BLOCK_ROWS` rows. The first key of
each block is in the metadata of the schema, so a look-up reads the blocks that may have the key,
by ranges, on any storage.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.storage.contract import Storage

BLOCK_ROWS: Final = 4096

_FIRST_KEYS: Final = b"finkray.first_keys"


def write_blocks(storage: Storage, path: str, table: pa.Table, *, compressed: bool = False) -> int:
    """Write a table that is sorted by its first column; return the size in bytes."""
    keys = table.column(0).to_numpy()
    first_keys = keys[::BLOCK_ROWS].astype(np.int64).tobytes()
    schema = table.schema.with_metadata({_FIRST_KEYS: first_keys})
    options = pa.ipc.IpcWriteOptions(compression="zstd" if compressed else None)
    with storage.stage(path) as sink:
        with pa.ipc.new_file(pa.PythonFile(sink, "w"), schema, options=options) as writer:
            for batch in table.combine_chunks().to_batches(max_chunksize=BLOCK_ROWS):
                writer.write_batch(batch)
        return sink.tell()


class BlockFile:
    """A file of blocks, open for look-ups.

    Parameters
    ----------
    storage, path
        the file

    Raises
    ------
    FileNotFoundError
        if there is no such file
    """

    def __init__(self, storage: Storage, path: str) -> None:
        self._source = storage.open(path)
        self._reader = pa.ipc.open_file(self._source)
        self._first_keys = np.frombuffer(self._reader.schema.metadata[_FIRST_KEYS], np.int64)

    def all(self) -> pa.Table:
        """Return the whole table."""
        return self._reader.read_all().replace_schema_metadata()

    def of_keys(self, keys: np.ndarray) -> pa.Table:
        """Return the rows that have one of some keys, which are sorted."""
        return self._blocks(np.stack([keys, keys], axis=1), keys)

    def in_ranges(self, ranges: np.ndarray) -> pa.Table:
        """Return the rows whose keys are in one of some ranges that do not overlap.

        Parameters
        ----------
        ranges
            (n, 2), first and last key, in ascending order
        """
        return self._blocks(ranges, None)

    def _blocks(self, ranges: np.ndarray, keys: np.ndarray | None) -> pa.Table:
        # A key that begins a block may also end the one before.
        begin = np.maximum(np.searchsorted(self._first_keys, ranges[:, 0], "left") - 1, 0)
        end = np.searchsorted(self._first_keys, ranges[:, 1], "right")
        needed: set[int] = set()
        for first, last in zip(begin.tolist(), end.tolist(), strict=True):
            needed.update(range(first, last))
        found: list[pa.RecordBatch] = []
        for number in sorted(needed):
            block = self._reader.get_batch(number)
            values = block.column(0).to_numpy()
            mask = _in_ranges(values, ranges) if keys is None else _equal_any(values, keys)
            at = np.flatnonzero(mask)
            if len(at):
                found.append(block.take(pa.array(at)))
        return pa.Table.from_batches(found, self._reader.schema).replace_schema_metadata()


def _equal_any(values: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Return which of some sorted values are among some keys, sorted too."""
    first, last = np.searchsorted(keys, values[0]), np.searchsorted(keys, values[-1], "right")
    wanted = keys[first:last]
    mask = np.zeros(len(values), bool)
    begin, end = np.searchsorted(values, wanted), np.searchsorted(values, wanted, "right")
    for one, other in zip(begin.tolist(), end.tolist(), strict=True):
        mask[one:other] = True
    return mask


def _in_ranges(values: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    at = np.searchsorted(ranges[:, 0], values, "right") - 1
    inside: np.ndarray = (at >= 0) & (values <= ranges[np.maximum(at, 0), 1])
    return inside


def sorted_table(columns: dict[str, np.ndarray], by: Sequence[str]) -> pa.Table:
    """Return columns as a table that is sorted by some of them, the first of which counts most."""
    order = np.lexsort([columns[name] for name in reversed(by)])
    return pa.table({name: values[order] for name, values in columns.items()})
