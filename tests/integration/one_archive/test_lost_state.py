"""The folder of a running archive vanishes, and its ledger is lost or older than its files."""

import re
import shutil
from pathlib import Path

import pytest

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


@pytest.fixture
def stopped(shared: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes]) -> Path:
    """Stop the archive behind twelve alerts of the topic; return a copy of its older ledger."""
    archive = shared.running()
    kafka.create_topic(topic)
    archive.wait_for_offsets(archive.balance().received)
    older = archive.folder / "older_ledger"
    shutil.rmtree(older, ignore_errors=True)
    shutil.copytree(archive.root / "ledger", older)
    archive.wait_for_topic(topic, send(kafka.bootstrap_servers, topic, packets))
    archive.stop()
    return older


def test_a_lost_and_a_rolled_back_ledger_are_refused_until_they_are_rebuilt(
    shared: ArchiveUnderTest, stopped: Path, kafka: Kafka, topic: str, packets: list[bytes]
) -> None:
    archive, ledger = shared, shared.root / "ledger"
    shutil.rmtree(ledger)
    refused(archive, "lost, or older than the archive")
    for name, text in told(archive).items():
        assert "stopped, and cannot start" in text, (name, text)
        assert "`finkray ledger rebuild` makes one" in text, (name, text)
        assert re.search(r"last seen \d{4}-", text), (name, text)
        assert "0 alerts archived" not in text, (name, text)
    shutil.rmtree(ledger)
    shutil.copytree(stopped, ledger)
    refused(archive, "lost, or older than the archive")
    audited = archive.finkray("audit")
    assert audited.returncode == 1, audited.stdout
    assert "stray" in audited.stdout
    rebuilt = archive.finkray("ledger", "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    audited = archive.finkray("audit", "--deep", "all")
    assert audited.returncode == 0, audited.stdout
    archive.start()
    archive.wait_for_topic(topic, 12 + send(kafka.bootstrap_servers, topic, packets))
    found = archive.offsets(topic)
    assert (len(found), set(found.values())) == (24, {1})


def refused(archive: ArchiveUnderTest, message: str) -> None:
    """Assert that a start ends by itself, says why, and changes nothing but the lease."""
    before, said_before = files_below(archive.root), len(archive.log.read_text())
    assert archive.start().wait(timeout=120) == DaemonExit.FAILED
    assert message in archive.log.read_text()[said_before:]
    assert files_below(archive.root) - {LEASE_PATH} == before - {LEASE_PATH}
