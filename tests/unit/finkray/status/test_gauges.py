"""The metrics that operators collect: their names are public, and each snapshot sets them."""

import pickle
from datetime import UTC, datetime

from finkray.status.archive import Alarm, BalanceSheet, Snapshot, StageLatency
from finkray.status.board import ARCHIVE_BOARD, service_board
from finkray.status.gauges import ARCHIVE_GAUGES, SERVICE_GAUGES, STREAMOUT_GAUGES
from finkray.status.service import ServiceSnapshot
from tests.support.snapshots import STREAMOUT

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ARCHIVE = Snapshot(
    version="1",
    state="running",
    started_at=NOON,
    at=NOON,
    archive_uri="file:///archive",
    bootstrap_servers="kafka:9092",
    epoch=1,
    lag=7,
    balance=BalanceSheet(received=10, archived=8, dead_lettered=1),
    latency=(StageLatency(stage="durable", alerts=9, p50_s=1.0, p95_s=2.0, p99_s=3.0),),
    alarms=(Alarm(code="STORAGE", since=NOON, message="full", what_to_do="make room"),),
)
SERVICE = ServiceSnapshot(
    name="crossmatch",
    service="Crossmatch",
    version="1",
    spec="actors.crossmatch:Crossmatch",
    state="running",
    started_at=NOON,
    at=NOON,
    waiting=3,
    by_status={"ok": 5, "error": 2},
    breaker="half_open",
)


def test_the_names_of_the_metrics_stay() -> None:
    assert {gauge.name for gauge in ARCHIVE_GAUGES} == {
        "finkray_incoming_per_s",
        "finkray_archived_per_s",
        "finkray_lag",
        "finkray_backlog",
        "finkray_held_bytes",
        "finkray_received",
        "finkray_archived",
        "finkray_dead_lettered",
        "finkray_difference",
        "finkray_alarms",
        "finkray_latency_s",
    }
    assert {gauge.name for gauge in SERVICE_GAUGES} == {
        "finkray_service_actors",
        "finkray_service_waiting",
        "finkray_service_behind_s",
        "finkray_service_alerts_per_s",
        "finkray_service_alerts_per_s_a_core",
        "finkray_service_latency_p95_s",
        "finkray_service_batch_p99_s",
        "finkray_service_memory_bytes",
        "finkray_service_results",
        "finkray_service_breaker_open",
        "finkray_service_errors",
    }
    assert {gauge.name for gauge in STREAMOUT_GAUGES} == {
        "finkray_filter_alerts",
        "finkray_filter_passed",
        "finkray_filter_not_judged",
        "finkray_filter_sent",
        "finkray_filter_refused",
        "finkray_filter_amendments",
        "finkray_filter_sent_per_s",
        "finkray_filter_latency_p95_s",
        "finkray_filter_behind_s",
        "finkray_filter_rests",
        "finkray_filter_group_lag",
    }


def test_a_snapshot_of_the_archive_sets_each_gauge() -> None:
    samples = {gauge.name: list(gauge.samples(ARCHIVE)) for gauge in ARCHIVE_GAUGES}
    single = {name: values[0].value for name, values in samples.items() if len(values) == 1}
    assert single["finkray_lag"] == 7
    assert single["finkray_archived"] == 8
    assert single["finkray_difference"] == 1
    assert single["finkray_alarms"] == 1
    assert [tuple(sample.tags.values()) for sample in samples["finkray_latency_s"]] == [
        ("durable", "0.5"),
        ("durable", "0.95"),
        ("durable", "0.99"),
    ]
    assert all(samples.values())


def test_a_snapshot_of_a_service_sets_each_gauge_with_its_name() -> None:
    samples = {gauge.name: list(gauge.samples(SERVICE)) for gauge in SERVICE_GAUGES}
    assert {sample.tags["service"] for values in samples.values() for sample in values} == {
        "crossmatch"
    }
    values = {name: sample.value for name, (sample,) in samples.items()}
    assert values["finkray_service_waiting"] == 3
    assert values["finkray_service_breaker_open"] == 1
    assert values["finkray_service_errors"] == 2


def test_a_snapshot_of_streaming_out_sets_each_gauge_for_each_filter_and_group() -> None:
    snapshot = STREAMOUT["FILTER_RESTS"]
    samples = {gauge.name: list(gauge.samples(snapshot)) for gauge in STREAMOUT_GAUGES}
    rests = {sample.tags["filter"]: sample.value for sample in samples["finkray_filter_rests"]}
    assert rests == {"bright": 0, "broken": 1}
    assert [tuple(sample) for sample in samples["finkray_filter_group_lag"]] == [
        (7, {"group": "alice", "topic": "bright_alerts"})
    ]
    assert all(samples.values())


def test_samples_have_the_tags_that_their_gauge_declares() -> None:
    for gauge in ARCHIVE_GAUGES:
        assert {tuple(sample.tags) for sample in gauge.samples(ARCHIVE)} == {gauge.tag_keys}
    for service_gauge in SERVICE_GAUGES:
        tags = {tuple(sample.tags) for sample in service_gauge.samples(SERVICE)}
        assert tags == {service_gauge.tag_keys}
    for gauge_of_filters in STREAMOUT_GAUGES:
        samples = gauge_of_filters.samples(STREAMOUT["FILTER_RESTS"])
        assert {tuple(sample.tags) for sample in samples} == {gauge_of_filters.tag_keys}


def test_a_board_can_be_sent_to_its_actor() -> None:
    assert pickle.loads(pickle.dumps(ARCHIVE_BOARD)).name == "finkray-archive-board"
    assert pickle.loads(pickle.dumps(service_board("bright"))).name == (
        "finkray-service-bright-board"
    )
