"""Publish one staged object: a copy inside the store that never replaces.

On s3:// the copy is CreateMultipartUpload, UploadPartCopy, CompleteMultipartUpload with
``If-None-Match: *``: a plain CopyObject with that condition replaces silently on several servers.
On gs:// and az:// the copy itself has the condition.
"""

from typing import TYPE_CHECKING, Final

from finkray.storage.contract import PublishOutcome
from finkray.storage.object_errors import is_no_object

if TYPE_CHECKING:
    from finkray.storage.object_client import Client

_COMPARED_BYTES: Final = 8 << 20


def publish_object(client: "Client", staged: str, final: str) -> PublishOutcome:
    """Copy an object to its final key, unless that is taken. The staged one stays.

    An error of the library is passed on.

    Returns
    -------
    PublishOutcome
        MOVED also if the final object has the content of the staged one: this call, or another
        process, made the copy, and the answer was lost
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    try:
        obstore.copy(client, staged, final, overwrite=False)
    except FileNotFoundError as error:
        # The staged object, or the upload: of a copy that was tried again after a lost answer.
        if not is_no_object(error):
            raise
        return _compare(client, staged, final)
    except (AlreadyExistsError, PreconditionError):
        return _compare(client, staged, final)
    return PublishOutcome.MOVED


def _compare(client: "Client", staged: str, final: str) -> PublishOutcome:
    import obstore

    there = _size_bytes(client, final)
    mine = _size_bytes(client, staged)
    if mine is None:
        return PublishOutcome.LOST if there is None else PublishOutcome.ALREADY_THERE
    if there is None:
        # The copy was refused as taken or gone, and is not there: a conflict (409), or a copy
        # that another process had begun. One more try; what it raises is the store's answer.
        obstore.copy(client, staged, final, overwrite=False)
        return PublishOutcome.MOVED
    if mine != there:
        return PublishOutcome.TAKEN
    try:
        same = all(
            _range(client, staged, start, mine) == _range(client, final, start, mine)
            for start in range(0, mine, _COMPARED_BYTES)
        )
    except FileNotFoundError:
        return PublishOutcome.ALREADY_THERE  # another process has published and deleted it
    return PublishOutcome.MOVED if same else PublishOutcome.TAKEN


def _size_bytes(client: "Client", key: str) -> int | None:
    import obstore

    try:
        return obstore.head(client, key)["size"]
    except FileNotFoundError:
        return None


def _range(client: "Client", key: str, start: int, size: int) -> bytes:
    import obstore

    end = min(size, start + _COMPARED_BYTES)
    return bytes(obstore.get_range(client, key, start=start, end=end))
