"""Publish one staged object: complete its upload, or copy it; neither replaces anything.

Deferred, on s3:// with keys of ours: the file is uploaded to its final key when it is staged, by a
multipart upload that stays open, and the staged object is a *ticket*, with the upload's id in its
metadata. To publish is CompleteMultipartUpload with ``If-None-Match: *``: 4 to 7 times as many
files a second as by a copy, and the store writes each file once. The object of an upload carries
the random word of its ticket. The word alone says whose object stands under the final key: a store
may answer a completion with success, or with a refusal, whoever has completed it.

By a copy: on s3:// it is CreateMultipartUpload, UploadPartCopy, CompleteMultipartUpload with
``If-None-Match: *``: a plain CopyObject with that condition replaces silently on several servers.
On gs:// and az:// the copy itself has the condition.
"""

import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self
from urllib.parse import quote, unquote

from finkray.errors import StorageError
from finkray.storage.contract import PublishOutcome
from finkray.storage.object_errors import Refusal, is_no_object
from finkray.storage.s3_uploads import S3Uploads

if TYPE_CHECKING:
    from finkray.storage.object_client import Client

CREATOR: Final = "finkraycreator"
"""Name of the metadata with the creator's random word. Azure allows letters, digits and underscores
in such names, and proxies drop headers with underscores."""

_UPLOAD: Final = "finkrayupload"
_FINAL: Final = "finkrayfinal"
_E_TAG: Final = "finkrayetag"
_SIZE: Final = "finkraysize"

_COMPARED_BYTES: Final = 8 << 20
_LOOKS: Final = 8
_LOOKS_FOR_LOST: Final = 3
"""Before an upload that is gone counts as lost: its completion by another process may not have
ended."""

_LOOK_PAUSE_S: Final = 0.05


class Ticket(NamedTuple):
    """What is needed to complete an upload: the metadata of a staged object.

    Attributes
    ----------
    word
        of the object that the upload becomes
    final
        key of that object
    upload_id, e_tag
        of the upload, and of its only part
    size_bytes
        of the file
    """

    word: str
    final: str
    upload_id: str
    e_tag: str
    size_bytes: int

    @classmethod
    def of(cls, attributes: Mapping[Any, str]) -> Self | None:
        """Return the ticket that an object is, None if it is a file."""
        if _UPLOAD not in attributes:
            return None
        return cls(
            attributes[CREATOR],
            unquote(attributes[_FINAL]),
            attributes[_UPLOAD],
            attributes[_E_TAG],
            int(attributes[_SIZE]),
        )

    def attributes(self) -> dict[str, str]:
        """Return the metadata of its object."""
        return {
            CREATOR: self.word,
            _FINAL: quote(self.final),
            _UPLOAD: self.upload_id,
            _E_TAG: self.e_tag,
            _SIZE: str(self.size_bytes),
        }


def attributes_of(client: "Client", key: str) -> Mapping[Any, str] | None:
    """Return the metadata of an object, None if it does not exist."""
    import obstore

    try:
        return obstore.get(client, key, options={"head": True}).attributes
    except FileNotFoundError:
        return None


def ticket_of(client: "Client", key: str) -> Ticket | None:
    """Return the ticket that a staged object is, None if it is a file or does not exist.

    Reads its first byte: the answer to a HEAD would not say why it is refused.
    """
    import obstore
    from obstore.exceptions import BaseError

    try:
        return Ticket.of(obstore.get(client, key, options={"range": (0, 1)}).attributes)
    except FileNotFoundError as error:
        if not is_no_object(error):
            raise
        return None
    except BaseError as error:
        if Refusal.of(error).status != 416:  # an empty file has no first byte
            raise
        return None


def upload(uploads: S3Uploads, final: str, data: bytes, word: str) -> Ticket:
    """Upload a file to its final key, where nobody sees it before `complete`."""
    upload_id = uploads.begin(final, {CREATOR: word})
    return Ticket(word, final, upload_id, uploads.put(final, upload_id, data), len(data))


def complete(client: "Client", uploads: S3Uploads, ticket: Ticket) -> PublishOutcome:
    """Complete an upload, unless its final key is taken. The ticket stays.

    Raises
    ------
    StorageError
        if the store accepts the completion, and no object appears
    """
    for attempt in range(_LOOKS):
        is_there = uploads.complete(ticket.final, ticket.upload_id, ticket.e_tag)
        found = attributes_of(client, ticket.final)
        if found is not None:
            mine = found.get(CREATOR) == ticket.word
            return PublishOutcome.MOVED if mine else PublishOutcome.TAKEN
        if not is_there and attempt >= _LOOKS_FOR_LOST:
            return PublishOutcome.LOST
        # A conflict (409), or the completion of another process that has not ended.
        time.sleep(random.uniform(0, _LOOK_PAUSE_S * 2**attempt))  # noqa: S311 - see above
    raise StorageError(
        f"the store does not complete the upload of {ticket.final}: look into the store's log"
    )


def copy_object(client: "Client", staged: str, final: str) -> PublishOutcome:
    """Copy an object to its final key, unless that is taken. The staged one stays.

    An error of the library is passed on.

    Returns
    -------
    PublishOutcome
        MOVED also if the final object has the content of the staged one: this call, or another
        process, made the copy, and the answer was lost
    """
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    try:
        _copy(client, staged, final)
    except FileNotFoundError as error:
        # The staged object, or the upload: of a copy that was tried again after a lost answer.
        if not is_no_object(error):
            raise
        return _compare(client, staged, final)
    except (AlreadyExistsError, PreconditionError):
        return _compare(client, staged, final)
    return PublishOutcome.MOVED


def _copy(client: "Client", staged: str, final: str) -> None:
    """Copy an object to its final key, unless that is taken, and look whether it is there.

    The answer alone does not say so: versitygw 1.8.0 that was killed while it completed an upload
    answers each further completion of it with success, and never carries it out.
    """
    import obstore

    for attempt in range(_LOOKS):
        obstore.copy(client, staged, final, overwrite=False)
        if _size_bytes(client, final) is not None:
            return
        time.sleep(random.uniform(0, _LOOK_PAUSE_S * 2**attempt))  # noqa: S311 - see above
    raise StorageError(
        f"the store accepts copies to {final}, and no object appears: look into the store's log"
    )


def _compare(client: "Client", staged: str, final: str) -> PublishOutcome:
    there = _size_bytes(client, final)
    mine = _size_bytes(client, staged)
    if mine is None:
        return PublishOutcome.LOST if there is None else PublishOutcome.ALREADY_THERE
    if there is None:
        # The copy was refused as taken or gone, and is not there: a conflict (409), or a copy
        # that another process had begun. One more try; what it raises is the store's answer.
        _copy(client, staged, final)
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
