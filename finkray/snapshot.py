"""The typed snapshot, put together from what the driver knows."""

from collections.abc import Mapping
from datetime import UTC, datetime

import finkray
from finkray.archiver import Archiver
from finkray.claim import TopicPartition
from finkray.ledger import Ledger
from finkray.monitor import Monitor
from finkray.schema_lookup import WAIT_FOR_A_SCHEMA
from finkray.settings import Settings
from finkray.status import ActorStatus, BalanceSheet, PartitionStatus, Snapshot


def make_snapshot(
    settings: Settings, archiver: Archiver, ledger: Ledger, monitor: Monitor, started_at: datetime
) -> Snapshot:
    """The archive's state now; also brings the monitor's curves and standing alarms up to date."""
    frontiers = archiver.coordinator.frontiers
    ends: dict[TopicPartition, int] = {}
    for report in archiver.reports.values():
        ends.update(report.high_watermarks)
    waiting = sum(max(0, ends.get(source, 0) - offset) for source, offset in frontiers.items())
    monitor.tick(waiting, datetime.now(UTC).timestamp())
    totals = ledger.totals()
    balance = BalanceSheet(
        received=totals.received,
        archived=totals.archived,
        dead_lettered=totals.dead_lettered,
        expired=totals.expired,
        not_delivered=totals.not_delivered,
        waiting=waiting,
    )
    _raise_standing_alarms(archiver, monitor, balance, ledger.state.dead_letters_by_reason)
    incoming, incoming_bytes, archived = monitor.rates()
    names = archiver.fleet.names
    readers = archiver.coordinator.readers
    return Snapshot(
        version=finkray.__version__,
        state=archiver.state,
        started_at=started_at,
        at=datetime.now(UTC),
        archive_uri=settings.archive.uri,
        bootstrap_servers=settings.kafka.bootstrap_servers,
        epoch=ledger.epoch,
        incoming_per_s=incoming,
        incoming_bytes_per_s=incoming_bytes,
        archived_per_s=archived,
        lag=waiting,
        held_bytes=sum(report.held_bytes for report in archiver.reports.values()),
        held_bytes_limit=archiver.fleet.budget.limit_bytes * len(names),
        balance=balance,
        micro_batch=monitor.micro_batches(),
        latency=monitor.latency(),
        dead_letters_by_reason=dict(ledger.state.dead_letters_by_reason),
        partitions=tuple(
            PartitionStatus(
                topic=source.topic,
                partition=source.partition,
                actor=names[readers[source]],
                frontier=offset,
                high_watermark=ends.get(source, -1),
            )
            for source, offset in sorted(frontiers.items())
        ),
        actors=tuple(
            ActorStatus(
                name=names[index],
                node_id=report.node_id,
                pid=report.pid,
                held_bytes=report.held_bytes,
                held_bytes_limit=archiver.fleet.budget.limit_bytes,
                claims_held=report.claims_held,
                paused=report.paused,
                restarts=archiver.restarts[index],
            )
            for index, report in sorted(archiver.reports.items())
        ),
        alarms=monitor.alarms,
        history=monitor.history,
    )


def _raise_standing_alarms(
    archiver: Archiver,
    monitor: Monitor,
    balance: BalanceSheet,
    dead_letters_by_reason: Mapping[str, int],
) -> None:
    """Alarms that follow from the state itself, and end with it."""
    waiting = sum(dead_letters_by_reason.get(reason, 0) for reason in WAIT_FOR_A_SCHEMA)
    down = {archiver.fleet.names[i]: one.why for i, one in dict(archiver.fleet.down).items()}
    standing = {
        "ACTOR_DOWN": "; ".join(f"{name}: {why}" for name, why in down.items()),
        "DIFFERENCE": f"{balance.difference} offsets" if balance.difference else "",
        "UNKNOWN_SCHEMA": f"{waiting} packets are dead letters for want of it" if waiting else "",
    }
    troubles = {report.trouble for report in archiver.reports.values() if report.trouble}
    if troubles:
        standing["KAFKA_UNREACHABLE"] = "; ".join(sorted(troubles))
    for code, message in standing.items():
        if message:
            monitor.alarm(code, message)
        else:
            monitor.clear(code)
