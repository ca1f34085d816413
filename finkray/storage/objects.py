"""An archive in an object store: ``s3://bucket/prefix``, and ``gs://`` and ``az://`` alike.

Requests are sent by obstore, which tries them again with growing pauses. Such a try may meet what
an earlier one did, whose answer was lost: so each object carries a random word in its metadata, by
which its creator knows it again. `finkray.storage.object_checks` tries a store before an archive
trusts it.
"""

import io
import random
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.fs as pafs

from finkray.errors import StorageError
from finkray.storage.contract import PublishOutcome, StorageCheck, StoredFile
from finkray.storage.object_checks import check_object_store
from finkray.storage.object_client import (
    DEFERRED_BYTES,
    PUBLISH_OPTION,
    PUBLISH_WAYS,
    Option,
    endpoint_of,
    resolved,
    shared_client,
)
from finkray.storage.object_errors import explained, is_no_object
from finkray.storage.object_file import open_object
from finkray.storage.object_publishing import (
    CREATOR,
    Ticket,
    attributes_of,
    complete,
    copy_object,
    ticket_of,
    upload,
)
from finkray.storage.object_uri import ObjectUri
from finkray.storage.odd_paths import OBJECT_ODD, refuse_odd_path
from finkray.storage.read_only import read_only_filesystem
from finkray.storage.s3_uploads import S3Uploads, shared_uploads
from finkray.storage.store_checks import refuse_unfit_store

if TYPE_CHECKING:
    from finkray.storage.object_client import Client

PUBLISH_THREADS: Final = 8
"""Publications at a time: a copy takes half a second at Amazon, and three requests."""

STAGING: Final = "staging/"
"""Below it alone may objects be tickets, whose uploads are given up when they are deleted."""

_CONFLICT_TRIES: Final = 8
_CONFLICT_PAUSE_S: Final = 0.05


