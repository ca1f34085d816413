"""A snapshot is made from what the driver knows, and changes nothing of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from finkray.claim import TopicPartition
from finkray.driver.archiver_view import ArchiverView
from finkray.driver.snapshot import make_snapshot
from finkray.ingest.messages import IngestReport
from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from finkray.monitor.alarm_rules import DriverTroubles
from finkray.monitor.clock import Moment
from finkray.monitor.figures import Monitor
from finkray.settings.model import Settings, load
from finkray.storage.opening import open_storage

LIVE = TopicPartition("cluster", "ztf", "id", 0)
GONE = TopicPartition("cluster", "ztf", "id", 1)
START, LATER = Moment(1_764_000_000.0, 77.0), Moment(1_764_000_060.0, 137.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(None, {"FINKRAY__ARCHIVE__URI": str(tmp_path / "archive")})


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    storage = open_storage(settings.archive)
    with Lease.acquire(storage, ttl_s=60.0) as lease:
        yield Ledger.take_over(storage, lease)


@pytest.fixture
def view() -> ArchiverView:
    report = IngestReport(
        incarnation="first",
        node_id="node",
        pid=9,
        held_bytes=500,
        claims_held=2,
        messages=40,
        message_bytes=4000,
        paused=False,
        flushed=False,
        high_watermarks={LIVE: 130},
        trouble="",
    )
    return ArchiverView(
        state="running",
        troubles=DriverTroubles(),
        actor_names=("ingest-0", "ingest-1"),
        held_bytes_limit=1000,
        reports={1: report},
        restarts={1: 3},
        actors_down={0: "Ray restarts it"},
        frontiers={LIVE: 100, GONE: 7},
        backlogs={LIVE: 50, GONE: 0},
        readers={LIVE: 1, GONE: 0},
        uncommitted=(),
    )


def test_a_snapshot_has_the_lag_of_the_live_lanes_and_the_backlog_apart(
    settings: Settings, view: ArchiverView, ledger: Ledger
) -> None:
    snapshot = make_snapshot(settings, view, ledger, Monitor(), started=START, at=LATER)
    assert (snapshot.lag, snapshot.backlog, snapshot.balance.waiting) == (30, 50, 80)
    assert (snapshot.at - snapshot.started_at).total_seconds() == 60
    assert [(at.partition, at.actor, at.high_watermark) for at in snapshot.partitions] == [
        (0, "ingest-1", 130),
        (1, "ingest-0", -1),
    ]
    (actor,) = snapshot.actors
    assert (actor.name, actor.restarts, actor.held_bytes_limit) == ("ingest-1", 3, 1000)
    assert snapshot.held_bytes_limit == 2000


def test_an_archive_was_not_started_in_the_future_when_the_clock_is_set_back(
    settings: Settings, view: ArchiverView, ledger: Ledger
) -> None:
    for set_back_s in (3600.0, 86_400.0):
        at = LATER._replace(unix_s=LATER.unix_s - set_back_s)
        snapshot = make_snapshot(settings, view, ledger, Monitor(), started=START, at=at)
        assert (snapshot.at - snapshot.started_at).total_seconds() == 60


def test_making_a_snapshot_changes_nothing(
    settings: Settings, view: ArchiverView, ledger: Ledger
) -> None:
    monitor = Monitor()
    monitor.tick(view.lag, START)
    monitor.raised.update({"STORAGE": "full"}, START)
    first = make_snapshot(settings, view, ledger, monitor, started=START, at=LATER)
    assert make_snapshot(settings, view, ledger, monitor, started=START, at=LATER) == first
    assert [alarm.code for alarm in first.alarms] == ["STORAGE"]
    assert len(first.history) == 1


def test_a_view_cannot_be_changed(view: ArchiverView) -> None:
    with pytest.raises(AttributeError):
        view.state = "failed"  # type: ignore[misc]
