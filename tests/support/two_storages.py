"""What the tests of a storage start from: two storages of one empty location, and threads."""

import threading
from collections.abc import Callable

import pytest

from finkray.storage.contract import Storage

MakeStorage = Callable[[], Storage]


def put(storage: Storage, path: str, data: bytes = b"data", final: str | None = None) -> None:
    with storage.stage(path, final) as file:
        file.write(data)


def run_concurrently(*calls: Callable[[], object]) -> None:
    """Run the calls in threads that begin at the same time; raise what any of them raises."""
    start = threading.Barrier(len(calls))
    failures: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        start.wait()
        try:
            call()
        except BaseException as failure:  # noqa: BLE001 - raised below
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class TwoStorages:
    """`storage` and `other` open the same location, which is empty."""

    @pytest.fixture
    def make(self) -> MakeStorage:
        raise NotImplementedError

    @pytest.fixture
    def storage(self, make: MakeStorage) -> Storage:
        return make()

    @pytest.fixture
    def other(self, make: MakeStorage) -> Storage:
        return make()
