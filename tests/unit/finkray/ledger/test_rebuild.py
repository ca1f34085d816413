"""A damaged, incomplete or lost ledger is rebuilt from what is left of it and from the files."""

import random
from collections import Counter

import pyarrow.parquet as pq
import pytest

from finkray.audit.audit import audit
from finkray.audit.report import AuditReport
from finkray.claim import Gap
from finkray.errors import ArchiveHeld, Fenced, LedgerCorrupt, LedgerError, StorageError
from finkray.ledger.claims import read_results
from finkray.ledger.entry import log_path
from finkray.ledger.identity import IDENTITY_PATH, Identity, read_identity
from finkray.ledger.lease import LEASE_PATH, Lease
from finkray.ledger.log import Ledger
from finkray.ledger.read import read_state
from finkray.ledger.salvage import SET_ASIDE_FOLDER
from finkray.ledger.segment import BLOCK, Segment
from finkray.storage.contract import Storage
from tests.support.ledgers import OTHER, ZTF, compact_now
from tests.support.rebuilding import current_claims, damage, data_files, rebuilt_of
from tests.support.small_archives import SmallArchive
from tests.support.torn_storage import TornStorage


def fill(small: SmallArchive) -> None:
    """Archive claims of two partitions, with dead letters, one of them resolved, and a gap."""
    small.put(0, 9)
    small.put(10, 19, dead=[12, 15])
    first = small.put(20, 29, dead=[25]).result
    small.put(0, 9, source=OTHER, gaps=[Gap("not_delivered", 9, 9)])
    small.resolve(first, 25)
    small.put(30, 39)


def sums(report: AuditReport) -> tuple[int, int, int]:
    return report.archived, report.dead_lettered, report.difference


def entries(storage: Storage) -> list[str]:
    return [file.path for file in storage.files("ledger/log")]


def test_a_damaged_last_entry_without_a_copy_has_a_way_out(small: SmallArchive) -> None:
    storage = small.storage
    fill(small)
    before, was = audit(storage), current_claims(storage)
    last = entries(storage)[-1]
    damage(storage, last)
    with pytest.raises(LedgerCorrupt, match=rf"{last} is .*`finkray ledger rebuild`"):
        Ledger.take_over(storage)

    done = rebuilt_of(storage)
    assert (done.kept_entries, done.damaged) == (len(entries(storage)) - 2, (last,))
    assert (done.claims_from_files, done.files, done.alerts) == (1, 1, 10)
    assert not done.left_out
    after = audit(storage, deep="all")
    assert after.balanced
    assert sums(after) == sums(before)
    assert current_claims(storage).keys() == was.keys()
    assert read_state(storage).state.archive_id == read_identity(storage).archive_id  # type: ignore[union-attr]
    assert storage.size_bytes(f"{done.set_aside}/{last}") is not None
    assert Ledger.take_over(storage).frontier(ZTF) == 40


@pytest.mark.parametrize("identity_is_lost", [False, True])
def test_a_lost_ledger_is_rebuilt_from_the_files(
    small: SmallArchive, *, identity_is_lost: bool
) -> None:
    storage = small.storage
    fill(small)
    Ledger.take_over(storage)
    before, was, identity = audit(storage), data_files(storage), read_identity(storage)
    assert identity is not None
    storage.delete_folder("ledger")
    if identity_is_lost:
        storage.delete([IDENTITY_PATH])
    with pytest.raises(LedgerCorrupt, match="`finkray ledger rebuild` makes one"):
        Ledger.take_over(storage)

    done = rebuilt_of(storage)
    assert (done.kept_entries, done.left_out, done.set_aside) == (0, (), None)
    after = audit(storage, deep="all")
    # The gap at the end of a claim is behind the last file of its partition: not missing.
    assert after.balanced
    assert sums(after) == sums(before)
    assert read_state(storage).state.dead_letters_by_reason == Counter(truncated=2)
    assert data_files(storage) == was
    state = read_state(storage).state
    if not identity_is_lost:
        assert state.archive_id == identity.archive_id
        assert state.last_seq > identity.last_seq
        assert state.epoch > identity.epoch


