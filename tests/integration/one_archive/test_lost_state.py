"""The folder of a running archive vanishes, and its ledger is lost or older than its files."""

import re
import shutil
from pathlib import Path

import pytest

from finkray.errors import LedgerCorrupt
from finkray.host.exit_codes import DaemonExit
from finkray.ledger.lease import LEASE_PATH
from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import send
from tests.support.shift import assert_alarm_is_told, told

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_archive_waits_for_its_folder_and_writes_nothing_below_the_mount_point(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    kafka.create_topic(topic)
    sent = send(kafka.bootstrap_servers, topic, packets)
    archive.wait_for_topic(topic, sent)
    epoch = read_state(LocalStorage(archive.root)).state.epoch
    # As if its disk was unmounted: the mount point is an empty folder.
    disk = archive.root.with_name("unmounted")
    archive.root.rename(disk)
    archive.root.mkdir()
    try:
        sent += send(kafka.bootstrap_servers, topic, packets)
        wait_until("the alarm that the folder is gone", lambda: "STORAGE" in archive.alarms())
        assert_alarm_is_told(
            archive, "STORAGE", "the folder was deleted, or its disk was unmounted"
        )
        audited = archive.finkray("audit")
        assert audited.returncode != 0, audited.stdout
        assert files_below(archive.root) == set()
    finally:
        shutil.rmtree(archive.root)
        disk.rename(archive.root)
    archive.wait_for_topic(topic, sent)
    wait_until("the end of the alarm", lambda: "STORAGE" not in archive.alarms())
    # The same run: nothing was restarted, and nothing was read twice.
    assert read_state(LocalStorage(archive.root)).state.epoch == epoch
    found = archive.offsets(topic)
    assert (len(found), set(found.values())) == (sent, {1})
    audited = archive.finkray("audit", "--deep", "all")
    assert audited.returncode == 0, audited.stdout


def copy_of_ledger(archive: ArchiveUnderTest) -> Path | None:
    """Copy the ledger, and return the copy; None if the archive compacted it meanwhile."""
    older = LocalStorage(archive.folder / "older")
    shutil.rmtree(older.root, ignore_errors=True)
    try:
        shutil.copytree(archive.root / "ledger", older.root / "ledger")
        read_state(older)
    except (shutil.Error, LedgerCorrupt):
        return None
    return older.root / "ledger"


@pytest.fixture
def rolled_back(shared: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]) -> Path:
    """Archive twelve alerts, and replace the ledger by an older copy; return another of these."""
    archive, ledger = shared.running(), shared.root / "ledger"
    kafka.create_topic(topic)
    archive.wait_for_offsets(archive.balance().received)
    older = wait_until("a whole copy of the ledger", lambda: copy_of_ledger(archive))
    archive.wait_for_topic(topic, send(kafka.bootstrap_servers, topic, packets))
    ledger.rename(archive.folder / f"newer_ledger_{topic}")
    shutil.copytree(older, ledger)
    return older


def test_a_lost_and_a_rolled_back_ledger_are_refused_until_they_are_rebuilt(
    shared: ArchiveUnderTest, rolled_back: Path, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    archive, ledger = shared, shared.root / "ledger"
    assert archive.process is not None
    assert archive.process.poll() is None
    before = files_below(ledger)
    sent = 12 + send(kafka.bootstrap_servers, topic, packets)
    assert archive.process.wait(timeout=120) == DaemonExit.FAILED
    assert "replaced by an older copy, while the archive ran" in archive.log.read_text()
    assert files_below(ledger) == before
    refused(archive, "lost, or older than the archive")
    assert_told(archive)
    shutil.rmtree(ledger)
    refused(archive, "lost, or older than the archive")
    assert_told(archive)
    shutil.rmtree(ledger, ignore_errors=True)
    shutil.copytree(rolled_back, ledger)
    audited = archive.finkray("audit")
    assert audited.returncode == 1, audited.stdout
    assert "stray" in audited.stdout
    rebuilt = archive.finkray("ledger", "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    audited = archive.finkray("audit", "--deep", "all")
    assert audited.returncode == 0, audited.stdout
    archive.start()
    archive.wait_for_topic(topic, sent)
    found = archive.offsets(topic)
    assert (len(found), set(found.values())) == (sent, {1})


def assert_told(archive: ArchiveUnderTest) -> None:
    """Assert that `finkray status` and the page say that the ledger is older, and what to do."""
    # The process has ended, and its last report counts for some seconds more.
    wait_until(
        "an end of the reports", lambda: "running" not in told(archive)["finkray status"], 30
    )
    for name, text in told(archive).items():
        assert "stopped, and cannot start" in text, (name, text)
        assert "`finkray ledger rebuild` makes one" in text, (name, text)
        assert re.search(r"last seen \d{4}-", text), (name, text)
        assert "0 alerts archived" not in text, (name, text)


def refused(archive: ArchiveUnderTest, message: str) -> None:
    """Assert that a start ends by itself, says why, and changes nothing but the lease."""
    before, said_before = files_below(archive.root), len(archive.log.read_text())
    assert archive.start().wait(timeout=120) == DaemonExit.FAILED
    assert message in archive.log.read_text()[said_before:]
    assert files_below(archive.root) - {LEASE_PATH} == before - {LEASE_PATH}
