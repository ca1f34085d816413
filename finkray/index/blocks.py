"""Tables that are sorted by their first column, in blocks that are read one by one.

A file is an Arrow IPC file whose record batches are blocks of `BLOCK_ROWS` rows. The first key of
each block is in the metadata of the schema, so a look-up reads the blocks that may have the key,
by ranges, on any storage. The metadata have CRC-32s too, of these keys and of each block, so that
a damaged file is an error and not another answer; files that an older finkray wrote have none.
"""

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from finkray.storage.contract import Storage

BLOCK_ROWS: Final = 4096

_FIRST_KEYS: Final = b"finkray.first_keys"
_CHECKSUMS: Final = b"finkray.crc32"


def write_blocks(storage: Storage, path: str, table: pa.Table, *, compressed: bool = False) -> int:
    """Write a table that is sorted by its first column; return the size in bytes."""
    keys = table.column(0).to_numpy()
    first_keys = keys[::BLOCK_ROWS].astype(np.int64).tobytes()
    blocks = table.combine_chunks().to_batches(max_chunksize=BLOCK_ROWS)
    checksums = np.array([zlib.crc32(first_keys), *map(_checksum, blocks)], np.uint32)
    metadata = {_FIRST_KEYS: first_keys, _CHECKSUMS: checksums.tobytes()}
    schema = table.schema.with_metadata(metadata)
    options = pa.ipc.IpcWriteOptions(compression="zstd" if compressed else None)
    with storage.stage(path) as sink:
        with pa.ipc.new_file(pa.PythonFile(sink, "w"), schema, options=options) as writer:
            for block in blocks:
                writer.write_batch(block.replace_schema_metadata(metadata))
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
    ArrowInvalid, OSError, KeyError, TypeError, ValueError
        if it is damaged; look-ups raise these too
    """

    def __init__(self, storage: Storage, path: str) -> None:
        self._path = path
        self._source = storage.open(path)
        self._reader = pa.ipc.open_file(self._source)
        metadata = self._reader.schema.metadata
        first_keys = metadata[_FIRST_KEYS]
        self._first_keys = np.frombuffer(first_keys, np.int64)
        self._checksums: list[int] | None = None
        self._verified: set[int] = set()
        if _CHECKSUMS in metadata:
            of_keys, *self._checksums = np.frombuffer(metadata[_CHECKSUMS], np.uint32).tolist()
            if zlib.crc32(first_keys) != of_keys:
                raise pa.ArrowInvalid(f"{path} is damaged: its first keys have another CRC-32")

    def all(self) -> pa.Table:
        """Return the whole table."""
        blocks = [self._block(number) for number in range(self._reader.num_record_batches)]
        return pa.Table.from_batches(blocks, self._reader.schema).replace_schema_metadata()

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
            block = self._block(number)
            values = block.column(0).to_numpy()
            mask = _in_ranges(values, ranges) if keys is None else _equal_any(values, keys)
            at = np.flatnonzero(mask)
            if len(at):
                found.append(block.take(pa.array(at)))
        return pa.Table.from_batches(found, self._reader.schema).replace_schema_metadata()

    def _block(self, number: int) -> pa.RecordBatch:
        """Return a block; `ArrowInvalid` if it is not what was written."""
        block = self._reader.get_batch(number)
        if number not in self._verified and self._checksums is not None:
            block.validate(full=True)
            if _checksum(block) != self._checksums[number]:
                raise pa.ArrowInvalid(f"{self._path} is damaged: block {number} has another CRC-32")
            self._verified.add(number)
        return block


def _checksum(block: pa.RecordBatch) -> int:
    """Return the CRC-32 of the values of a block, whose columns are numbers or text."""
    checksum = 0
    for column in block.columns:
        if pa.types.is_string(column.type):
            values = "\n".join(column.to_pylist()).encode()
        else:
            values = column.to_numpy().tobytes()
        checksum = zlib.crc32(values, checksum)
    return checksum


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
