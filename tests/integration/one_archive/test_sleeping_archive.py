"""A second archive on the Ray of one that sleeps leaves the sleeping one as it is."""

import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from finkray.host.exit_codes import DaemonExit
from finkray.ledger.lease import LEASE_PATH, LeaseRecord
from finkray.ledger.read import read_state
from finkray.storage.local import LocalStorage
from sim.broker.kafka import Kafka
from tests.support.archiving import ArchiveUnderTest, wait_until
from tests.support.packets import send
from tests.support.shift import told

pytestmark = [pytest.mark.kafka, pytest.mark.ray, pytest.mark.spark, pytest.mark.timeout(600)]

TTL_S = 5.0
"""As `ArchiveUnderTest` sets it."""


def lease_of(storage: LocalStorage) -> LeaseRecord:
    data = storage.read(LEASE_PATH)
    assert data is not None
    return LeaseRecord.from_bytes(data)


def tells_that_it_is_silent(archive: ArchiveUnderTest) -> bool:
    """Whether the command and the page say so, since when, and what to do."""
    texts = told(archive).values()
    return all(
        re.search(r"no report from the archive for .* last report: running, \d{4}-", text)
        and "finkray logs archive shows its log" in text
        for text in texts
    )


def test_a_sleeping_archive_goes_on_after_a_second_one_could_not_serve(
    archive: ArchiveUnderTest, kafka: Kafka, topic: str, packets: list[bytes], tmp_path: Path
) -> None:
    """Its driver is stopped until its lease has lapsed; a second archive starts; it wakes up."""
    kafka.create_topic(topic)
    sent = send(kafka.bootstrap_servers, topic, packets)
    archive.wait_for_topic(topic, sent)
    storage = LocalStorage(archive.root)
    assert archive.process is not None
    (driver,) = psutil.Process(archive.process.pid).children()
    before, epoch = lease_of(storage), read_state(storage).state.epoch
    assert before.holder.pid == driver.pid
    driver.send_signal(signal.SIGSTOP)
    try:
        time.sleep(TTL_S + 1.0)
        (tmp_path / "second").mkdir()
        second = replace(archive, folder=tmp_path / "second", process=None)
        # Its supervisor would try again and again: the name may be free the next time.
        exit_code = second.start("--unsupervised").wait(timeout=120)
        assert exit_code == DaemonExit.RESTART, second.log.read_text()[-3000:]
        words = second.log.read_text()
        assert "has the name finkray-archive-board in the Ray namespace" in words
        assert "nothing was taken over" in words
        assert read_state(storage).state.epoch == epoch
        assert lease_of(storage).token == before.token
        wait_until("status says that it sleeps", lambda: tells_that_it_is_silent(archive))
    finally:
        driver.send_signal(signal.SIGCONT)
    wait_until("the lease is renewed", lambda: lease_of(storage).heartbeat > before.heartbeat)
    sent += send(kafka.bootstrap_servers, topic, packets)
    archive.wait_for_topic(topic, sent)
    assert read_state(storage).state.epoch == epoch
    assert driver.is_running()
