"""Who may have the folder: the decision, and leases that are really taken."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from finkray.errors import ArchiveHeld, LedgerCorrupt, StorageError
from finkray.host.process_id import ProcessId
from finkray.host.time_limit import returns_within
from finkray.ledger.lease import (
    LEASE_PATH,
    Dead,
    Free,
    Held,
    Lease,
    LeaseRecord,
    LeaseState,
    Stale,
    lease_state,
    refuse_if_held,
)
from finkray.ledger.log import Ledger
from finkray.storage.contract import Storage
from tests.support.archiving import wait_until

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
ME = ProcessId("host-a", "boot-1", "pid:[1]", 10, "500")
NEIGHBOUR = replace(ME, pid=11)
AFTER_REBOOT = replace(ME, pid=11, boot_id="boot-0")
CONTAINER = replace(ME, pid=11, pid_namespace="pid:[2]")
FAR = replace(ME, host="host-b", boot_id="boot-2")


def record(holder: ProcessId, age_s: float = 1.0) -> LeaseRecord:
    return LeaseRecord("word", 3, holder, NOW, NOW - timedelta(seconds=age_s), ttl_s=15.0)


@pytest.mark.parametrize(
    ("lease", "running", "state"),
    [
        (None, True, Free()),
        (replace(record(NEIGHBOUR), released=True), True, Free()),
        (record(NEIGHBOUR), True, Held(NEIGHBOUR, NOW)),
        (record(NEIGHBOUR), False, Dead()),
        (record(NEIGHBOUR, age_s=3600), False, Dead()),
        # It is there, but has not said so for long: stopped, or hung.
        (record(NEIGHBOUR, age_s=16), True, Stale(NEIGHBOUR)),
        # Those whose processes cannot be looked for.
        (record(FAR), False, Held(FAR, NOW)),
        (record(FAR, age_s=14.9), False, Held(FAR, NOW)),
        (record(FAR, age_s=15.1), True, Stale(FAR)),
        (record(CONTAINER), False, Held(CONTAINER, NOW)),
        (record(AFTER_REBOOT, age_s=5), False, Held(AFTER_REBOOT, NOW)),
        (record(AFTER_REBOOT, age_s=16), False, Stale(AFTER_REBOOT)),
        # A clock that is behind, a little and much.
        (record(FAR, age_s=-10), False, Held(FAR, NOW)),
        (record(FAR, age_s=-3600), False, Stale(FAR)),
    ],
)
def test_lease_state(lease: LeaseRecord | None, running: bool, state: LeaseState) -> None:
    assert lease_state(lease, ME, NOW, lambda _: running) == state


def test_a_second_archive_is_told_who_has_the_folder(storage: Storage) -> None:
    with Lease.acquire(storage, ttl_s=15.0) as lease:
        me = lease.record.holder
        with pytest.raises(ArchiveHeld) as refused:
            Lease.acquire(storage, ttl_s=15.0)
    assert str(me.pid) in str(refused.value)
    assert me.host in str(refused.value)
    assert "finkray stop archive" in str(refused.value)
    Lease.acquire(storage, ttl_s=15.0).release()


@pytest.mark.parametrize("storage", ["local"], indirect=True)  # of two processes
def test_of_a_holder_that_was_killed_the_lease_is_taken_at_once(storage: Storage) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        "from finkray.ledger.lease import Lease; from finkray.storage.local import LocalStorage;"
        "Lease.acquire(LocalStorage(Path(sys.argv[1])), 60.0); print('held', flush=True);"
        "time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, storage.uri], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ArchiveHeld):
            Lease.acquire(storage, ttl_s=60.0)
        holder.kill()
        # Nobody has asked for its exit code yet: it is a zombie of the kernel's, and dead.
        begun_s = time.monotonic()
        while True:
            try:
                lease = Lease.acquire(storage, ttl_s=60.0)
                break
            except ArchiveHeld:
                assert time.monotonic() - begun_s < 10
        lease.release()


def test_a_silent_holder_is_watched_before_its_lease_is_taken(storage: Storage) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    silent = LeaseRecord("word", 7, FAR, past, past, ttl_s=1.0)
    storage.replace(LEASE_PATH, silent.to_bytes())
    with Lease.acquire(storage, ttl_s=15.0) as lease:
        assert lease.record.epoch == 8


@pytest.mark.parametrize("off_by", [timedelta(hours=-1), timedelta(days=1)])
def test_a_holder_whose_clock_is_off_keeps_its_lease(storage: Storage, off_by: timedelta) -> None:
    begun = datetime.now(UTC) + off_by
    beating, stop = threading.Event(), threading.Event()

    def beat() -> None:
        while not stop.wait(0.1):
            told = datetime.now(UTC) + off_by
            far = LeaseRecord("word", 9, FAR, begun, told, ttl_s=2.0)
            storage.replace(LEASE_PATH, far.to_bytes())
            beating.set()

    holder = threading.Thread(target=beat)
    holder.start()
    try:
        assert beating.wait(10)
        with pytest.raises(ArchiveHeld, match="host-b"):
            Lease.acquire(storage, ttl_s=2.0)
    finally:
        stop.set()
        holder.join()


def test_the_heartbeat_goes_on_and_ends_with_the_lease(storage: Storage) -> None:
    lease = Lease.acquire(storage, ttl_s=0.5)
    beats = set()
    for _ in range(100):
        data = storage.read(LEASE_PATH)
        assert data is not None
        beats.add(LeaseRecord.from_bytes(data).heartbeat)
        if len(beats) > 3:
            break
        time.sleep(0.05)
    assert len(beats) > 3
    lease.release()
    data = storage.read(LEASE_PATH)
    assert data is not None
    assert LeaseRecord.from_bytes(data).released


@pytest.mark.parametrize("error", [StorageError("full"), RuntimeError("can't start new thread")])
def test_the_heartbeat_goes_on_after_any_error(
    storage: Storage, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Lease.acquire(storage, ttl_s=0.5) as lease:
        refused = threading.Event()

        def refuse(*_: object) -> None:
            refused.set()
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(storage, "replace", refuse)
            assert refused.wait(60)
        refused_at_s = time.monotonic()
        wait_until("a heartbeat", lambda: lease.silent_s(refused_at_s) < 0)


@pytest.mark.parametrize("storage", ["local"], indirect=True)
def test_a_storage_that_hangs_does_not_hold_up_the_end(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A read of a pipe without a writer hangs, as that of a file whose server is away."""
    monkeypatch.setattr("finkray.ledger.lease.RELEASE_S", 0.2)
    path = Path(storage.uri) / LEASE_PATH
    lease = Lease.acquire(storage, ttl_s=600.0)
    path.unlink()
    os.mkfifo(path)
    before = set(threading.enumerate())
    assert returns_within(lease.release, 60)
    assert "not released: the storage has not answered for 0.2 s" in caplog.text
    (hanging,) = set(threading.enumerate()) - before
    # The storage answers again, when another process may have the lease: it is left alone.
    answer = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    os.write(answer, lease.record.to_bytes())
    os.close(answer)
    hanging.join(60)
    assert not hanging.is_alive()
    assert path.is_fifo()