def test_entries_after_the_damage_keep_what_files_do_not_say(small: SmallArchive) -> None:
    """A gap, a revision, and a start are in later entries alone."""
    storage = small.storage
    small.put(0, 9)
    small.put(10, 19, gaps=[Gap("not_delivered", 13, 14), Gap("expired", 19, 19)])
    first = small.put(20, 29, dead=[25]).result
    small.resolve(first, 25)
    small.ledger.begin_live_lanes({ZTF: 100})
    before, was = audit(storage), current_claims(storage)
    damage(storage, log_path(1))

    done = rebuilt_of(storage)
    assert (done.kept_entries, done.replayed_claims, done.claims_from_files) == (1, 2, 1)
    after = audit(storage, deep="all")
    assert after.balanced
    assert sums(after) == sums(before)
    assert (after.expired, after.not_delivered, after.deferred) == (1, 2, 70)
    now = current_claims(storage)
    assert all(now[key] == result for key, result in was.items() if key[1] >= 10)


def test_a_revision_of_a_kept_claim_is_kept(small: SmallArchive) -> None:
    storage = small.storage
    first = small.put(0, 9, dead=[5]).result
    small.put(10, 19)
    small.resolve(first, 5)
    before = audit(storage)
    damage(storage, log_path(2))
    done = rebuilt_of(storage)
    assert (done.kept_entries, done.claims_from_files) == (2, 1)
    after = audit(storage, deep="all")
    assert after.balanced
    assert sums(after) == sums(before) == (20, 0, 0)


def test_a_damaged_compacted_file_is_replaced(small: SmallArchive) -> None:
    storage = small.storage
    for n in range(BLOCK + 5):
        small.put(2 * n, 2 * n + 1)
    assert compact_now(small.ledger) == 1
    before = audit(storage)
    segment = Segment.holding(0, 0).path
    metadata_bytes = 8 + int.from_bytes((storage.read(segment) or b"")[-8:-4], "little")
    data = storage.read(segment) or b""
    pages = len(data) - metadata_bytes
    storage.replace(segment, data[:4] + bytes(pages - 4) + data[pages:])
    with pytest.raises(LedgerCorrupt, match="`finkray ledger rebuild`"):
        read_state(storage)
    done = rebuilt_of(storage)
    assert done.damaged == (segment,)
    assert (done.kept_entries, done.replayed_claims) == (0, 6)
    assert done.claims_from_files == BLOCK - 1
    after = audit(storage, deep="all")
    assert after.balanced
    assert sums(after) == sums(before)


def test_a_readable_ledger_is_left_alone_unless_told_otherwise(small: SmallArchive) -> None:
    storage = small.storage
    fill(small)
    last = entries(storage)[-1]
    before = {path: storage.read(path) for path in [*entries(storage), IDENTITY_PATH]}
    with pytest.raises(LedgerError, match="is readable and has 7 entries: nothing was changed"):
        rebuilt_of(storage)
    assert {path: storage.read(path) for path in [*entries(storage), IDENTITY_PATH]} == before
    # A ledger that lost its last entry, in a way that a start cannot see.
    storage.delete([last])
    done = rebuilt_of(storage, replace_readable=True)
    assert (done.kept_entries, done.claims_from_files) == (6, 1)
    after = audit(storage, deep="all")
    assert after.balanced
    assert after.archived == 10 + 8 + 10 + 9 + 10


def test_a_dry_run_changes_nothing(small: SmallArchive) -> None:
    storage = small.storage
    fill(small)
    damage(storage, entries(storage)[-1])
    before = {file.path: storage.read(file.path) for file in storage.walk("")}
    planned = rebuilt_of(storage, dry_run=True)
    assert (planned.claims_from_files, planned.entries, planned.set_aside) == (1, 0, None)
    assert {file.path: storage.read(file.path) for file in storage.walk("")} == before


def test_claims_that_are_not_published_yet_are_published(small: SmallArchive) -> None:
    storage = small.storage
    small.put(0, 9)
    small.put(10, 19)
    staged = small.stage(20, 29)
    small.ledger.append([staged])
    assert len(data_files(storage)) == 2
    damage(storage, log_path(1))
    done = rebuilt_of(storage)
    assert (done.replayed_claims, done.claims_from_files) == (2, 1)
    assert len(data_files(storage)) == 3
    assert audit(storage, deep="all").balanced


