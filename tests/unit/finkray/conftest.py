"""The fixture `archive`: the small archive of the test, opened as a reader opens it."""

import pytest

import finkray
from tests.support.small_archives import SmallArchive


@pytest.fixture
def archive(small: SmallArchive) -> finkray.Archive:
    """The archive `small`, opened for reading."""
    return finkray.open_archive(small.storage.uri)