def test_it_is_known_for_how_long_a_lease_could_not_be_renewed(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the monotonic clock: whatever the wall clock does, a renewed lease is not silent."""
    with Lease.acquire(storage, ttl_s=600.0) as lease:
        started_s = time.monotonic()
        assert lease.silent_s(started_s + 20) == pytest.approx(20, abs=1)

        def refuse(*_: object) -> None:
            raise StorageError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(storage, "replace", refuse)
            with pytest.raises(StorageError):
                lease.renew()
        assert lease.silent_s(started_s + 20) == pytest.approx(20, abs=1)
        lease.renew()
        assert lease.silent_s(time.monotonic()) < 1


def test_who_loses_the_lease_notices_and_leaves_it_alone(storage: Storage) -> None:
    with Lease.acquire(storage, ttl_s=15.0) as lease:
        other = replace(lease.record, token="other", epoch=lease.record.epoch + 1, holder=FAR)
        storage.replace(LEASE_PATH, other.to_bytes())
        assert not lease.lost
        lease.renew()
        assert lease.lost
    assert storage.read(LEASE_PATH) == other.to_bytes()


def test_a_zombies_late_heartbeat_does_not_unseat_its_successor(storage: Storage) -> None:
    with Lease.acquire(storage, ttl_s=15.0) as lease:
        Ledger.take_over(storage, lease)
        zombie = replace(lease.record, token="zombie", epoch=0)
        storage.replace(LEASE_PATH, zombie.to_bytes())
        lease.renew()
        assert not lease.lost
        assert storage.read(LEASE_PATH) == lease.record.to_bytes()


def test_the_lease_knows_the_ledgers_epoch(storage: Storage) -> None:
    for epoch in (1, 2, 3):
        with Lease.acquire(storage, ttl_s=15.0) as lease:
            ledger = Ledger.take_over(storage, lease)
            assert ledger.epoch == lease.record.epoch == epoch


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format": 2}', b"[]"])
def test_what_is_no_lease_is_refused(storage: Storage, data: bytes) -> None:
    storage.replace(LEASE_PATH, data)
    with pytest.raises(LedgerCorrupt, match=LEASE_PATH):
        Lease.acquire(storage, ttl_s=15.0)


def test_a_process_is_known_by_more_than_its_number() -> None:
    me = ProcessId.mine()
    assert me.is_running()
    assert me.can_see(ProcessId.mine())
    assert not replace(me, started="1").is_running()
    with subprocess.Popen([sys.executable, "-c", "pass"]) as child:
        gone = replace(me, pid=child.pid, started="1")
    assert not gone.is_running()


def test_a_process_whose_name_is_no_text_is_known_too() -> None:
    """A name is cut after 15 bytes, also within a character."""
    code = r"open('/proc/self/comm', 'wb').write(b'a) R \xff\xc3'); print('named'); input()"
    with subprocess.Popen(
        [sys.executable, "-uc", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as named:
        assert named.stdout is not None
        assert named.stdout.readline() == b"named\n"
        other = replace(ProcessId.mine(), pid=named.pid, started="1")
        assert not other.is_running()
        assert other.is_pid_reused()
        named.kill()


def test_a_look_at_the_lease_refuses_a_held_one_and_writes_nothing(storage: Storage) -> None:
    refuse_if_held(storage)
    assert storage.read(LEASE_PATH) is None
    with Lease.acquire(storage, ttl_s=60.0) as lease:
        with pytest.raises(ArchiveHeld, match="is held by"):
            refuse_if_held(storage)
        assert not lease.lost
    refuse_if_held(storage)


def test_a_look_at_a_stale_lease_passes(storage: Storage) -> None:
    """Whether its holder sleeps is found out when the lease is taken."""
    stale = replace(record(FAR), heartbeat=datetime.now(UTC) - timedelta(hours=1))
    storage.replace(LEASE_PATH, stale.to_bytes())
    refuse_if_held(storage)
    assert storage.read(LEASE_PATH) == stale.to_bytes()
