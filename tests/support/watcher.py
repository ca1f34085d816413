"""A reader that lists, follows and sums up an archive all the while, in a thread."""

import io
import threading
import time
from types import TracebackType
from typing import Self

import pyarrow.parquet as pq

from finkray.errors import StorageError
from finkray.ledger.follow import Follower, Position
from finkray.ledger.read import read_state
from finkray.storage.contract import Storage


class Watcher:
    """Reads as readers do that know nothing of kills; a context manager.

    A storage that refuses is asked again. What is wrong in the archive is raised at the end.

    Attributes
    ----------
    seen
        number of rows of each file that was listed
    followed
        paths that the ledger named, in its order
    rounds, refusals
        how often it has looked, and how often the storage refused
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self.seen: dict[str, int] = {}
        self.followed: list[str] = []
        self.rounds = 0
        self.refusals = 0
        self._offsets: set[int] = set()
        self._failure: BaseException | None = None
        self._at = Position()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def look(self) -> None:
        """List and read what is new; each row must be there once, and the ledger's sum be right."""
        listed = dict(self._storage.walk("alerts"))
        assert self.seen.keys() <= listed.keys(), "a file has gone"
        for path in listed.keys() - self.seen.keys():
            data = self._storage.read(path)
            assert data is not None
            assert len(data) == listed[path], f"{path} is not whole"
            offsets = pq.read_table(io.BytesIO(data), columns=["kafka_offset"])[0].to_pylist()
            assert self._offsets.isdisjoint(offsets), "an alert is in two files"
            self._offsets.update(offsets)
            self.seen[path] = len(offsets)
        for durable in Follower(self._storage, self._at).follow(wait_s=0):
            self._at = Position.from_cursor(durable.cursor)
            self.followed.append(durable.path)
            assert self._storage.size_bytes(durable.path) == durable.file.size_bytes
        assert read_state(self._storage).state.balance().difference == 0

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
                self.rounds += 1
            except StorageError:
                self.refusals += 1
                time.sleep(0.1)
            except BaseException as error:  # noqa: BLE001 - raised at the end
                self._failure = error
                return
