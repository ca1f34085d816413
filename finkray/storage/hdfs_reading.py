"""Read files of HDFS whole, although a block may be there that its readers do not know of yet.

A name node with `dfs.namenode.file.close.num-committed-allowed` lets a file be closed before its
data nodes have reported the last block. Its status has the true length at once; but the library
opens it without that block, most often as a file of 0 bytes (9 of 15 869 reads). And a file that is
replaced between two requests cannot be read at all. So what is read is compared with the length in
the status, and read again.
"""

import time
from typing import TYPE_CHECKING, Final

from finkray.errors import StorageError
from finkray.storage.hdfs_time import CallLimit

if TYPE_CHECKING:
    from hdfs_native import Client

_TRIES: Final = 20
_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 0.5


def read_range(
    client: "Client",
    path: str,
    bounds: tuple[int, int] | None,
    limit: CallLimit,
) -> bytes:
    """Return a range of a file.

    Parameters
    ----------
    client, path
        of the file
    bounds
        start and end of the range; None is the whole file
    limit
        of the call

    Raises
    ------
    FileNotFoundError
        if the file does not exist, or is a folder
    StorageError
        if it stays shorter than the name node says
    OSError, RuntimeError
        of the library
    """
    for attempt in range(_TRIES):
        limit.check()
        try:
            start, end = bounds or (0, client.get_file_info(path).length)
            reader = client.read(path)
            # The library panics when it is asked for more than it knows of.
            is_known = start < end <= len(reader)
            data = bytes(reader.read_range(start, end - start)) if is_known else b""
        except RuntimeError as error:
            # The name node's answer is final. A data node's may be that the file was replaced.
            if "RPCError" in str(error) or attempt == _TRIES - 1:
                raise
        else:
            if len(data) == end - start:
                return data
        time.sleep(min(_PAUSE_S * 2**attempt, _LONGEST_PAUSE_S))
    raise StorageError(f"{path} is shorter than the name node says: look into the data nodes' logs")
