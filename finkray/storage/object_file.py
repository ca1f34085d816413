"""An object that is read at any position, for pyarrow."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from finkray.storage.object_errors import Refusal, is_no_object
from finkray.storage.ranged_file import TAIL_BYTES, ranged_file

if TYPE_CHECKING:
    from finkray.storage.object_client import Client


def open_object(client: "Client", key: str, uri: str) -> pa.NativeFile:
    """Open an object. Its size and its end come with one request.

    Raises
    ------
    FileNotFoundError
        if there is none
    OSError
        if the store refuses, as reading does later
    """
    import obstore
    from obstore.exceptions import BaseError

    def fetch(start: int, end: int) -> Any:
        try:
            return obstore.get_range(client, key, start=start, end=end)
        except BaseError as error:
            raise OSError(f"cannot read {uri}: {error}") from error

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
    return ranged_file(size, tail, fetch)
