"""Run a service over a span of the archive, or live, with workers on Ray or on this machine."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from finkray.claim import DataFile
from finkray.errors import ServiceError
from finkray.ledger.claims import read_claims
from finkray.monitor.clock import now
from finkray.outliers.location import shared_table
from finkray.results.backlog import AlertSelection, Backlog, ClaimWork, live_from
from finkray.results.inputs import open_inputs
from finkray.results.writer import open_store
from finkray.services.messages import GivenSettings, Limits, Spec
from finkray.services.service import Described, check_results_name
from finkray.serving.dispatcher import DispatcherSettings
from finkray.serving.monitor import ServiceMonitor
from finkray.serving.pool import Host, Pool
from finkray.serving.scale import ScaleSettings
from finkray.serving.server import Server, ServeSettings
from finkray.serving.sink import OpenSink, Sink
from finkray.serving.worker import Worker
from finkray.settings.model import Settings
from finkray.settings.services import ServiceSettings
from finkray.status.archive import State
from finkray.status.service import ServiceSnapshot, utc_now
from finkray.storage.contract import Storage

log = logging.getLogger(__name__)

MakeHost = Callable[[int], Host]


@dataclass(frozen=True, slots=True)
class Run:
    """A service to run, with its settings, its archive and the name of its results.

    Attributes
    ----------
    archive
        where the alerts are
    spec
        the service
    settings
        all settings
    into
        name of the results; None: the service's own
    about
        what the service declares; None: a child process is started to ask the service
    open_sink
        opens what keeps the results; by default the results beside the archive
    """

    archive: Storage
    spec: Spec
    settings: Settings
    into: str | None = None
    about: Described | None = None
    open_sink: OpenSink = open_store

    def __post_init__(self) -> None:
        """Check the name of the results."""
        if self.into is not None:
            check_results_name(self.into)


def limits_of(settings: Settings) -> Limits:
    """Return the limits of a service's process, and the settings that it may get."""
    services = settings.services
    return Limits(
        start_s=services.start_s,
        batch_s=services.batch_s,
        memory_bytes=int(services.memory_bytes),
        recycle_batches=services.recycle_batches,
        nice=services.nice,
        pass_env=tuple(services.pass_env),
        settings=GivenSettings(
            own=services.own_tables(),
            shared={
                "catalogs": settings.catalogs.with_absolute_folder().model_dump(mode="json"),
                "outliers": shared_table(settings),
            },
        ),
    )


def spec_of(name: str, folder: Path | None = None) -> Spec:
    """Return the service that a command names; its module may be in a folder, by default here."""
    return Spec(name, str((folder or Path.cwd()).absolute()))


def run_over(
    run: Run,
    selection: AlertSelection,
    workers: int | None,
    *,
    on_snapshot: Callable[[ServiceSnapshot], None],
    stopping: threading.Event,
    make_host: MakeHost | None = None,
) -> ServiceSnapshot:
    """Process the selected alerts of an archive, and return the last snapshot.

    Alerts that have a result are not processed again, so a run that was interrupted continues.

    Parameters
    ----------
    run, selection
        the service, and the alerts
    workers
        number of workers; None: as many as the waiting alerts need, within the settings' bounds
    on_snapshot
        called with a snapshot each second
    stopping
        ends the run in good order
    make_host
        makes workers; by default processes of this machine

    Raises
    ------
    ServiceError
        if the service cannot be loaded, the results that it reads are not there, or no alert
        could be answered
    ArchiveHeld
        if another process writes these results
    """
    about = run.about or Worker(run.spec, limits_of(run.settings), run.archive).describe()
    bounds = {} if workers is None else {"min_actors": workers, "max_actors": workers}
    services = run.settings.services.model_copy(update=bounds)
    inputs = open_inputs(run.archive, about, run.into or about.name)
    with _opened(run, about) as sink:
        backlog = Backlog(
            run.archive, sink.storage, sink.covered, selection, whole=False, inputs=inputs
        )
        snapshots = Snapshots(run, about, sink, "running")

        def on_tick(server: Server) -> None:
            sink.refuse_if_lost()
            on_snapshot(snapshots.make(server))
            _refuse_hopeless(server)

        server = _server(
            run,
            services,
            about=about,
            sink=sink,
            backlog=backlog,
            make_host=make_host,
            on_tick=on_tick,
        )
        server.run(stopping, until_done=True)
        return snapshots.make(server)


