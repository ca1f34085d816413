"""A copy of an archive is whole, also while that is written and compacted."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from finkray.audit.audit import audit
from finkray.claim import StagedClaim
from finkray.errors import ArchiveHeld, LedgerError, SettingsError, StorageError
from finkray.ledger.copying import copy_archive
from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit, publish
from finkray.ledger.segment import BLOCK
from finkray.storage.contract import Storage
from tests.support.ledgers import ZTF, compact_now, quick_storage
from tests.support.rebuilding import data_files, rebuilt_of
from tests.support.small_archives import SmallArchive
from tests.support.torn_storage import TornStorage


@pytest.fixture
def small() -> Iterator[SmallArchive]:
    """The archive that is copied: in memory, and its copy in a folder."""
    with quick_storage("memory") as storage:
        yield SmallArchive(storage)


@pytest.fixture
def target() -> Iterator[Storage]:
    """Where the copy is to lie."""
    with quick_storage() as storage:
        yield storage


def is_whole(copy: Storage, archived: int) -> None:
    report = audit(copy, deep="all")
    assert report.balanced, report
    assert report.archived == archived


def test_copies_of_an_archive_that_is_written_and_compacted_are_whole(
    small: SmallArchive, target: Storage
) -> None:
    """Each of them can be started, and goes on at the offset up to which it has alerts."""
    claims = BLOCK + 30
    done = threading.Event()

    def write() -> None:
        for n in range(claims):
            small.put(2 * n, 2 * n + 1)
            if n % 8 == 0:
                compact_now(small.ledger)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    copies = 0
    while not done.is_set():
        copied = copy_archive(small.storage, target)
        assert copied.missing == ()
        assert audit(target).balanced
        copies += 1
    writer.join()
    assert copies
    copy_archive(small.storage, target)
    assert data_files(target) == data_files(small.storage)
    is_whole(target, 2 * claims)
    started = Ledger.take_over(target)
    assert started.frontier(ZTF) == 2 * claims
    assert started.archive_id == small.ledger.archive_id


def test_a_second_copy_takes_what_is_new(small: SmallArchive, target: Storage) -> None:
    for n in range(BLOCK + 5):
        small.put(2 * n, 2 * n + 1)
    first = copy_archive(small.storage, target)
    assert (first.files, first.entries) == (BLOCK + 5, BLOCK + 6)
    assert compact_now(small.ledger) == 1
    small.put(138, 147, dead=[140])
    second = copy_archive(small.storage, target)
    assert (second.files, second.entries) == (2, BLOCK + 7)
    is_whole(target, 2 * (BLOCK + 5) + 9)
    # What is compacted is there once.
    assert set(target.walk("ledger")) == set(small.storage.walk("ledger"))
    assert copy_archive(small.storage, target).files == 0


def test_a_claim_is_copied_when_its_files_are_published(
    small: SmallArchive, target: Storage
) -> None:
    small.put(0, 9)
    staged = small.stage(10, 19)
    small.ledger.append([staged])
    copy_archive(small.storage, target)
    is_whole(target, 10)
    publish(small.ledger, small.storage)
    copy_archive(small.storage, target)
    is_whole(target, 20)


def test_a_file_that_was_repaired_is_copied_again(small: SmallArchive, target: Storage) -> None:
    before = small.put(0, 9).result
    (file,) = before.files
    copy_archive(small.storage, target)
    small.storage.delete([file.path])
    made = small.stage(0, 9, candidate={"jd": 1.0})
    (new,) = made.result.files
    again = replace(new, path=file.path, schema_fingerprint=file.schema_fingerprint)
    repaired = StagedClaim(replace(before, files=(again,)), {file.path: made.staged[new.path]})
    commit(small.ledger, small.storage, [repaired], kind="repaired")
    assert copy_archive(small.storage, target).files == 1
    assert target.read(file.path) == small.storage.read(file.path)


def test_files_that_the_archive_lacks_are_named(small: SmallArchive, target: Storage) -> None:
    small.put(0, 9)
    (gone,) = data_files(small.storage)
    small.put(10, 19)
    small.storage.delete([gone])
    assert copy_archive(small.storage, target).missing == (gone,)
    assert [finding.path for finding in audit(target).file_findings] == [gone]


def test_nothing_but_an_earlier_copy_is_added_to(small: SmallArchive, target: Storage) -> None:
    small.put(0, 9)
    with pytest.raises(SettingsError, match="there is no archive in"):
        copy_archive(target, small.storage)
    target.create("notes.txt", b"mine")
    with pytest.raises(SettingsError, match="choose an empty folder"):
        copy_archive(small.storage, target)
    target.delete(["notes.txt"])
    copy_archive(small.storage, target)

    with quick_storage() as storage:
        SmallArchive(storage).put(0, 9)
        with pytest.raises(SettingsError, match="is the folder of archive"):
            copy_archive(storage, target)
    with Lease.acquire(target, ttl_s=60.0), pytest.raises(ArchiveHeld):
        copy_archive(small.storage, target)
    Ledger.take_over(target)
    small.put(10, 19)
    with pytest.raises(LedgerError, match="an archive has written to the copy"):
        copy_archive(small.storage, target)


def test_a_copy_that_is_interrupted_anywhere_can_be_repeated_or_rebuilt(
    small: SmallArchive,
) -> None:
    """It is rebuilt where the archive is lost before the copy is repeated."""
    for n in range(4):
        small.put(10 * n, 10 * n + 9, dead=[10 * n + 5])
    failures = 0
    for step in range(2, 40, 5):
        with quick_storage() as target:
            torn = TornStorage(target)
            torn.arm(step, kills=False, done_first=bool(step % 2))
            try:
                copy_archive(small.storage, torn)
            except StorageError:
                failures += 1
                if step % 2:
                    rebuilt_of(target, replace_readable=True)
                    # Offsets may be missing, whose file was not copied: a redrive reads them.
                    findings = audit(target, deep="all").file_findings
                    assert {each.problem for each in findings} <= {"missing"}
                    continue
                copy_archive(small.storage, target)
            is_whole(target, 36)
            assert not list(target.walk("staging"))
    assert failures > 3
