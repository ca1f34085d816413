"""When alerts became durable, as the ledger says."""

import io
from datetime import datetime

import pyarrow.parquet as pq
import pytest

from finkray.claim import Gap
from finkray.errors import LedgerCorrupt
from finkray.ledger.commit_times import KafkaOffset, commit_times
from finkray.ledger.log import Ledger
from finkray.ledger.read import read_entries
from finkray.ledger.segment import BLOCK, Segment
from finkray.storage.contract import Storage
from tests.support.ledgers import OTHER, ZTF, compact_now, result, unstaged
from tests.support.small_archives import SmallArchive


def of_ztf(offset: int) -> KafkaOffset:
    return ZTF.topic, ZTF.partition, offset


def append(ledger: Ledger, *spans: tuple[int, int]) -> None:
    claims = [unstaged(result(*span)) for span in spans]
    ledger.append(claims)
    ledger.mark_published([path for claim in claims for path in claim.staged])


def entry_times(storage: Storage) -> list[datetime]:
    """Return the time of each entry with claims."""
    return [entry.at for entry in read_entries(storage) if entry.claims]


def test_an_alert_is_durable_since_the_entry_with_its_claim_also_a_compacted_one(
    storage: Storage,
) -> None:
    ledger = Ledger.take_over(storage)
    for number in range(BLOCK + 2):
        append(ledger, (10 * number, 10 * number + 9))
    assert compact_now(ledger) == 1
    times = entry_times(storage)
    asked = [of_ztf(0), of_ztf(9), of_ztf(10), of_ztf(10 * BLOCK + 19)]
    assert commit_times(storage, asked) == dict(
        zip(asked, (times[0], times[0], times[1], times[-1]), strict=True)
    )


def test_what_no_claim_has_is_not_known(storage: Storage) -> None:
    assert commit_times(storage, [of_ztf(0)]) == {of_ztf(0): None}
    append(Ledger.take_over(storage), (10, 19))
    others = [of_ztf(9), of_ztf(20), (OTHER.topic, OTHER.partition, 10), ("other", 0, 10)]
    assert commit_times(storage, others) == dict.fromkeys(others)


def test_which_of_two_topics_of_a_name_an_offset_is_of_is_not_known(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    append(ledger, (0, 9))
    again = unstaged(result(0, 4, source=ZTF._replace(topic_id="created-again")))
    ledger.append([again])
    found = commit_times(storage, [of_ztf(4), of_ztf(5)])
    assert found == {of_ztf(4): None, of_ztf(5): entry_times(storage)[0]}


def test_a_resolved_dead_letter_is_durable_since_it_was_resolved(storage: Storage) -> None:
    small = SmallArchive(storage)
    before = small.put(0, 9, dead=[3, 4]).result
    small.resolve(before, 4)
    committed, resolved = entry_times(storage)
    found = commit_times(storage, [of_ztf(2), of_ztf(4)])
    assert found == {of_ztf(2): committed, of_ztf(4): resolved}


def test_an_offset_in_a_gap_has_no_time(storage: Storage) -> None:
    SmallArchive(storage).put(0, 9, gaps=[Gap("not_delivered", 3, 5)])
    found = commit_times(storage, [of_ztf(2), of_ztf(4)])
    assert found == {of_ztf(2): entry_times(storage)[0], of_ztf(4): None}


def test_parts_of_the_ledger_without_the_offsets_are_not_read(storage: Storage) -> None:
    ledger = Ledger.take_over(storage)
    for number in range(2 * BLOCK):
        append(ledger, (10 * number, 10 * number + 9))
    assert compact_now(ledger) == 2
    second = Segment.holding(BLOCK, 0).path
    data = storage.read(second)
    assert data is not None
    about = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    names = [about.column(number).path_in_schema for number in range(about.num_columns)]
    begins = about.column(names.index("topic")).data_page_offset
    storage.replace(second, data[:begins] + b"\xff" * 8 + data[begins + 8 :])
    assert commit_times(storage, [of_ztf(5)])[of_ztf(5)] is not None
    with pytest.raises(LedgerCorrupt):
        commit_times(storage, [of_ztf(10 * 2 * BLOCK - 20)])
