"""The fixtures `small`, on each kind of storage, and `archive`, as a reader opens it."""

from collections.abc import Iterator

import pytest

import finkray
from tests.support.ledgers import quick_storage
from tests.support.small_archives import SmallArchive


@pytest.fixture(params=["local", "memory"])
def small(request: pytest.FixtureRequest) -> Iterator[SmallArchive]:
    """An empty archive: `small.put(0, 59)` archives sixty alerts."""
    with quick_storage(request.param) as storage:
        yield SmallArchive(storage)


@pytest.fixture
def archive(small: SmallArchive) -> finkray.Archive:
    """The archive `small`, opened for reading."""
    return finkray.open_archive(small.storage.uri)
