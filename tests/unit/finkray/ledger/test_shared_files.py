"""Small claims of a trickle share files, and each alert is in the archive once all the same."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from finkray.audit.audit import audit
from finkray.claim import StagedClaim
from finkray.errors import ClusterUnavailable, StorageError
from finkray.index.pending import Pending
from finkray.ledger.entry import Entry, log_path
from finkray.ledger.follow import Follower, Position
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, recover
from finkray.ledger.read import read_entries
from finkray.ledger.rebuild import rebuild
from finkray.ledger.segment import BLOCK
from finkray.ledger.sharing import connected
from finkray.reader import Archive
from finkray.redrive.missing import _offsets_of
from finkray.results.joined import KEYS
from finkray.storage.contract import Storage
from finkray.storage.layout import parse_path
from tests.support.ledgers import OTHER, Topics, compact_now, quick_storage
from tests.support.serving import serve
from tests.support.small_archives import NIGHT, SmallArchive
from tests.support.torn_storage import Killed, TornStorage


@pytest.fixture
def small() -> Iterator[SmallArchive]:
    """An archive of three claims that share a file, two of them of one partition, and one alone."""
    with quick_storage() as storage:
        small = SmallArchive(storage)
        small.put_shared_and_single()
        yield small


def alerts(storage: Storage) -> list[tuple[int, int]]:
    """Return partition and offset of each alert that a reader of the folders sees, in order."""
    found = []
    for file in storage.walk("alerts"):
        with storage.open(file.path) as source:
            table = pq.read_table(source, columns=["kafka_partition", "kafka_offset"])
        found += [tuple(row.values()) for row in table.to_pylist()]
    return sorted(found)


ALL = sorted(
    [(1, n) for n in range(5)] + [(0, n) for n in range(20) if n not in {3, 12}],
)


def balanced(storage: Storage) -> bool:
    return audit(storage, deep="all").balanced


def the_shared_file(storage: Storage) -> str:
    paths = [file.path for file in storage.walk("alerts")]
    (shared,) = [path for path in paths if (known := parse_path(path)) and known.others]
    return shared


def test_the_claims_of_a_shared_file_account_for_their_own_rows(small: SmallArchive) -> None:
    first, second, third = (result for result in next(read_committed(small)).claims)
    assert [file.rows for result in (third, second, first) for file in result.files] == [9, 4, 5]
    assert {file.file_rows for result in (first, second, third) for file in result.files} == {18}
    # In order of partition and offset, whatever the order of the orders.
    assert [result.files[0].first_row for result in (third, second, first)] == [0, 9, 13]
    assert (second.dead_lettered, third.in_gaps) == (1, 1)
    assert len({file.path for file in small.storage.walk("alerts")}) == 2
    assert alerts(small.storage) == ALL
    report = audit(small.storage, deep="all")
    assert (report.balanced, report.archived, report.dead_lettered) == (True, 23, 1)
    assert report.deep is not None
    assert (report.deep.files, report.deep.rows) == (3, 24)


def read_committed(small: SmallArchive) -> Iterator[Entry]:
    return (entry for entry in read_entries(small.storage) if entry.kind == "committed")


def test_an_entry_with_shared_files_is_refused_by_who_does_not_know_them(
    small: SmallArchive,
) -> None:
    shared, alone = read_committed(small)
    formats = [json.loads(entry.to_bytes())["format"] for entry in (shared, alone)]
    assert formats == [2, 1]
    assert Entry.from_bytes(shared.to_bytes(), shared.seq) == shared
    assert "file_rows" not in alone.to_bytes().decode()


def test_a_ledger_that_is_older_than_shared_files_is_read(small: SmallArchive) -> None:
    """As it was written before: neither key is in it, also after compaction."""
    for number in range(BLOCK):
        small.put(20 + number, 20 + number)
    raw = json.loads(small.storage.read(log_path(2)) or b"")
    assert set(raw["claims"][0]["files"][0]) == {
        "path", "rows", "size_bytes", "first_offset", "last_offset", "schema_fingerprint",
        "hour_utc", "crc32",
    }  # fmt: skip
    before = list(read_entries(small.storage))
    assert compact_now(small.ledger) == 1
    after = list(read_entries(small.storage))
    assert [entry.claims for entry in after] == [entry.claims for entry in before]
    assert balanced(small.storage)


def test_a_shared_file_is_followed_once_and_whole(small: SmallArchive) -> None:
    found = list(Follower(small.storage, Position()).follow(wait_s=0))
    assert [(one.rows, one.file.is_shared) for one in found] == [(18, False), (5, False)]
    second = Position.from_cursor(found[0].cursor)
    assert [one.rows for one in Follower(small.storage, second).follow(wait_s=0)] == [5]
    pending = Pending()
    for entry in read_entries(small.storage):
        pending.add(entry)
    assert (pending.rows, len(pending.files)) == (23, 2)


def test_hours_and_schemas_have_files_of_their_own_that_only_their_claims_share(
    small: SmallArchive,
) -> None:
    late = NIGHT + timedelta(minutes=58)
    staged = small.put_together(
        small.batch(20, 23, begins=late),
        small.batch(5, 8, source=OTHER, begins=late, candidate={"jd": 2461368.5, "more": 1.0}),
        small.batch(9, 12, source=OTHER, begins=late),
    )
    shared = [[file.is_shared for file in one.result.files] for one in staged]
    assert shared == [[True, True], [False, False], [True, True]]
    assert balanced(small.storage)


def test_a_shared_file_is_committed_with_all_of_its_claims_only(small: SmallArchive) -> None:
    staged = small.stage_together(small.batch(20, 24), small.batch(5, 9, source=OTHER))
    with pytest.raises(ValueError, match="each of its rows once"):
        commit(small.ledger, small.storage, staged[:1])
    twice = replace(staged[1].result.files[0], first_row=4)
    doubled = StagedClaim(replace(staged[1].result, files=(twice,)), staged[1].staged)
    with pytest.raises(ValueError, match="each of its rows once"):
        commit(small.ledger, small.storage, [staged[0], doubled])
    assert alerts(small.storage) == ALL


@pytest.mark.parametrize("done_first", [False, True])
def test_a_commit_in_doubt_is_told_from_a_file_shared_anew(*, done_first: bool) -> None:
    """The answer to a commit is lost, and one of its claims comes in another file with a new one.

    If the commit was done, the new file has alerts twice: a fresh process reads the new claim.
    """
    with quick_storage() as inner:
        small = SmallArchive(inner)
        small.storage = storage = TornStorage(inner)
        small.ledger = ledger = Ledger.take_over(storage)
        first = small.stage_together(small.batch(0, 4), small.batch(0, 4, source=OTHER))
        again = small.stage_together(small.batch(0, 4), small.batch(5, 9))
        steps = 0
        while not ledger._in_doubt:
            storage.arm(steps, kills=False, done_first=done_first)
            with pytest.raises(StorageError):
                commit(ledger, storage, first)
            steps += 1
        storage.arm(None, kills=False, done_first=False)
        if done_first:
            with pytest.raises(ClusterUnavailable, match="in the ledger already"):
                commit(ledger, storage, again)
            recover(Ledger.take_over(storage), storage)
            assert alerts(storage) == [(n, m) for n in (0, 1) for m in range(5)]
        else:
            commit(ledger, storage, again)
            assert alerts(storage) == [(0, n) for n in range(10)]
        assert balanced(storage)


def test_a_kill_at_any_step_shows_all_alerts_of_a_shared_file_or_none() -> None:
    for steps in range(30):
        with quick_storage() as inner:
            small = SmallArchive(inner)
            storage = TornStorage(inner)
            ledger = Ledger.take_over(storage)
            small.ledger = ledger
            staged = small.stage_together(small.batch(0, 4), small.batch(0, 4, source=OTHER))
            storage.arm(steps, kills=True, done_first=steps % 2 == 0)
            try:
                commit(ledger, storage, staged)
            except Killed:
                assert len(alerts(inner)) in {0, 10}
            recover(Ledger.take_over(inner), inner)
            assert len(alerts(inner)) in {0, 10}
            assert balanced(inner)


def test_a_vanished_shared_file_is_missing_of_each_claim(small: SmallArchive) -> None:
    path = the_shared_file(small.storage)
    small.storage.delete([path])
    report = audit(small.storage)
    assert sorted((one.problem, one.rows) for one in report.file_findings) == [
        ("missing", 4),
        ("missing", 5),
        ("missing", 9),
    ]
    assert report.difference == 18


def test_a_shared_file_that_is_back_after_a_repair_is_reported(small: SmallArchive) -> None:
    path = the_shared_file(small.storage)
    data = small.storage.read(path) or b""
    small.storage.delete([path])
    repaired = small.stage(0, 4, source=OTHER)
    small.ledger.append([repaired], kind="repaired")
    recover(small.ledger, small.storage)
    assert [one.problem for one in audit(small.storage).file_findings] == ["missing"] * 2
    small.storage.replace(path, data)
    report = audit(small.storage)
    assert {one.problem for one in report.file_findings} == {"named in part"}
    assert report.duplicates == 2
    assert not report.balanced


def test_a_redrive_knows_which_rows_of_a_shared_file_are_those_of_a_claim(
    small: SmallArchive,
) -> None:
    first, second, third = next(read_committed(small)).claims
    found = [_offsets_of(small.storage, result.files) for result in (first, second, third)]
    assert found == [set(range(5)), {10, 11, 13, 14}, set(range(10)) - {3}]


def test_a_damaged_shared_file_is_found(small: SmallArchive) -> None:
    path = the_shared_file(small.storage)
    data = bytearray(small.storage.read(path) or b"")
    data[len(data) // 2] ^= 1
    small.storage.replace(path, bytes(data))
    deep = audit(small.storage, deep="all").deep
    assert deep is not None
    assert len(deep.findings) == 3
    assert {finding.path for finding in deep.findings} == {path}


@pytest.mark.parametrize("lost", ["all", "the last entries"])
def test_the_ledger_is_rebuilt_from_shared_files(small: SmallArchive, lost: str) -> None:
    if lost == "all":
        small.storage.delete_folder("ledger")
    else:
        small.put_together(small.batch(20, 24), small.batch(5, 9, source=OTHER))
        damaged = next(read_committed(small)).path
        small.storage.replace(damaged, b"{")
    before = alerts(small.storage)
    rebuilt = rebuild(small.storage, Topics(), lease_ttl_s=60.0)
    assert not rebuilt.left_out
    assert alerts(small.storage) == before
    report = audit(small.storage)
    # The gap is in no file: an audit finds it missing until Kafka says what it was.
    assert [one.problem for one in report.file_findings] == ["missing"]
    assert sum(one.rows for one in report.file_findings) == 1
    deep = audit(small.storage, deep="all").deep
    assert deep is not None
    assert all("cannot be read" in finding.problem for finding in deep.findings)


def test_a_shared_file_fits_into_a_rebuilt_ledger_whole_or_not_at_all(small: SmallArchive) -> None:
    """Another file has the offsets of one of its claims; which of the two was committed is lost."""
    staged = small.stage_together(small.batch(30, 34), small.batch(0, 4, source=OTHER))
    small.storage.publish(staged[0].staged)
    small.storage.delete_folder("ledger")
    rebuilt = rebuild(small.storage, Topics(), lease_ttl_s=60.0)
    assert [file.path for file in rebuilt.left_out] == list(staged[0].staged)
    assert alerts(small.storage) == ALL


def test_services_process_each_claim_of_a_shared_file(small: SmallArchive) -> None:
    serve(small)
    archive = Archive(small.storage)
    results = archive.results("double").to_table()
    keys = zip(*(results[name].to_pylist() for name in KEYS), strict=True)
    assert sorted(keys) == ALL
    joined = archive.dataset(with_services=["double"]).to_table()
    assert [row["double"] for row in joined["double"].to_pylist()] == [
        2 * n for n in joined["kafka_offset"].to_pylist()
    ]
    serve(small)
    assert archive.results("double").count_rows() == len(ALL)


def test_groups_are_joined_by_items_that_have_keys_of_both() -> None:
    items = ["a", "b", "", "ac", "", "cb", "d"]
    assert connected(items, list) == [["a", "ac", "cb", "b"], [""], [""], ["d"]]
