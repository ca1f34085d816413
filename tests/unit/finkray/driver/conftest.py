"""The fixtures `storage` and `ledger`: a storage that may fail, and its ledger under a lease."""

from collections.abc import Iterator

import pytest

from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from tests.support.ledgers import quick_storage
from tests.support.torn_storage import TornStorage


@pytest.fixture
def storage() -> Iterator[TornStorage]:
    """A storage in memory that fails when it is armed."""
    with quick_storage() as inner:
        yield TornStorage(inner)


@pytest.fixture
def ledger(storage: TornStorage) -> Iterator[Ledger]:
    """The ledger in `storage`, taken over under a lease."""
    with Lease.acquire(storage, ttl_s=60.0) as lease:
        yield Ledger.take_over(storage, lease)