class ObjectStorage:
    """A storage in an object store.

    Parameters
    ----------
    uri
        bucket and prefix
    options
        see `finkray.storage.object_client.make_client`
    """

    def __init__(self, uri: ObjectUri, options: Mapping[str, Option]) -> None:
        self._uri = uri
        self._options = dict(options)

    @classmethod
    def from_uri(cls, uri: str, options: Mapping[str, Option]) -> "ObjectStorage":
        """Return the storage of a URI.

        Raises
        ------
        ValueError
            if the URI is malformed, an option is unknown, or the client library is not installed
        """
        storage = cls(ObjectUri.parse(uri), options)
        if options:
            storage._client(uploads=False)
        return storage

    def __repr__(self) -> str:
        return f"ObjectStorage({self.uri!r})"

    def __reduce__(self) -> tuple[type["ObjectStorage"], tuple[ObjectUri, dict[str, Option]]]:
        return ObjectStorage, (self._uri, self._options)

    @property
    def uri(self) -> str:
        """See `Storage.uri`."""
        return str(self._uri)

    @property
    def filesystem(self) -> pafs.FileSystem:
        """See `Storage.filesystem`. It can only read."""
        return read_only_filesystem(self)

    def below(self, folder: str) -> "ObjectStorage":
        """See `Storage.below`."""
        return ObjectStorage(self._uri.below(folder), self._options)

    def exists(self) -> bool:
        """See `Storage.exists`."""
        return next(self.walk(""), None) is not None

    def checks(self, needed_bytes: int) -> Iterator[StorageCheck]:  # noqa: ARG002 - has no bound
        """See `Storage.checks`."""
        return check_object_store(self, self._written_at)

    def refuse_unfit(self) -> None:
        """See `Storage.refuse_unfit`."""
        refuse_unfit_store(self)

    def free_bytes(self) -> int | None:
        """See `Storage.free_bytes`: a store has no bound that could be asked for."""
        return None

    def create(self, path: str, data: bytes) -> bool:
        """See `Storage.create`."""
        return self._create("create", path, data, uploads=False)

    def replace(self, path: str, data: bytes) -> None:
        """See `Storage.replace`."""
        import obstore

        with self._explained("replace", path):
            obstore.put(self._client(), self._key(path), data, use_multipart=False)

    def read(self, path: str) -> bytes | None:
        """See `Storage.read`."""
        import obstore

        with self._explained("read", path):
            try:
                return bytes(obstore.get(self._client(), self._key(path)).bytes())
            except FileNotFoundError as error:
                if not is_no_object(error):
                    raise
                return None

    def open(self, path: str) -> pa.NativeFile:
        """See `Storage.open`."""
        return open_object(self._client(), self._key(path), f"{self.uri}/{path}")

    def size_bytes(self, path: str) -> int | None:
        """See `Storage.size_bytes`. Without its bucket an object just does not exist."""
        import obstore

        with self._explained("look at", path):
            try:
                found = obstore.get(self._client(), self._key(path), options={"head": True})
            except FileNotFoundError:
                return None
        ticket = Ticket.of(found.attributes)
        return found.meta["size"] if ticket is None else ticket.size_bytes

    def files(self, folder: str) -> list[StoredFile]:
        """See `Storage.files`."""
        return sorted(self._stored(each) for each in self._level(folder)["objects"])

    def folders(self, folder: str) -> list[str]:
        """See `Storage.folders`."""
        return sorted(self._uri.path(key) for key in self._level(folder)["common_prefixes"])

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """See `Storage.walk`. Lists page after page: 1000 objects each on s3://."""
        import obstore

        with self._explained("list", folder):
            for page in obstore.list(self._client(), self._key(folder) or None, chunk_size=1000):
                for each in page:
                    yield self._stored(each)

    def delete(self, paths: Iterable[str]) -> None:
        """See `Storage.delete`. On s3:// one request deletes 1000 objects."""
        paths = list(paths)
        for path in paths:
            if path.startswith(STAGING):
                self._abort(path)
        self._delete([self._key(path) for path in paths])

    def _delete(self, keys: list[str]) -> None:
        import obstore

        if not keys:
            return
        with self._explained("delete", self._uri.path(keys[0])):
            try:
                obstore.delete(self._client(), keys)
            except FileNotFoundError as error:
                if not is_no_object(error):
                    raise
                # gs:// and az:// stop at an object that is gone.
                for key in keys:
                    self._delete_one(key)

    def delete_folder(self, folder: str) -> None:
        """See `Storage.delete_folder`."""
        self.delete([file.path for file in self.walk(folder)])

    @contextmanager
    def stage(self, path: str, final: str | None = None) -> Iterator[BinaryIO]:
        """See `Storage.stage`. The file is held in memory until the block ends, and sent whole.

        With a final name a large one is uploaded to its final key, where it appears when it is
        published, and a ticket is staged: `finkray.storage.object_publishing`.
        """
        file = io.BytesIO()
        yield file
        uploads = None
        if final is not None and path.startswith(STAGING) and self._defers(file.tell()):
            uploads = self._uploads()
        if uploads is None or final is None:
            staged = self._create("write", path, file.getbuffer(), uploads=True)
        else:
            # The buffer itself, as bytes: botocore takes no view, and a copy costs fresh pages.
            staged = self._stage_ticket(uploads, path, final, file.getvalue())
        if not staged:
            raise StorageError(f"cannot write {self.uri}/{path}: the name is taken")

    def publish(self, moves: Mapping[str, str]) -> dict[str, PublishOutcome]:
        """See `Storage.publish`: `PUBLISH_THREADS` files at a time, then one deletion."""
        if not moves:
            return {}
        pool = ThreadPoolExecutor(min(PUBLISH_THREADS, len(moves)), "publish")
        try:
            answers = pool.map(lambda move: self._publish(*move), moves.items())
            outcomes = dict(zip(moves, answers, strict=True))
        finally:
            # After a refusal the files that have not begun are left to the next call.
            pool.shutdown(cancel_futures=True)
        self._delete(
            [
                self._key(moves[final])
                for final, outcome in outcomes.items()
                if outcome in (PublishOutcome.MOVED, PublishOutcome.ALREADY_THERE)
            ]
        )
        return outcomes

    def sync(self, folder: str) -> None:
        """See `Storage.sync`: what a store has answered for is durable."""

    def sweep(self, folder: str) -> None:
        """See `Storage.sweep`: an interrupted call leaves no object.

        It may leave an open multipart upload, which no list shows: docs/storage.md has the
        lifecycle rule that removes them.
        """

    def _create(
        self,
        what: str,
        path: str,
        data: Any,
        *,
        uploads: bool,
        attributes: Mapping[str, str] | None = None,
    ) -> bool:
        """Create an object; False if another creator's is there."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        attributes = attributes or {CREATOR: secrets.token_hex(8)}
        key, word = self._key(path), attributes[CREATOR]
        client = self._client(uploads=uploads)
        with self._explained(what, path):
            for attempt in range(_CONFLICT_TRIES):
                try:
                    obstore.put(
                        client,
                        key,
                        data,
                        mode="create",
                        use_multipart=False,
                        attributes=dict(attributes),
                    )
                except (AlreadyExistsError, PreconditionError):
                    found = attributes_of(self._client(), key)
                    if found is not None:
                        return found.get(CREATOR) == word
                    # A conflict (409) with a creation that has not ended says neither yes nor no.
                    pause_s = _CONFLICT_PAUSE_S * 2**attempt
                    time.sleep(random.uniform(0, pause_s))  # noqa: S311 - against a lockstep
                else:
                    return True
        raise StorageError(
            f"cannot {what} {self.uri}/{path}: the store reports a conflict, and no object, "
            f"{_CONFLICT_TRIES} times: look into the store's log"
        )

    def _stage_ticket(self, uploads: S3Uploads, path: str, final: str, data: bytes) -> bool:
        """Upload a file to its final key and stage its ticket; False if the name is taken."""
        key = self._key(final)
        with self._explained("write", path):
            ticket = upload(uploads, key, data, secrets.token_hex(8))
        staged = False
        try:
            content, attributes = f"an open upload to {key}\n".encode(), ticket.attributes()
            staged = self._create("write", path, content, uploads=False, attributes=attributes)
        finally:
            if not staged:
                with suppress(OSError):
                    uploads.abort(key, ticket.upload_id)
        return staged

    def _publish(self, final: str, staged: str) -> PublishOutcome:
        client = self._client(uploads=True)
        with self._explained("publish", final):
            ticket = ticket_of(client, self._key(staged))
            if ticket is None:
                return copy_object(client, self._key(staged), self._key(final))
            if ticket.final != self._key(final):
                raise OSError(f"it was staged to become {ticket.final}")
            return complete(client, self._needed_uploads(), ticket)

    def _written_at(self, path: str) -> datetime | None:
        """Return when an object was written, by the store's clock; None if it does not exist."""
        import obstore

        with self._explained("look at", path):
            try:
                return obstore.head(self._client(), self._key(path))["last_modified"]
            except FileNotFoundError:
                return None

    def _abort(self, path: str) -> None:
        """Give up the upload of a staged file, if its object is a ticket."""
        with self._explained("delete", path):
            ticket = ticket_of(self._client(), self._key(path))
            if ticket is not None:
                self._needed_uploads().abort(ticket.final, ticket.upload_id)

    def _defers(self, size: int) -> bool:
        """Return whether a file of this size is staged as an open upload."""
        way = self._options.get(PUBLISH_OPTION, PUBLISH_WAYS[0])
        return way == "deferred" or (way == "by_size" and size >= DEFERRED_BYTES)

    def _uploads(self) -> S3Uploads | None:
        """Return what sends requests of uploads; None without credentials, and for other stores."""
        if self._uri.scheme != "s3":
            return None
        return shared_uploads(self._uri.bucket, resolved(self._uri, self._options))

    def _needed_uploads(self) -> S3Uploads:
        uploads = self._uploads()
        if uploads is None:
            raise OSError(
                "the file was staged as an open upload, and botocore or credentials are missing: "
                "give those with which it was staged"
            )
        return uploads

    def _delete_one(self, key: str) -> None:
        import obstore

        try:
            obstore.delete(self._client(), key)
        except FileNotFoundError:
            return

    def _level(self, folder: str) -> Any:
        import obstore

        with self._explained("list", folder):
            return obstore.list_with_delimiter(self._client(), self._key(folder) or None)

    def _stored(self, meta: Any) -> StoredFile:
        return StoredFile(self._uri.path(meta["path"]), meta["size"])

    def _key(self, path: str) -> str:
        key = self._uri.key(path)
        try:
            refuse_odd_path(key, OBJECT_ODD)
        except ValueError as error:
            raise StorageError(f"{self.uri} cannot hold {path!r}: {error}") from error
        return key

    def _client(self, *, uploads: bool = False) -> "Client":
        options = tuple(sorted(resolved(self._uri, self._options).items()))
        return shared_client(self._uri.scheme, self._uri.bucket, options, uploads=uploads)

    def _explained(self, what: str, path: str) -> AbstractContextManager[None]:
        target = f"{self.uri}/{path}" if path else self.uri
        endpoint = endpoint_of(self._uri, self._options)
        return explained(what, target, self._uri.bucket, endpoint)
