"""A file of a store that is read at any position, range by range, for pyarrow."""

import io
import os
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa

TAIL_BYTES: Final = 64 << 10
"""How much of the end is read when a file is opened: a Parquet file begins with its end, and
pyarrow asks for as much."""


def ranged_file(size: int, tail: bytes, fetch: Callable[[int, int], Any]) -> pa.NativeFile:
    """Return a file that reads ranges when they are asked for; its end is known already.

    Parameters
    ----------
    size
        of the file
    tail
        its last bytes
    fetch
        returns the bytes from a start up to, not including, an end: any buffer. Raises OSError
    """
    return pa.PythonFile(_RangedFile(size, tail, fetch), mode="r")


class _RangedFile(io.RawIOBase):
    """Reads ranges of a file."""

    def __init__(self, size: int, tail: bytes, fetch: Callable[[int, int], Any]) -> None:
        super().__init__()
        self._size = size
        self._tail = tail
        self._fetch = fetch
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> Any:
        """Return the next bytes: any buffer, which saves a copy."""
        start = min(self._at, self._size)
        end = self._size if size is None or size < 0 else min(start + size, self._size)
        self._at = end
        if start == end:
            return b""
        tail_start = self._size - len(self._tail)
        if start >= tail_start:
            return self._tail[start - tail_start : end - tail_start]
        return self._fetch(start, end)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = memoryview(self.read(len(view)))
        view[: len(data)] = data
        return len(data)
