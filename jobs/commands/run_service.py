"""`finkray run`: run a service over the archive, with progress on the terminal."""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from finkray.errors import ClusterUnavailable, SettingsError
from finkray.host.interrupt import stop_on_interrupt
from finkray.results.backlog import AlertSelection
from finkray.results.store import store_folder
from finkray.serving.actor import actor_maker
from finkray.serving.run import (
    MakeHost,
    Run,
    count_selected,
    default_workers,
    limits_of,
    run_over,
    spec_of,
)
from finkray.status.service import ServiceSnapshot
from finkray.storage.hours import Span, utc
from finkray.storage.opening import absolute
from jobs.cluster.archive import archive_of
from jobs.cluster.connect import WorkerLocation, connected, is_on_this_machine

if TYPE_CHECKING:
    from jobs.commands.context import CommandContext

EVERYTHING = AlertSelection(from_seq=0)


@dataclass(frozen=True, slots=True)
class RunResult:
    """Result of a run.

    Attributes
    ----------
    snapshot
        the last snapshot of the run
    folder
        of the results, below the folder of the archive
    stopped
        whether Ctrl-C ended it before all was done
    location
        location of the workers
    """

    snapshot: ServiceSnapshot
    folder: str
    stopped: bool
    location: WorkerLocation

    def to_json(self) -> dict[str, Any]:
        """Return the result as `finkray run --json` prints it."""
        return {
            "folder": self.folder,
            "complete": not self.stopped,
            "on": str(self.location),
            **self.snapshot.model_dump(mode="json", exclude={"state", "at"}),
        }


def selected_alerts(begins: str | None, ends: str | None) -> AlertSelection:
    """Return the alerts that `--from` and `--to` select.

    Raises
    ------
    SettingsError
        One of them is not a time, or the end is not after the beginning.
    """
    if begins is None and ends is None:
        return EVERYTHING
    try:
        span = Span(None if begins is None else utc(begins), None if ends is None else utc(ends))
    except ValueError as error:
        raise SettingsError(f"--from, --to: {error}") from error
    if span.start and span.end and span.start >= span.end:
        raise SettingsError(f"--to {ends} is not after --from {begins}")
    return AlertSelection(span=span)


def run_service(
    context: "CommandContext",
    name: str,
    selection: AlertSelection,
    *,
    into: str | None = None,
    workers: int | None = None,
    location: WorkerLocation | None = None,
) -> RunResult:
    """Run a service over a part of the archive; after Ctrl-C it finishes its batches.

    Parameters
    ----------
    context
        Context of the command.
    name
        The service, as `module:Name`.
    selection
        The alerts to process.
    into
        Name of the results; None: the service's own.
    workers
        Number of workers; None: a process for each core here, on Ray as many as are needed.
    location
        Location of the workers; None: on Ray if there is a cluster, else here.

    Raises
    ------
    SettingsError
        There is no archive.
    ClusterUnavailable
        `location` is Ray, and there is no cluster.
    ServiceError
        The service cannot be loaded, or fails on everything.
    """
    settings = context.settings
    archive = archive_of(settings)
    run = Run(archive, spec_of(name), settings, into)
    with _workers(context, run, workers, location) as pool:
        total = count_selected(archive, selection)
        with (
            _shown(f"{name} on {pool.description}", total) as report,
            stop_on_interrupt() as stopping,
        ):
            snapshot = run_over(
                run,
                selection,
                pool.workers,
                on_snapshot=report,
                stopping=stopping,
                make_host=pool.make_host,
            )
    folder = store_folder(snapshot.name, snapshot.version)
    return RunResult(snapshot, folder, stopping.is_set(), pool.location)


@dataclass(frozen=True, slots=True)
class _Workers:
    """Location and number of workers, the function that makes them, and a description."""

    location: WorkerLocation
    workers: int | None
    make_host: MakeHost | None
    description: str


@contextlib.contextmanager
def _workers(
    context: "CommandContext", run: Run, workers: int | None, location: WorkerLocation | None
) -> Iterator[_Workers]:
    cluster = None if location is WorkerLocation.LOCAL else context.cluster()
    if cluster is None or not is_on_this_machine(cluster):
        if location is WorkerLocation.RAY:
            raise ClusterUnavailable(
                "no Ray cluster has its head on this machine: start one with `finkray start`, name "
                "one in RAY_ADDRESS, or use --on local"
            )
        count = workers or default_workers()
        yield _Workers(WorkerLocation.LOCAL, count, None, f"{count} processes of this machine")
        return
    services = context.settings.services
    limits = limits_of(run.settings)
    with connected(cluster, context.settings.ray, ships_code=True):
        make_host = actor_maker(
            run.spec,
            limits,
            services,
            name=f"run-{secrets.token_hex(3)}",
            archive=absolute(context.settings.archive),
        )
        number = workers or f"{services.min_actors} to {services.max_actors}"
        description = f"{number} actors of Ray at {cluster.address}"
        yield _Workers(WorkerLocation.RAY, workers, make_host, description)


@contextlib.contextmanager
def _shown(name: str, total: int) -> Iterator[Callable[[ServiceSnapshot], None]]:
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.print(f"{name} over {total} alerts …", markup=False)
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=total, more="")

        def report(snapshot: ServiceSnapshot) -> None:
            errors = snapshot.by_status.get("error", 0)
            more = f"{snapshot.alerts_per_s:.0f} alerts/s"
            more += f", {errors} errors" if errors else ""
            if snapshot.breaker != "closed":
                more += f", pauses: {snapshot.last_fault}"
            progress.update(task, completed=snapshot.results, more=more)

        yield report


def run_text(result: RunResult) -> Iterator[str]:
    """Yield the result of a run as lines of text."""
    snapshot = result.snapshot
    written = sum(snapshot.by_status.values())
    by_status = ", ".join(f"{count} {status}" for status, count in snapshot.by_status.items())
    yield f"{snapshot.service} {snapshot.version}: {written} alerts" + (
        f" ({by_status})" if by_status else "; there was nothing to do"
    )
    yield f"results: {result.folder}, {snapshot.results} rows in all"
    if snapshot.waiting_for_inputs:
        yield f"{snapshot.waiting_for_inputs} alerts wait for results of other services"
    if snapshot.faults:
        faults = ", ".join(f"{count} {fault}" for fault, count in snapshot.faults.items())
        yield f"batches without an answer: {faults}; the last: {snapshot.last_fault}"
    if result.stopped:
        yield "stopped before the end; the same command continues from there"
