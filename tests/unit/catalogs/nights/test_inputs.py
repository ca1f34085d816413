"""Which files a night is read from."""

from catalogs.nights.index import NightFacts
from catalogs.nights.inputs import _ledger_files
from finkray.ledger.follow import Position
from tests.support.ledgers import ZTF, quick_storage
from tests.support.small_archives import SmallArchive


def test_a_file_that_claims_share_is_read_once_and_whole() -> None:
    with quick_storage() as storage:
        small = SmallArchive(storage)
        small.put_together(small.batch(0, 4), small.batch(0, 9, source=ZTF._replace(partition=1)))
        small.put(5, 9)
        (folder,) = {file.path.rpartition("/")[0] for file in storage.walk("alerts")}
        facts = NightFacts({folder}, Position(small.ledger.state.last_seq + 1).to_cursor())
        assert sorted(file.rows for file in _ledger_files(storage, facts)) == [5, 15]
