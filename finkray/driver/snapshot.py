"""Make the archive's typed snapshot from what the driver knows. Pure: it changes nothing."""

import finkray
from finkray.driver.archiver_view import ArchiverView
from finkray.ledger.log import Ledger
from finkray.monitor.clock import Moment, dated_again, utc_of
from finkray.monitor.figures import Monitor
from finkray.settings.model import Settings
from finkray.status.archive import ActorStatus, BalanceSheet, PartitionStatus, Snapshot


def make_snapshot(
    settings: Settings,
    view: ArchiverView,
    ledger: Ledger,
    monitor: Monitor,
    *,
    started: Moment,
    at: Moment,
) -> Snapshot:
    """Return the state of the archive at this moment.

    Parameters
    ----------
    settings
        all settings
    view
        what the driver's loop knows
    ledger
        of the archive
    monitor
        the figures, brought up to date before
    started
        when the archive started
    at
        the present moment
    """
    totals = ledger.totals()
    incoming_per_s, incoming_bytes_per_s, archived_per_s = monitor.rates()
    return Snapshot(
        version=finkray.__version__,
        state=view.state,
        started_at=utc_of(dated_again(started, at)),
        at=utc_of(at),
        archive_uri=settings.archive.uri,
        bootstrap_servers=settings.kafka.bootstrap_servers,
        epoch=ledger.epoch,
        incoming_per_s=incoming_per_s,
        incoming_bytes_per_s=incoming_bytes_per_s,
        archived_per_s=archived_per_s,
        lag=view.lag,
        backlog=view.backlog,
        held_bytes=sum(report.held_bytes for report in view.reports.values()),
        held_bytes_limit=view.held_bytes_limit * len(view.actor_names),
        balance=BalanceSheet(
            received=totals.received,
            archived=totals.archived,
            dead_lettered=totals.dead_lettered,
            expired=totals.expired,
            not_delivered=totals.not_delivered,
            unreadable=totals.unreadable,
            waiting=view.lag + view.backlog,
        ),
        micro_batch=monitor.micro_batches(),
        latency=monitor.latency(),
        visits=monitor.visits.latest(view.uncommitted),
        dead_letters_by_reason=dict(ledger.state.dead_letters_by_reason),
        partitions=_partitions(view),
        actors=_actors(view),
        alarms=monitor.raised.current,
        past_alarms=monitor.raised.past,
        history=monitor.history(at),
    )


def _partitions(view: ArchiverView) -> tuple[PartitionStatus, ...]:
    return tuple(
        PartitionStatus(
            topic=source.topic,
            partition=source.partition,
            actor=view.actor_names[view.readers[source]],
            frontier=offset,
            high_watermark=view.high_watermarks.get(source, -1),
            backlog=view.backlogs[source],
        )
        for source, offset in sorted(view.frontiers.items())
    )


def _actors(view: ArchiverView) -> tuple[ActorStatus, ...]:
    return tuple(
        ActorStatus(
            name=view.actor_names[index],
            node_id=report.node_id,
            pid=report.pid,
            held_bytes=report.held_bytes,
            held_bytes_limit=view.held_bytes_limit,
            claims_held=report.claims_held,
            paused=report.paused,
            restarts=view.restarts.get(index, 0),
        )
        for index, report in sorted(view.reports.items())
    )
