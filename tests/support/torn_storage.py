"""A storage that fails or dies at its n-th step, before or after doing it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.fs as pafs

from finkray.errors import StorageError
from finkray.storage.contract import PublishOutcome, Storage, StorageCheck, StoredFile


class Killed(BaseException):
    """The process that used the storage was killed."""


class TornStorage:
    """Passes each step on to a real storage, one file at a time, until the armed step.

    `steps` counts down: at 0 the step is done (`done_first`) or not, and then fails (a
    StorageError) or kills. None lets everything pass. Once killed, it does nothing any more.
    """

    def __init__(self, inner: Storage) -> None:
        self.inner = inner
        self.steps: int | None = None
        self.kills = False
        self.done_first = False
        self.dead = False

    def arm(self, steps: int | None, *, kills: bool, done_first: bool) -> None:
        self.steps, self.kills, self.done_first = steps, kills, done_first

    @contextmanager
    def step(self) -> Iterator[None]:
        if self.dead:
            raise Killed
        strikes = self.steps == 0
        if self.steps is not None:
            self.steps = None if strikes else self.steps - 1
        if not strikes:
            yield
            return
        self.dead = self.kills
        failure = Killed if self.kills else StorageError("the disk is full")
        if not self.done_first:
            raise failure
        yield
        raise failure

    @property
    def uri(self) -> str:
        return self.inner.uri

    @property
    def filesystem(self) -> pafs.FileSystem:
        return self.inner.filesystem

    def below(self, folder: str) -> Storage:
        """The folder, of which nothing is torn."""
        return self.inner.below(folder)

    def exists(self) -> bool:
        return self.inner.exists()

    def checks(self, needed_bytes: int) -> Iterator[StorageCheck]:
        return self.inner.checks(needed_bytes)

    def refuse_unfit(self) -> None:
        self.inner.refuse_unfit()

    def free_bytes(self) -> int | None:
        return self.inner.free_bytes()

    def create(self, path: str, data: bytes) -> bool:
        with self.step():
            return self.inner.create(path, data)

    def replace(self, path: str, data: bytes) -> None:
        with self.step():
            self.inner.replace(path, data)

    def read(self, path: str) -> bytes | None:
        with self.step():
            return self.inner.read(path)

    def open(self, path: str) -> pa.NativeFile:
        return self.inner.open(path)

    def size_bytes(self, path: str) -> int | None:
        return self.inner.size_bytes(path)

    def files(self, folder: str) -> list[StoredFile]:
        with self.step():
            return self.inner.files(folder)

    def folders(self, folder: str) -> list[str]:
        return self.inner.folders(folder)

    def walk(self, folder: str) -> Iterator[StoredFile]:
        return self.inner.walk(folder)

    def delete(self, paths: Iterable[str]) -> None:
        for path in paths:
            with self.step():
                self.inner.delete([path])

    def delete_folder(self, folder: str) -> None:
        with self.step():
            self.inner.delete_folder(folder)

    @contextmanager
    def stage(self, path: str, final: str | None = None) -> Iterator[BinaryIO]:
        with self.step(), self.inner.stage(path, final) as file:
            yield file

    def publish(self, moves: Mapping[str, str]) -> dict[str, PublishOutcome]:
        outcomes: dict[str, PublishOutcome] = {}
        for final, staged in moves.items():
            with self.step():
                outcomes |= self.inner.publish({final: staged})
        return outcomes

    def sync(self, folder: str) -> None:
        with self.step():
            self.inner.sync(folder)

    def sweep(self, folder: str) -> None:
        with self.step():
            self.inner.sweep(folder)