def run_live(
    run: Run,
    since: datetime | None,
    on_snapshot: Callable[[ServiceSnapshot], None],
    stopping: threading.Event,
    make_host: MakeHost | None = None,
) -> None:
    """Process alerts as they become durable until `stopping` is set, then drain.

    Parameters
    ----------
    run
        the service
    since
        at the first start: also alerts that arrived in Kafka from this time on
    on_snapshot
        called with a snapshot each second
    stopping
        ends the run
    make_host
        makes workers; by default processes of this machine

    Raises
    ------
    ServiceError
        if the service cannot be loaded, or the results that it reads are not there
    ArchiveHeld
        if another process writes these results
    """
    about = run.about or Worker(run.spec, limits_of(run.settings), run.archive).describe()
    inputs = open_inputs(run.archive, about, run.into or about.name)
    with _opened(run, about) as sink:
        selection = live_from(sink.storage, run.archive, since)
        backlog = Backlog(
            run.archive, sink.storage, sink.covered, selection, whole=True, inputs=inputs
        )
        snapshots = Snapshots(run, about, sink, "running")

        def on_tick(server: Server) -> None:
            sink.refuse_if_lost()
            on_snapshot(snapshots.make(server))

        server = _server(
            run,
            run.settings.services,
            about=about,
            sink=sink,
            backlog=backlog,
            make_host=make_host,
            on_tick=on_tick,
        )
        server.run(stopping)
        on_snapshot(snapshots.last("stopped"))


class Snapshots:
    """Makes the snapshots of a run.

    Parameters
    ----------
    run, about, sink
        the run, its service, and what keeps the results
    state
        the state in the snapshots while the server does not drain
    """

    def __init__(self, run: Run, about: Described, sink: Sink, state: State) -> None:
        self._run = run
        self._about = about
        self._sink = sink
        self._state: State = state
        self._started_at = utc_now()
        self._last: ServiceSnapshot | None = None

    def make(self, server: Server) -> ServiceSnapshot:
        """Return a snapshot of this moment."""
        about, dispatcher, monitor = self._about, server.dispatcher, server.monitor
        oldest = server.oldest
        self._last = ServiceSnapshot(
            name=self._run.into or about.name,
            service=about.name,
            version=about.version,
            spec=self._run.spec.name,
            state="draining" if server.draining else self._state,
            started_at=self._started_at,
            at=utc_now(),
            actors=dispatcher.workers,
            actors_wanted=server.wanted_workers,
            busy=len(dispatcher.busy),
            waiting=server.waiting_rows,
            waiting_more=server.more_waits,
            waiting_for_inputs=server.rows_without_inputs,
            behind_s=_age_s(oldest),
            by_status=dict(monitor.by_status),
            results=self._sink.rows,
            breaker=dispatcher.breaker,
            breaker_opened=dispatcher.opened,
            breaker_since=_utc_of(dispatcher.opened_s),
            last_fault=dispatcher.last_fault,
            faults=dict(monitor.faults),
            **monitor.figures(now()),
        )
        return self._last

    def last(self, state: State) -> ServiceSnapshot:
        """Return the last snapshot again, in another state."""
        assert self._last is not None  # noqa: S101 - a run makes one at its end
        return self._last.model_copy(update={"state": state, "at": utc_now()})


def _utc_of(monotonic_s: float | None) -> datetime | None:
    if monotonic_s is None:
        return None
    return utc_now() - timedelta(seconds=time.monotonic() - monotonic_s)


def count_selected(archive: Storage, selection: AlertSelection) -> int:
    """Return how many alerts of an archive are selected, by its ledger."""
    claims = read_claims(archive, ["seq", "files"])
    return sum(
        file["rows"]
        for seq, files in zip(claims["seq"].to_pylist(), claims["files"].to_pylist(), strict=True)
        for file in files
        if selection.includes(seq, DataFile.from_json(file))
    )


def _opened(run: Run, about: Described) -> contextlib.AbstractContextManager[Sink]:
    name = run.into or about.name
    ttl_s = run.settings.archive.lease_ttl_s
    return run.open_sink(run.archive, name, run.spec.name, about, ttl_s)


def _server(
    run: Run,
    settings: ServiceSettings,
    *,
    about: Described,
    sink: Sink,
    backlog: Backlog,
    make_host: MakeHost | None,
    on_tick: Callable[[Server], None],
) -> Server:
    limits = limits_of(run.settings)
    return Server(
        sink=sink,
        output=about.output,
        backlog=backlog,
        pool=Pool(make_host or (lambda _: Worker(run.spec, limits, run.archive))),
        settings=ServeSettings(_dispatcher(settings), _scale(settings)),
        monitor=ServiceMonitor(now()),
        on_tick=on_tick,
    )


def _dispatcher(settings: ServiceSettings) -> DispatcherSettings:
    return DispatcherSettings(
        batch_rows=settings.batch_rows,
        breaker_failures=settings.breaker_failures,
        breaker_rest_s=settings.breaker_rest_s,
        breaker_longest_rest_s=settings.breaker_longest_rest_s,
    )


def _scale(settings: ServiceSettings) -> ScaleSettings:
    return ScaleSettings(
        settings.min_actors, settings.max_actors, settings.target_s, settings.quiet_s
    )


def _refuse_hopeless(server: Server) -> None:
    """Raise ServiceError if every attempt failed: a run does not wait for the circuit breaker."""
    if server.dispatcher.breaker == "open" and not server.monitor.any_answered:
        raise ServiceError(
            f"the service fails on everything, last with {server.dispatcher.last_fault}: "
            "run `finkray service check` to see why"
        )


def _age_s(work: ClaimWork | None) -> float:
    return 0.0 if work is None else max(0.0, (utc_now() - work.committed_at).total_seconds())


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
