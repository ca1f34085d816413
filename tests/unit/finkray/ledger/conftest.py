"""The fixture `storage`: an empty storage of each kind, for the tests of the ledger."""

from collections.abc import Iterator

import pytest

from finkray.storage.contract import Storage
from tests.support.ledgers import quick_storage


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    """An empty storage: many commits, no durability."""
    with quick_storage(request.param) as storage:
        yield storage
