"""Files of alerts and dead letters become claims of a ledger that is rebuilt."""

from datetime import timedelta

import pyarrow.parquet as pq

from finkray.audit.audit import audit
from finkray.claim import Claim, Gap
from finkray.ledger.file_claims import NO_FINGERPRINT
from finkray.ledger.read import read_state
from finkray.ledger.rebuild import rebuild
from tests.support.ledgers import ZTF, Topics
from tests.support.rebuilding import current_claims, damage, data_files, rebuilt_of
from tests.support.small_archives import SmallArchive


def test_files_that_come_back_have_a_checksum_and_are_whole(small: SmallArchive) -> None:
    storage = small.storage
    small.put(0, 9)
    small.put(10, 19, dead=[12])
    small.put(20, 29)
    broken = next(path for path in sorted(data_files(storage)) if "20-" in path and "29-" in path)
    with storage.open(broken) as source:
        parquet = pq.ParquetFile(source)
        columns = parquet.metadata.row_group(0)
        # A column that neither a rebuild nor an audit compares.
        (last,) = [
            columns.column(n).data_page_offset
            for n in range(columns.num_columns)
            if columns.column(n).path_in_schema == "objectId"
        ]
    data = bytearray(storage.read(broken) or b"")
    data[last : last + 8] = bytes(8)
    storage.replace(broken, bytes(data))
    storage.delete_folder("ledger")

    done = rebuilt_of(storage)
    assert [left.path for left in done.left_out] == [broken]
    found = [file for result in current_claims(storage).values() for file in result.all_files]
    assert found
    assert all(file.crc32 is not None for file in found)
    assert audit(storage, deep="all").balanced
    damage(storage, found[0].path)
    assert not audit(storage, deep="all").balanced


def test_files_that_fit_into_no_claim_are_set_aside(small: SmallArchive) -> None:
    """A damaged file, a copy under another name, and rows of another partition."""
    storage = small.storage
    small.put(0, 9)
    (whole,) = data_files(storage)
    data = storage.read(whole) or b""
    damaged = whole.replace(f"{0:020d}-{9:020d}", f"{50:020d}-{59:020d}")
    copy = whole.replace("/hour=01/", "/hour=02/")
    foreign = whole.replace("-00000-", "-00007-")
    storage.create(damaged, data[: len(data) // 2])
    storage.create(copy, data)
    storage.create(foreign, data)
    storage.delete_folder("ledger")

    done = rebuilt_of(storage)
    why = dict(done.left_out)
    assert why.keys() == {damaged, copy, foreign}
    assert "cannot be read" in why[damaged]
    assert "has an offset that it has too" in why[copy]
    assert "another topic or partition" in why[foreign]
    assert (done.claims_from_files, done.alerts) == (1, 10)
    assert audit(storage, deep="all").balanced
    assert all(storage.size_bytes(f"{done.set_aside}/{path}") for path in why)
    assert done.to_json()["left_out"][0].keys() == {"path", "why"}


def test_offsets_of_a_lost_file_are_missing_and_not_lost(small: SmallArchive) -> None:
    """A claim of two schemas lost the file of one: an audit says so, and a redrive can act."""
    storage = small.storage
    small.put(0, 9, gaps=[Gap("not_delivered", 3, 4), Gap("not_delivered", 7, 7)])
    storage.delete_folder("ledger")
    done = rebuilt_of(storage)
    assert (done.in_no_file, done.missing) == (3, 0)
    report = audit(storage)
    assert not report.balanced
    (finding,) = report.file_findings
    assert (finding.problem, finding.rows) == ("missing", 3)
    assert finding.path.endswith(f"-{3:020d}-{7:020d}-{NO_FINGERPRINT[:8]}.parquet")
    assert read_state(storage).state.partitions[ZTF].frontier == 10


def test_claims_that_services_know_keep_their_bounds(small: SmallArchive) -> None:
    """A claim of two hours, whose files are not interleaved, and one with gaps at both ends."""
    storage = small.storage
    two = small.put(0, 9, every=timedelta(minutes=10))
    ends = [Gap("not_delivered", 10, 11), Gap("not_delivered", 19, 19)]
    small.put(10, 19, gaps=ends)
    assert len(two.result.files) == 2
    bounds = {Claim(ZTF, 0, 9), Claim(ZTF, 10, 19), Claim(ZTF, 20, 29)}
    storage.delete_folder("ledger")
    done = rebuild(storage, Topics([]), lease_ttl_s=60.0, known_claims=bounds)
    assert (done.claims_from_files, done.in_no_file, done.short_topic_ids) == (2, 3, ())
    assert {result.claim for result in current_claims(storage).values()} == {
        Claim(ZTF, 0, 9),
        Claim(ZTF, 10, 19),
    }
    storage.delete_folder("ledger")
    assert rebuilt_of(storage).claims_from_files == 3


def test_a_lost_claim_between_others_is_missing(small: SmallArchive) -> None:
    storage = small.storage
    for first in (0, 10, 20):
        small.put(first, first + 9)
    storage.delete([path for path in data_files(storage) if f"-{10:020d}-" in path])
    storage.delete_folder("ledger")
    done = rebuilt_of(storage)
    assert (done.claims_from_files, done.missing) == (2, 10)
    (hole,) = audit(storage).missing_ranges
    assert (hole.first_offset, hole.last_offset) == (10, 19)


def test_a_topic_that_kafka_no_longer_has_keeps_its_short_id(small: SmallArchive) -> None:
    storage = small.storage
    small.put(0, 9)
    storage.delete_folder("ledger")
    done = rebuilt_of(storage, Topics([]))
    assert done.short_topic_ids == (ZTF.topic,)
    assert audit(storage, deep="all").balanced
    (source,) = read_state(storage).state.partitions
    assert source == ZTF._replace(topic_id=ZTF.topic_id[:8])


def test_dead_letters_know_their_topic_without_kafka(small: SmallArchive) -> None:
    storage = small.storage
    small.put(0, 9, dead=[4])
    storage.delete_folder("ledger")
    done = rebuilt_of(storage, Topics([]))
    assert done.short_topic_ids == ()
    assert set(read_state(storage).state.partitions) == {ZTF}


def test_a_topic_of_two_clusters_is_not_guessed(small: SmallArchive) -> None:
    storage = small.storage
    small.put(0, 9)
    storage.delete_folder("ledger")
    done = rebuilt_of(storage, Topics([ZTF, ZTF._replace(cluster_id="another")]))
    ((_, why),) = done.left_out
    assert "one of several" in why
    assert done.claims_from_files == 0
