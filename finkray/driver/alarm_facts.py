"""Gathers, tick by tick, the facts that alarms follow from (`finkray.monitor.watch`)."""

import time
from datetime import UTC, datetime

from finkray.driver.archiver import Archiver
from finkray.ledger.lease import Lease
from finkray.ledger.log import Ledger
from finkray.monitor.clock import JumpWatch, Moment
from finkray.monitor.figures import Monitor
from finkray.monitor.watch import Facts
from finkray.settings.model import Settings
from finkray.status.archive import Stage
from finkray.storage.contract import Storage

_POLLED: Stage = "polled"


class AlarmFactsCollector:
    """Remembers what must be remembered between two ticks; decides nothing. Made at the start.

    Parameters
    ----------
    settings
        all settings
    storage
        of the archive
    lease
        that this run holds
    """

    def __init__(self, settings: Settings, storage: Storage, lease: Lease) -> None:
        self._settings = settings
        self._storage = storage
        self._lease = lease
        self._started_s = time.monotonic()
        self.started_at = datetime.now(UTC)
        self._jumps = JumpWatch()

    def look(self, archiver: Archiver, ledger: Ledger, monitor: Monitor, at: Moment) -> Facts:
        """The facts as they are at this moment."""
        names = archiver.ingest_actors.names
        reports = archiver.reports
        polled = next((one.p50_s for one in monitor.latency() if one.stage == _POLLED), 0.0)
        starting = archiver.state == "starting"
        return Facts(
            troubles=archiver.troubles,
            monotonic_s=at.monotonic_s,
            actor_troubles={names[i]: one.trouble for i, one in reports.items() if one.trouble},
            actors_down={
                names[i]: down.why for i, down in dict(archiver.ingest_actors.down).items()
            },
            stalled_s={names[i]: monitor.stalled_s(one, at) for i, one in reports.items()},
            difference=ledger.totals().difference,
            dead_letters_by_reason=ledger.state.dead_letters_by_reason,
            starting_s=at.monotonic_s - self._started_s if starting else 0.0,
            lease_silent_s=self._lease.silent_s(at.monotonic_s),
            lease_ttl_s=self._lease.record.ttl_s,
            free_bytes=self._storage.free_bytes(),
            low_disk_bytes=self._settings.archive.low_disk_bytes,
            clock_jumped_s=self._jumps.look(at),
            polled_p50_s=polled,
            lags=monitor.lags,
        )
