"""An archive's storage in a real HDFS: the contract, refusals, a name node that is away."""

import functools
import uuid

import pytest

from finkray.storage.hdfs import HdfsStorage
from tests.support.hdfs_server import HdfsServer
from tests.support.storage_contract import MakeStorage, SharedStorageContract

# The first test of all that needs the jars fetches them.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def uri(hdfs: HdfsServer) -> str:
    return f"{hdfs.uri}/a b/{uuid.uuid4().hex}"


class TestHdfsStorage(SharedStorageContract):
    """Other processes open the same folder."""

    @pytest.fixture
    def make(self, uri: str) -> MakeStorage:
        return functools.partial(HdfsStorage.from_uri, uri, {})
