"""The schemas that a filter is held to before it is published: those that alerts have now."""

from collections.abc import Iterator

import pytest

from finkray.errors import FilterError
from finkray.storage.contract import Storage
from finkray.streamout.publishing import recent_schemas
from tests.support.ledgers import quick_storage
from tests.support.small_archives import SmallArchive


@pytest.fixture
def storage() -> Iterator[Storage]:
    with quick_storage() as made:
        yield made


def test_an_archive_without_alerts_says_what_is_missing(storage: Storage) -> None:
    SmallArchive(storage)
    with pytest.raises(FilterError, match=r"have no alerts.*: archive some alerts first"):
        recent_schemas(storage)


def test_a_schema_that_cannot_be_used_is_told_with_the_reason(storage: Storage) -> None:
    SmallArchive(storage).put(0, 9)
    with pytest.raises(
        FilterError, match="no schema of the last alerts can be used: the writer sc"
    ):
        recent_schemas(storage)
