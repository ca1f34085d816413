"""Collect the facts that alarms follow from (`finkray.monitor.alarm_rules`), once a second."""

from finkray.driver.archiver_view import ArchiverView
from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from finkray.monitor.alarm_rules import Facts
from finkray.monitor.clock import JumpWatch, Moment
from finkray.monitor.figures import Monitor
from finkray.settings.model import Settings
from finkray.status.archive import Stage
from finkray.storage.contract import Storage

_POLLED: Stage = "polled"


class AlarmFactsCollector:
    """Collects the facts and remembers the clock's jumps; decides nothing.

    Parameters
    ----------
    settings
        all settings
    storage
        of the archive
    lease
        that this run holds
    started
        when the archive started
    """

    def __init__(self, settings: Settings, storage: Storage, lease: Lease, started: Moment) -> None:
        self._settings = settings
        self._storage = storage
        self._lease = lease
        self._started = started
        self._jumps = JumpWatch()

    def collect(self, view: ArchiverView, ledger: Ledger, monitor: Monitor, at: Moment) -> Facts:
        """Return the facts as they are at this moment."""
        names, reports = view.actor_names, view.reports
        polled_p50_s = next(
            (latency.p50_s for latency in monitor.latency() if latency.stage == _POLLED), 0.0
        )
        starting_s = at.monotonic_s - self._started.monotonic_s if view.state == "starting" else 0.0
        return Facts(
            troubles=view.troubles,
            monotonic_s=at.monotonic_s,
            actor_troubles={
                names[index]: report.trouble for index, report in reports.items() if report.trouble
            },
            actor_unreadable={
                names[index]: report.unreadable
                for index, report in reports.items()
                if report.unreadable
            },
            held_back_s={
                f"{names[index]}: {topic}": seconds
                for index, report in reports.items()
                for topic, seconds in report.held_back_s.items()
            },
            actors_down={names[index]: why for index, why in view.actors_down.items()},
            stalled_s={
                names[index]: monitor.stalled_s(report, at) for index, report in reports.items()
            },
            difference=ledger.totals().difference,
            dead_letters_by_reason=ledger.state.dead_letters_by_reason,
            starting_s=starting_s,
            lease_silent_s=self._lease.silent_s(at.monotonic_s),
            lease_ttl_s=self._lease.record.ttl_s,
            free_bytes=self._storage.free_bytes(),
            low_disk_bytes=self._settings.archive.low_disk_bytes,
            clock_jumped_s=self._jumps.check(at),
            polled_p50_s=polled_p50_s,
            lags=monitor.lags,
        )
