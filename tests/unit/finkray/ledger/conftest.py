"""The fixture `storage`: an empty storage in memory, for the tests of the ledger."""

from collections.abc import Iterator

import pytest

from finkray.storage.local import LocalStorage
from tests.support.ledgers import quick_storage


@pytest.fixture
def storage() -> Iterator[LocalStorage]:
    """An empty storage in memory: many commits, no durability."""
    with quick_storage() as storage:
        yield storage
