"""What a Spark task does before it writes."""

from pathlib import Path

import pyarrow as pa
import pytest

from finkray.claim import Claim
from finkray.errors import LedgerCorrupt, StorageError
from finkray.ledger.identity import IDENTITY_PATH, Identity
from finkray.ledger.log import Ledger
from finkray.packets.batch import AlertBatch
from finkray.packets.dead_letters import DEAD_LETTER_SCHEMA
from finkray.query.messages import ClaimOrder, orders_from_json, orders_to_json
from finkray.query.task import stage
from finkray.storage.local import LocalStorage
from tests.support.ledgers import ZTF

TABLE = pa.table(
    {
        "kafka_offset": pa.array([0], pa.int64()),
        "kafka_timestamp": pa.array([0], pa.timestamp("ms", "UTC")),
    }
)
BATCH = AlertBatch(
    claim=Claim(ZTF, 0, 0),
    tables=(("ab" * 32, TABLE),),
    schemas={},
    schema_ids={},
    dead_letters=DEAD_LETTER_SCHEMA.empty_table(),
    gaps=(),
)


def test_nothing_is_staged_below_a_mount_point_without_its_disk(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "archive")
    ledger = Ledger.take_over(storage)
    order = ClaimOrder(BATCH.claim, "actor", 1, ledger.staging, ledger.archive_id)
    assert orders_from_json(orders_to_json([order, order])) == [order, order]
    storage.root.rename(tmp_path / "unmounted")
    storage.root.mkdir()
    with pytest.raises(StorageError, match="mount it again"):
        stage(storage, order, [BATCH])
    assert list(storage.walk("")) == []
    storage.root.rmdir()
    (tmp_path / "unmounted").rename(storage.root)
    (staged,) = stage(storage, order, [BATCH])
    assert all(storage.size_bytes(path) for path in staged.staged.values())


def test_nothing_is_staged_into_the_folder_of_another_archive(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "archive")
    ledger = Ledger.take_over(storage)
    storage.replace(IDENTITY_PATH, Identity("another").to_bytes())
    order = ClaimOrder(BATCH.claim, "actor", 1, ledger.staging, ledger.archive_id)
    with pytest.raises(LedgerCorrupt, match="mount the right one"):
        stage(storage, order, [BATCH])