def test_an_archive_that_slept_meanwhile_cannot_commit(small: SmallArchive) -> None:
    storage = small.storage
    fill(small)
    sleeper, staged = small.ledger, small.stage(40, 49)
    damage(storage, entries(storage)[-1])
    rebuilt_of(storage)
    before = entries(storage)
    with pytest.raises(Fenced):
        sleeper.append([staged])
    assert entries(storage) == before


def test_a_running_archive_is_left_alone(small: SmallArchive) -> None:
    storage = small.storage
    fill(small)
    damage(storage, entries(storage)[-1])
    with Lease.acquire(storage, ttl_s=60.0):
        for dry_run in (False, True):
            with pytest.raises(ArchiveHeld, match="is held by"):
                rebuilt_of(storage, dry_run=dry_run)


def test_a_ledger_of_another_archive_is_not_kept(small: SmallArchive) -> None:
    storage = small.storage
    fill(small)
    storage.replace(IDENTITY_PATH, Identity("another").to_bytes())
    with pytest.raises(LedgerCorrupt, match="move the folder `ledger` away"):
        rebuilt_of(storage)


def test_a_damaged_identity_is_written_again(small: SmallArchive) -> None:
    storage = small.storage
    fill(small)
    known = read_identity(storage)
    storage.replace(IDENTITY_PATH, b"{")
    damage(storage, entries(storage)[-1])
    rebuilt_of(storage)
    found = read_identity(storage)
    assert known is not None
    assert found is not None
    assert found.archive_id == known.archive_id


def test_after_a_crash_anywhere_the_rebuild_can_be_repeated(small: SmallArchive) -> None:
    storage = small.storage
    fill(small)
    before = audit(storage)
    damage(storage, log_path(2))
    broken = {file.path: storage.read(file.path) or b"" for file in storage.walk("")}
    crashes = 0
    for step in range(60):
        storage.delete_folder("ledger")
        storage.delete_folder(SET_ASIDE_FOLDER)
        storage.delete_folder("alerts")
        storage.delete_folder("deadletters")
        for path, data in broken.items():
            storage.replace(path, data)
        torn = TornStorage(storage)
        torn.arm(step, kills=False, done_first=bool(step % 2))
        try:
            rebuilt_of(torn)
        except StorageError:
            crashes += 1
            storage.delete([LEASE_PATH])  # of a process that has not ended
            try:
                rebuilt_of(storage)
            except LedgerError:
                # Only its end was missing.
                Ledger.take_over(storage)
        after = audit(storage, deep="all")
        assert after.balanced, (step, after)
        assert sums(after) == sums(before)
    assert crashes > 10


@pytest.mark.parametrize("seed", range(8))
def test_whatever_happens_to_the_ledger_no_alert_is_lost(small: SmallArchive, seed: int) -> None:
    """Files of the ledger are deleted and damaged at random; all files of data are whole."""
    chance = random.Random(seed)
    storage = small.storage
    for n in range(chance.randrange(3, BLOCK + 20)):
        letters = [10 * n + 3] if chance.random() < 0.3 else []
        result = small.put(10 * n, 10 * n + 9, dead=letters).result
        if letters and chance.random() < 0.5:
            small.resolve(result, *letters)
    compact_now(small.ledger)
    before = audit(storage)
    ledger = [file.path for file in storage.walk("ledger")]
    for path in chance.sample(ledger, chance.randrange(1, 1 + min(5, len(ledger)))):
        damage(storage, path) if chance.random() < 0.5 else storage.delete([path])
    done = rebuilt_of(storage, replace_readable=True)
    after = audit(storage, deep="all")
    assert after.balanced
    # Without the entry that resolved it, a dead letter of a kept claim is one again.
    again = len(done.left_out)
    assert all("other claims have its offsets" in why for _, why in done.left_out)
    assert sums(after) == (before.archived - again, before.dead_lettered + again, 0)
    rows = Counter(
        offset
        for file in storage.walk("alerts")
        for offset in pq.read_table(storage.open(file.path))["kafka_offset"].to_pylist()
    )
    assert set(rows.values()) == {1}
    assert len(rows) == after.archived
    assert read_results(storage, []) == {}
