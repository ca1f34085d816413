"""Run one process of the archive: connect, take over, recover, archive, drain, end.

Taking over fences an archive that sleeps (a paused process, a suspended machine), so it comes after
everything that may refuse this process: the lease, if it is visibly held; Ray; and the name of the
status board, which a sleeping archive on the same Ray still has. A process that cannot serve leaves
the sleeping one as it is.
"""

import functools
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import finkray
from finkray.driver.alarm_facts import AlarmFactsCollector
from finkray.driver.archiver import Archiver
from finkray.driver.archiver_view import ArchiverView
from finkray.driver.cluster_room import refuse_too_small
from finkray.driver.snapshot import make_snapshot
from finkray.errors import Fenced, StorageError
from finkray.host.ray_connection import connect_to_ray
from finkray.host.signals import handle_signals
from finkray.host.time_limit import returns_within
from finkray.kafka.consumer import refuse_wrong_options
from finkray.ledger.identity import IDENTITY_PATH, raise_bounds, read_identity, refuse_if_gone
from finkray.ledger.lease import Lease, refuse_if_held
from finkray.ledger.log import Ledger
from finkray.ledger.publish import recover
from finkray.monitor.alarm_rules import alarms_of
from finkray.monitor.clock import now
from finkray.monitor.figures import Monitor
from finkray.packets.decoder import make_decoder
from finkray.settings.model import Settings
from finkray.status.board import ARCHIVE_BOARD, start_board
from finkray.storage.contract import Storage
from finkray.storage.opening import open_storage

RECORD_END_S = 5.0
"""How long an archive that has drained may take to record its end, which nothing depends on."""

log = logging.getLogger(__name__)


def run_archive(settings: Settings, exit_after_s: float | None = None) -> None:
    """Archive until SIGINT or SIGTERM, or until `exit_after_s` has passed; then drain.

    Raises
    ------
    ArchiveHeld
        if another archive is alive on the folder
    ClusterUnavailable
        if another archive on the same Ray has the name of the board, or Ray has no room; nothing
        was taken over
    SettingsError
        if the archive is new, and its storage does not keep what an archive rests on
    LedgerCorrupt
        if the folder is that of another archive than `archive.id`
    FinkrayError
        a retriable one if a fresh process is likely to do better
    """
    stopping = threading.Event()
    handle_signals(stopping)
    # What is wrong in the settings is reported here, and not later by an actor.
    refuse_wrong_options(settings.kafka.client_config())
    make_decoder(settings.packets, int(settings.kafka.max_message_bytes), {})
    storage = open_storage(settings.archive)
    if settings.archive.id:
        refuse_if_gone(storage, settings.archive.id)
    refuse_if_held(storage)
    if read_identity(storage) is None:
        storage.refuse_unfit()
    with (
        _board_on_ray(settings) as board,
        Lease.acquire(storage, ttl_s=settings.archive.lease_ttl_s) as lease,
    ):
        handle_signals(stopping)  # Ray has installed handlers of its own
        ledger = Ledger.take_over(storage, lease)
        recover(ledger, storage)
        monitor, started = Monitor(), now()
        alarm_facts = AlarmFactsCollector(settings, storage, lease, started)
        ends_s = None if exit_after_s is None else time.monotonic() + exit_after_s

        def on_tick(view: ArchiverView) -> None:
            if lease.lost:
                raise Fenced("another archive has taken over the lease of this one")
            if ends_s is not None and time.monotonic() >= ends_s:
                stopping.set()
            at = now()
            monitor.tick(view.lag, at)
            facts = alarm_facts.collect(view, ledger, monitor, at)
            monitor.raised.update(alarms_of(facts), at)
            snapshot = make_snapshot(settings, view, ledger, monitor, started=started, at=at)
            board.publish.remote(snapshot.model_dump_json())
            ledger.compact()

        Archiver(settings, storage, ledger, monitor, on_tick).run(stopping)
        _record_end(storage, ledger)
    log.info("archive has drained and stopped")


def _record_end(storage: Storage, ledger: Ledger) -> None:
    """Record the last entry's number, so that a start recognises an older copy of the ledger."""
    record = functools.partial(
        raise_bounds, storage, ledger.archive_id, ledger.epoch, ledger.state.last_seq
    )
    try:
        if returns_within(record, RECORD_END_S):
            return
        reason = f"the storage has not answered for {RECORD_END_S:g} s"
    except StorageError as error:
        reason = str(error)
    log.warning("the end of the ledger is not recorded in %s: %s", IDENTITY_PATH, reason)


@contextmanager
def _board_on_ray(settings: Settings) -> Iterator[Any]:
    """Connect to Ray and yield the archive's board; end both at the end."""
    import ray

    _connect(settings)
    try:
        board = start_board(ARCHIVE_BOARD)
        try:
            yield board
        finally:
            ray.kill(board)
    finally:
        ray.shutdown()


def _connect(settings: Settings) -> None:
    import ray

    connect_to_ray(settings.ray.address, settings.ray.namespace)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    refuse_too_small(nodes, settings.ingest, settings.spark)
    log.info(
        "archive runs finkray %s on Ray at %s",
        finkray.__version__,
        ray.get_runtime_context().gcs_address,
    )
