"""Run a service over a small archive in this process, into any sink."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.ledger.read import read_state
from finkray.results.backlog import AlertSelection
from finkray.results.store import find_store
from finkray.results.writer import open_store
from finkray.services.columns import read_columns
from finkray.services.contract import accept
from finkray.services.messages import Answer, Slice, Spec
from finkray.services.service import Described, Service, describe
from finkray.serving.run import Run, run_live, run_over
from finkray.serving.sink import OpenSink
from finkray.serving.slice_reader import SliceReader
from finkray.settings.model import Settings
from finkray.settings.services import ServiceSettings
from finkray.status.service import ServiceSnapshot
from finkray.storage.contract import Storage
from tests.support.services import Double
from tests.support.small_archives import SmallArchive

ROOT = str(Path(__file__).parents[2])
SPEC = Spec("tests.support.services:Double", ROOT)
EVERYTHING = AlertSelection(from_seq=0)


@dataclass
class InThread:
    """A worker without a process, for tests of what comes after the answer."""

    archive: Storage
    service: Service
    before_each: Callable[[], None] = lambda: None

    def start(self) -> Described:
        return describe(self.service)

    def run(self, slices: Sequence[Slice]) -> Answer:
        self.before_each()
        reader = SliceReader(describe(self.service), self._read_columns)
        tables = [reader.read(part)[1] for part in slices]
        alerts = pa.concat_tables(tables, promote_options="permissive")
        table = accept(self.service.output, len(alerts), self.service.process(alerts))
        return Answer(table=table, skipped=(False,) * len(slices))

    def close(self) -> None:
        return

    def _read_columns(self, path: str, columns: Sequence[str]) -> pa.Table:
        with self.archive.open(path) as source:
            return read_columns(source, columns)


def a_run(
    small: SmallArchive,
    into: str | None = None,
    service: Service | None = None,
    open_sink: OpenSink = open_store,
) -> Run:
    about = describe(service or Double())
    settings = Settings(services=ServiceSettings())
    return Run(small.storage, SPEC, settings, into, about, open_sink)


def serve(
    small: SmallArchive,
    selection: AlertSelection = EVERYTHING,
    service: Service | None = None,
    into: str | None = None,
    before_each: Callable[[], None] = lambda: None,
    open_sink: OpenSink = open_store,
) -> ServiceSnapshot:
    """Process the selected alerts with two workers."""
    return run_over(
        a_run(small, into, service, open_sink),
        selection,
        2,
        on_snapshot=lambda _: None,
        stopping=threading.Event(),
        make_host=lambda _: InThread(small.storage, service or Double(), before_each),
    )


def serve_live(
    small: SmallArchive,
    puts: Sequence[Callable[[], object]],
    is_done: Callable[[], bool],
    open_sink: OpenSink = open_store,
) -> None:
    """Run live, make the puts meanwhile, and stop when all is done."""
    stopping = threading.Event()
    begun = threading.Event()

    def tell(_: ServiceSnapshot) -> None:
        begun.set()
        if is_done():
            stopping.set()

    def archive() -> None:
        begun.wait(30)
        for put in puts:
            put()

    thread = threading.Thread(target=archive)
    thread.start()
    run_live(
        a_run(small, open_sink=open_sink),
        None,
        tell,
        stopping,
        lambda _: InThread(small.storage, Double()),
    )
    thread.join()


def results(small: SmallArchive, name: str = "double") -> pa.Table:
    """Return all results beside the archive, by offset."""
    store = find_store(small.storage, name).storage
    tables = []
    for path in sorted(file.path for file in store.walk("results")):
        with store.open(path) as source:
            tables.append(pq.read_table(source, partitioning=None))
    return pa.concat_tables(tables).sort_by("kafka_offset")


def offsets(small: SmallArchive, name: str = "double") -> list[int]:
    found: list[int] = results(small, name)["kafka_offset"].to_pylist()
    return found


def balanced(small: SmallArchive, name: str = "double") -> bool:
    """Return whether the ledger of the results agrees with the archive's and with the files."""
    store = find_store(small.storage, name).storage
    sheet = read_state(store).state.balance()
    archived = read_state(small.storage).state.balance().archived
    return sheet.difference == 0 and sheet.archived == archived == len(offsets(small, name))
