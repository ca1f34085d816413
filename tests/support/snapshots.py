"""A snapshot of an archive in a busy night, as of any second of it."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from finkray.status.archive import (
    ActorStatus,
    BalanceSheet,
    MicroBatchStatus,
    PartitionStatus,
    PastAlarm,
    RatePoint,
    Snapshot,
    StageLatency,
    VisitStatus,
)
from finkray.status.streamout import FilterStatus, GroupLag, StreamoutSnapshot

NIGHT = datetime(2026, 11, 24, 3, 12, 45, tzinfo=UTC)
MIB = 1024 * 1024


def busy_night(at: datetime = NIGHT, **changes: Any) -> Snapshot:
    """Return the snapshot of a running, balanced archive; `changes` replace fields."""
    received = int(at.timestamp())
    history = tuple(_rates(at - timedelta(seconds=5 * back), back) for back in range(240, -1, -1))
    facts: dict[str, Any] = {
        "version": "0.1.0",
        "state": "running",
        "started_at": at - timedelta(hours=4, minutes=12),
        "at": at,
        "archive_uri": "/data/ztf/archive",
        "bootstrap_servers": "kafka-1.example.org:9092,kafka-2.example.org:9092",
        "epoch": 7,
        "incoming_per_s": history[-1].incoming_per_s,
        "incoming_bytes_per_s": history[-1].incoming_per_s * 66_000,
        "archived_per_s": history[-1].archived_per_s,
        "lag": history[-1].lag,
        "backlog": 4200,
        "held_bytes": 310 * MIB,
        "held_bytes_limit": 512 * MIB,
        "balance": BalanceSheet(
            received=received,
            archived=received - 61,
            dead_lettered=17,
            expired=40,
            not_delivered=4,
            waiting=history[-1].lag,
        ),
        "micro_batch": MicroBatchStatus(
            batches=4210,
            last_claims=8,
            last_rows=3904,
            last_duration_s=1.31,
            p50_duration_s=1.22,
            p95_duration_s=2.4,
        ),
        "latency": (
            StageLatency(stage="polled", alerts=90_000, p50_s=0.041, p95_s=0.24, p99_s=0.61),
            StageLatency(stage="decoded", alerts=90_000, p50_s=0.52, p95_s=1.1, p99_s=1.9),
            StageLatency(stage="durable", alerts=88_400, p50_s=2.4, p95_s=4.9, p99_s=12.0),
        ),
        "visits": tuple(_visit(at, index) for index in range(20)),
        "dead_letters_by_reason": {
            "not an Avro container: the first bytes are 7b 22": 3,
            "union index out of range": 14,
        },
        "partitions": tuple(_partition(index) for index in range(8)),
        "actors": (
            _actor("ingest-0", 228 * MIB, paused=False),
            _actor("ingest-1", 251 * MIB, paused=True),
        ),
        "past_alarms": (
            PastAlarm(
                code="KAFKA_UNREACHABLE",
                since=at - timedelta(hours=2),
                until=at - timedelta(hours=2) + timedelta(seconds=42),
                message="no broker answers in time",
            ),
        ),
        "history": history,
    }
    return Snapshot(**(facts | changes))


def _rates(at: datetime, back: int) -> RatePoint:
    incoming = 620 + 420 * math.sin(back / 17) + 90 * math.sin(back / 3)
    archived = 620 + 400 * math.sin((back + 3) / 17)
    return RatePoint(at=at, incoming_per_s=incoming, archived_per_s=archived, lag=2000 + 7 * back)


def _visit(at: datetime, index: int) -> VisitStatus:
    first = at - timedelta(seconds=4 + 37 * index)
    return VisitStatus(
        survey="lsst",
        visit=2026112400512 - index,
        alerts=9_800 + 13 * index,
        waiting=0 if index else 412,
        detectors=189,
        first_arrival=first,
        last_arrival=first + timedelta(seconds=2.2),
        durable_s=None if index == 0 else 3.1,
    )


def _partition(index: int) -> PartitionStatus:
    return PartitionStatus(
        topic="ztf_20261124_programid1",
        partition=index,
        actor=f"ingest-{index % 2}" if index < 7 else None,
        frontier=150_000 + index,
        high_watermark=150_000 + 300 * index if index != 2 else -1,
        backlog=4200 if index == 3 else 0,
    )


def _actor(name: str, held_bytes: int, *, paused: bool) -> ActorStatus:
    return ActorStatus(
        name=name,
        node_id="9f3c2b7a" * 7,
        pid=4711,
        held_bytes=held_bytes,
        held_bytes_limit=256 * MIB,
        claims_held=9,
        paused=paused,
        restarts=0 if name == "ingest-0" else 2,
    )


FILTER = FilterStatus(
    name="bright",
    version="3f",
    topic="bright_alerts",
    state="active",
    alerts=1000,
    passed=20,
    sent=20,
    sent_per_s=0.5,
    latency_p50_s=0.3,
    latency_p95_s=0.6,
)
"""A filter that is well."""


def streamout(filters: tuple[FilterStatus, ...], silent_s: float = 0.0) -> StreamoutSnapshot:
    """A snapshot of streaming out at `NIGHT`."""
    return StreamoutSnapshot(
        instance="main",
        started_at=NIGHT - timedelta(hours=1),
        at=NIGHT - timedelta(seconds=silent_s),
        filters=filters,
        groups=(GroupLag(group="alice", topic="bright_alerts", lag=7),),
    )


def _filter(**changes: Any) -> FilterStatus:
    return FILTER.model_copy(update=changes)


STREAMOUT = {
    "STREAMOUT_SILENT": streamout((), silent_s=95),
    "STREAMOUT_STOPPED": streamout(()).model_copy(update={"problem": "no broker answers"}),
    "STREAMOUT_BEHIND": streamout((_filter(behind_s=61.0), _filter(name="faint", behind_s=60.5))),
    "FILTER_RESTS": streamout(
        (FILTER, _filter(name="broken", fault="died: its process ended", behind_s=90.0))
    ),
    "FILTER_REFUSED": streamout((FILTER, _filter(name="whole", refused=40, refused_lately=17))),
}
"""Snapshots from which each alarm of streaming out follows, by its code."""
