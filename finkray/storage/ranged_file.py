"""A file of a store that is read at any position, range by range, for pyarrow."""

import atexit
import io
import os
import time
from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa

TAIL_BYTES: Final = 64 << 10
"""How much of the end is read when a file is opened: a Parquet file begins with its end, and
pyarrow asks for as much."""

GRACE_S: Final = 0.1
"""Time between the last read and the end of the program.

A thread of Arrow lets go of a file, and of what it has read, a moment after the reader has
returned, and needs the interpreter for that; a program that ends in this moment aborts
(https://github.com/apache/arrow/issues/34314). With pyarrow 26.0.1 on a machine under load that
was 14 of 240 programs that read a table and end, and none of 240 that wait so long."""


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
        _end.read_s = time.monotonic()
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


class _End:
    """The end of the program; `read_s` is when a file was read last, on the monotonic clock."""

    read_s = 0.0

    def wait(self) -> None:
        """Wait until Arrow's threads have let go of what was read last."""
        time.sleep(max(0.0, self.read_s + GRACE_S - time.monotonic()))


_end = _End()
atexit.register(_end.wait)
