"""The typed snapshot, put together from what the driver knows."""

from datetime import UTC, datetime

import finkray
from finkray.claim import TopicPartition
from finkray.driver.alarm_facts import AlarmFactsCollector
from finkray.driver.archiver import Archiver
from finkray.ledger.log import Ledger
from finkray.monitor.clock import now
from finkray.monitor.figures import Monitor
from finkray.monitor.watch import alarms_of
from finkray.settings.model import Settings
from finkray.status.archive import ActorStatus, BalanceSheet, PartitionStatus, Snapshot


def make_snapshot(
    settings: Settings,
    archiver: Archiver,
    ledger: Ledger,
    monitor: Monitor,
    alarm_facts: AlarmFactsCollector,
) -> Snapshot:
    """The archive's state now; also brings the monitor's curves and alarms up to date."""
    at = now()
    coordinator = archiver.coordinator
    frontiers = coordinator.frontiers | coordinator.live_frontiers
    backlogs = coordinator.backlogs
    ends: dict[TopicPartition, int] = {}
    for report in archiver.reports.values():
        ends.update(report.high_watermarks)
    lag = sum(max(0, ends.get(source, 0) - offset) for source, offset in frontiers.items())
    backlog = sum(backlogs.values())
    monitor.tick(lag, at)
    totals = ledger.totals()
    balance = BalanceSheet(
        received=totals.received,
        archived=totals.archived,
        dead_lettered=totals.dead_lettered,
        expired=totals.expired,
        not_delivered=totals.not_delivered,
        waiting=lag + backlog,
    )
    monitor.raise_alarms(alarms_of(alarm_facts.look(archiver, ledger, monitor, at)), at)
    incoming, incoming_bytes, archived = monitor.rates()
    names = archiver.ingest_actors.names
    readers = coordinator.readers
    return Snapshot(
        version=finkray.__version__,
        state=archiver.state,
        started_at=alarm_facts.started_at,
        at=datetime.fromtimestamp(at.wall_s, UTC),
        archive_uri=settings.archive.uri,
        bootstrap_servers=settings.kafka.bootstrap_servers,
        epoch=ledger.epoch,
        incoming_per_s=incoming,
        incoming_bytes_per_s=incoming_bytes,
        archived_per_s=archived,
        lag=lag,
        backlog=backlog,
        held_bytes=sum(report.held_bytes for report in archiver.reports.values()),
        held_bytes_limit=archiver.ingest_actors.budget.limit_bytes * len(names),
        balance=balance,
        micro_batch=monitor.micro_batches(),
        latency=monitor.latency(),
        visits=monitor.visits.latest(coordinator.on_their_way),
        dead_letters_by_reason=dict(ledger.state.dead_letters_by_reason),
        partitions=tuple(
            PartitionStatus(
                topic=source.topic,
                partition=source.partition,
                actor=names[readers[source]],
                frontier=offset,
                high_watermark=ends.get(source, -1),
                backlog=backlogs[source],
            )
            for source, offset in sorted(frontiers.items())
        ),
        actors=tuple(
            ActorStatus(
                name=names[index],
                node_id=report.node_id,
                pid=report.pid,
                held_bytes=report.held_bytes,
                held_bytes_limit=archiver.ingest_actors.budget.limit_bytes,
                claims_held=report.claims_held,
                paused=report.paused,
                restarts=archiver.restarts[index],
            )
            for index, report in sorted(archiver.reports.items())
        ),
        alarms=monitor.alarms,
        history=monitor.history(at),
    )
