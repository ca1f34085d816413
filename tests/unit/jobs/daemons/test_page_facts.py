"""What the page and `finkray status` learn of an archive that does not report."""

from datetime import timedelta
from pathlib import Path

import pytest

from finkray.ledger.lease import Lease
from finkray.storage.local import LocalStorage
from jobs.daemons.page_facts import EndedJobsSource, RestSource, at_rest_unless_reporting
from tests.support.snapshots import NIGHT, busy_night


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "archive")


def test_the_folder_is_asked_only_while_the_archive_does_not_report(storage: LocalStorage) -> None:
    late = NIGHT + timedelta(seconds=6)
    assert at_rest_unless_reporting(storage, busy_night(), NIGHT) is None
    for snapshot, now in (
        (None, NIGHT),
        (busy_night(), late),
        (busy_night(state="stopped"), NIGHT),
    ):
        found = at_rest_unless_reporting(storage, snapshot, now)
        assert found is not None
        assert found.state == "never_started"


def test_the_last_report_stays_of_an_archive_that_lives_or_has_failed(
    storage: LocalStorage,
) -> None:
    late = NIGHT + timedelta(seconds=60)
    assert at_rest_unless_reporting(storage, busy_night(state="failed"), late) is None
    lease = Lease.acquire(storage, ttl_s=15.0)
    assert at_rest_unless_reporting(storage, busy_night(), late) is None
    elsewhere = at_rest_unless_reporting(storage, None, late)
    assert elsewhere is not None
    assert elsewhere.state == "runs"
    lease.release()


def test_the_sources_of_the_page_look_every_few_seconds(
    storage: LocalStorage, tmp_path: Path
) -> None:
    source = RestSource(storage, lambda: None)
    first = source.read()
    assert first is not None
    Lease.acquire(storage, ttl_s=15.0).release()
    assert source.read() is first
    assert EndedJobsSource(tmp_path).read() == ()
