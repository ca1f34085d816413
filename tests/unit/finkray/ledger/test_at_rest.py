"""What the folder of an archive tells when no process reports."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from finkray.errors import LedgerCorrupt
from finkray.host.process_id import ProcessId
from finkray.ledger.at_rest import read_at_rest
from finkray.ledger.identity import raise_bounds
from finkray.ledger.lease import LEASE_PATH, Lease
from finkray.ledger.log import Ledger
from finkray.storage.local import LocalStorage
from tests.support.small_archives import SmallArchive


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "archive")


def test_a_folder_without_an_archive_was_never_started(storage: LocalStorage) -> None:
    found = read_at_rest(storage)
    assert (found.state, found.heartbeat_at, found.archived) == ("never_started", None, 0)


def test_a_released_lease_is_an_archive_that_was_stopped(storage: LocalStorage) -> None:
    lease = Lease.acquire(storage, ttl_s=15.0)
    small = SmallArchive(storage)
    small.put(0, 9)
    assert read_at_rest(storage).state == "runs"
    lease.release()
    found = read_at_rest(storage)
    assert (found.state, found.archived) == ("stopped", 10)
    assert found.holder == str(ProcessId.mine())
    assert found.durable_at is not None
    assert found.heartbeat_at is not None
    assert found.to_json()["state"] == "stopped"


def test_an_archive_whose_process_was_killed_died(storage: LocalStorage) -> None:
    program = (
        "import os, sys; from pathlib import Path; from finkray.ledger.lease import Lease;"
        "from finkray.storage.local import LocalStorage;"
        "Lease.acquire(LocalStorage(Path(sys.argv[1])), 3600.0); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", program, str(storage.root)], check=False)
    assert storage.exists()
    assert read_at_rest(storage).state == "died"


def test_an_archive_of_another_machine_died_when_it_is_silent(storage: LocalStorage) -> None:
    Lease.acquire(storage, ttl_s=15.0).release()
    raw = json.loads((storage.root / LEASE_PATH).read_bytes())
    far = replace(ProcessId.mine(), boot_id="another", host="far")
    for age_s, state in ((5, "runs"), (60, "died")):
        heartbeat = datetime.now(UTC) - timedelta(seconds=age_s)
        raw |= {
            "released": False,
            "holder": far.to_json(),
            "heartbeat": heartbeat.isoformat(),
        }
        (storage.root / LEASE_PATH).write_text(json.dumps(raw))
        assert read_at_rest(storage).state == state


def test_a_process_of_this_machine_that_is_late_with_its_heartbeat_lives(
    storage: LocalStorage,
) -> None:
    lease = Lease.acquire(storage, ttl_s=15.0)
    raw = json.loads((storage.root / LEASE_PATH).read_bytes())
    raw["heartbeat"] = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    late = json.dumps(raw)
    lease.release()
    (storage.root / LEASE_PATH).write_text(late)
    assert read_at_rest(storage).state == "runs"


def test_a_damaged_lease_is_named(storage: LocalStorage) -> None:
    Lease.acquire(storage, ttl_s=15.0).release()
    (storage.root / LEASE_PATH).write_text("{")
    with pytest.raises(LedgerCorrupt, match=r"lease\.json is not a lease"):
        read_at_rest(storage)


def test_a_lost_ledger_is_neither_a_new_archive_nor_an_empty_one(storage: LocalStorage) -> None:
    lease = Lease.acquire(storage, ttl_s=15.0)
    ledger = Ledger.take_over(storage)
    raise_bounds(storage, ledger.archive_id, ledger.epoch, 0)
    lease.release()
    assert read_at_rest(storage).problem == ""
    shutil.rmtree(storage.root / "ledger")
    found = read_at_rest(storage)
    assert found.state == "stopped"
    assert "is lost, or older than the archive" in found.problem
    assert found.to_json()["problem"] == found.problem


def test_a_ledger_that_was_rolled_back_within_an_epoch_is_told(storage: LocalStorage) -> None:
    """As by the restore of a backup of some minutes before: the identity does not tell it."""
    lease = Lease.acquire(storage, ttl_s=15.0)
    small = SmallArchive(storage)
    for n in range(3):
        small.put(10 * n, 10 * n + 9)
    lease.release()
    assert read_at_rest(storage).problem == ""
    *_, last = storage.files("ledger/log")
    storage.delete([last.path])
    problem = read_at_rest(storage).problem
    assert "1 files have offsets that no claim has, as alerts/topic=" in problem
    assert "Restore the newest ledger" in problem
    assert "finkray ledger rebuild" in problem


def test_files_without_a_ledger_are_no_archive_that_was_never_started(
    storage: LocalStorage,
) -> None:
    SmallArchive(storage).put(0, 9)
    storage.delete_folder("ledger")
    storage.delete(["identity.json"])
    assert "is lost, or older than the archive" in read_at_rest(storage).problem
