"""`finkray run`: a service over the archive, with progress on the terminal."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from finkray.errors import SettingsError
from finkray.science.counts import ClassCounts, classified_stores, read_counts
from finkray.science.source import Wanted
from finkray.science.store import store_folder
from finkray.serving.run import Run, count_wanted, default_workers, run_over, spec_of
from finkray.serving.status import ServiceSnapshot
from finkray.settings.model import Settings
from finkray.storage.hours import Span, utc
from finkray.storage.local import LocalStorage

EVERYTHING = Wanted(from_seq=0)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run did.

    Attributes
    ----------
    snapshot
        the last one
    folder
        of the results, from the archive's
    stopped
        whether Ctrl-C ended it before all was done
    """

    snapshot: ServiceSnapshot
    folder: str
    stopped: bool

    def to_json(self) -> dict[str, Any]:
        """As `finkray run --json` prints it."""
        return {
            "folder": self.folder,
            "complete": not self.stopped,
            **self.snapshot.model_dump(mode="json", exclude={"state", "at"}),
        }


def archive_of(settings: Settings) -> LocalStorage:
    """The archive's folder, which must be there.

    Raises
    ------
    SettingsError
        There is none.
    """
    root = settings.archive.root
    if not (root / "ledger").is_dir():
        raise SettingsError(f"there is no archive in {root}: is archive.uri right?")
    return LocalStorage(root)


def counts_of(settings: Settings) -> tuple[ClassCounts, ...]:
    """The counts by class and night that stand beside an archive's results, if there are any."""
    root = settings.archive.root
    if not root.is_dir():
        return ()
    found = (read_counts(store) for store in classified_stores(LocalStorage(root)))
    return tuple(one for one in found if one is not None)


def wanted_of(begins: str | None, ends: str | None) -> Wanted:
    """What `--from` and `--to` mean.

    Raises
    ------
    SettingsError
        One of them is no time, or the end is not after the beginning.
    """
    if begins is None and ends is None:
        return EVERYTHING
    try:
        span = Span(None if begins is None else utc(begins), None if ends is None else utc(ends))
    except ValueError as error:
        raise SettingsError(f"--from, --to: {error}") from error
    if span.start and span.end and span.start >= span.end:
        raise SettingsError(f"--to {ends} is not after --from {begins}")
    return Wanted(span=span)


def run_service(
    settings: Settings, name: str, wanted: Wanted, into: str | None, workers: int | None
) -> Ran:
    """Serve a part of the archive; Ctrl-C ends it in good order.

    Raises
    ------
    SettingsError
        There is no archive.
    ServiceError
        The service cannot be loaded, or fails on everything.
    """
    archive = archive_of(settings)
    run = Run(archive, spec_of(name), settings, into)
    total = count_wanted(archive, wanted)
    with _shown(name, total) as tell, _stopping() as stopping:
        snapshot = run_over(run, wanted, workers or default_workers(), tell=tell, stopping=stopping)
    return Ran(snapshot, store_folder(snapshot.name, snapshot.version), stopping.is_set())


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; the second one is as always."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)


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

        def tell(snapshot: ServiceSnapshot) -> None:
            errors = snapshot.by_status.get("error", 0)
            more = f"{snapshot.alerts_per_s:.0f} alerts/s"
            more += f", {errors} errors" if errors else ""
            if snapshot.breaker != "closed":
                more += f", pauses: {snapshot.last_fault}"
            progress.update(task, completed=snapshot.results, more=more)

        yield tell


def ran_text(ran: Ran) -> Iterator[str]:
    """As a person reads it."""
    snapshot = ran.snapshot
    written = sum(snapshot.by_status.values())
    by_status = ", ".join(f"{count} {status}" for status, count in snapshot.by_status.items())
    yield f"{snapshot.service} {snapshot.version}: {written} alerts" + (
        f" ({by_status})" if by_status else "; there was nothing to do"
    )
    yield f"results: {ran.folder}, {snapshot.results} rows in all"
    if snapshot.faults:
        faults = ", ".join(f"{count} {fault}" for fault, count in snapshot.faults.items())
        yield f"batches without an answer: {faults}; the last: {snapshot.last_fault}"
    if ran.stopped:
        yield "stopped before the end; the same command goes on from there"
