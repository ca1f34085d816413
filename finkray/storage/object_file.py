"""An object that is read at any position, for pyarrow."""

import io
import os
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from finkray.storage.object_errors import Refusal, is_no_object

if TYPE_CHECKING:
    from finkray.storage.object_client import Client

TAIL_BYTES: Final = 64 << 10
"""How much of the end is read with the size, in one request: a Parquet file begins with its end,
and pyarrow asks for as much."""


def open_object(client: "Client", key: str, uri: str) -> pa.NativeFile:
    """Open an object.

    Raises
    ------
    FileNotFoundError
        if there is none
    OSError
        if the store refuses, as reading does later
    """
    import obstore
    from obstore.exceptions import BaseError

    try:
        found = obstore.get(client, key, options={"range": {"suffix": TAIL_BYTES}})
        size, tail = found.meta["size"], bytes(found.bytes())
    except FileNotFoundError as error:
        if not is_no_object(error):
            raise OSError(f"cannot open {uri}: {error}") from error
        raise FileNotFoundError(uri) from None
    except BaseError as error:
        # An empty object has no last bytes: 416.
        if Refusal.of(error).status != 416:
            raise OSError(f"cannot open {uri}: {error}") from error
        size, tail = 0, b""
    return pa.PythonFile(_ObjectFile(client, key, uri, size, tail), mode="r")


class _ObjectFile(io.RawIOBase):
    """Reads ranges of an object; its end is known already."""

    def __init__(self, client: "Client", key: str, uri: str, size: int, tail: bytes) -> None:
        super().__init__()
        self._client = client
        self._key = key
        self._uri = uri
        self._size = size
        self._tail = tail
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
        return self._range(start, end)

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = memoryview(self.read(len(view)))
        view[: len(data)] = data
        return len(data)

    def _range(self, start: int, end: int) -> Any:
        import obstore
        from obstore.exceptions import BaseError

        try:
            return obstore.get_range(self._client, self._key, start=start, end=end)
        except BaseError as error:
            raise OSError(f"cannot read {self._uri}: {error}") from error
