"""The loop of a service, on each sink: every alert is processed once, whatever happens."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pytest

from finkray.errors import ArchiveHeld, Fenced, StorageError
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.ledger.read import read_state
from finkray.results.backlog import AlertSelection
from finkray.results.store import find_store
from finkray.results.writer import open_store
from finkray.serving.commits import CommitSettings
from finkray.serving.dispatcher import DispatcherSettings
from finkray.serving.scale import ScaleSettings
from finkray.serving.server import ServeSettings
from finkray.serving.sink import OpenSink
from finkray.storage.hours import span_of
from tests.support.remembering_sink import Memory
from tests.support.serving import EVERYTHING, balanced, results, serve, serve_live
from tests.support.small_archives import SmallArchive
from tests.support.torn_storage import Killed


@dataclass
class SinkInUse:
    """A sink, and how a test sees what is in it."""

    small: SmallArchive
    open: OpenSink
    table: Callable[[], pa.Table]
    take_over: Callable[[], object]

    def serve(
        self,
        selection: AlertSelection = EVERYTHING,
        before_each: Callable[[], None] = lambda: None,
    ) -> dict[str, int]:
        return serve(self.small, selection, before_each=before_each, open_sink=self.open).by_status

    def serve_live(self, until_offset: int, *puts: tuple[int, int]) -> None:
        def is_done() -> bool:
            try:
                return until_offset in self.offsets
            except (pa.ArrowInvalid, ValueError):  # there is no result at all yet
                return False

        makers = [lambda put=put: self.small.put(*put) for put in puts]
        serve_live(self.small, makers, is_done, self.open)

    @property
    def offsets(self) -> list[int]:
        found: list[int] = self.table()["kafka_offset"].to_pylist()
        return found

    @property
    def is_complete(self) -> bool:
        """Whether each alert of the archive has one result."""
        archived = read_state(self.small.storage).state.balance().archived
        found = self.offsets
        return len(found) == len(set(found)) == archived


@pytest.fixture
def memory(small: SmallArchive) -> Memory:
    return Memory(small.storage.below("remembered"))


@pytest.fixture(params=["files", "memory"])
def sink(small: SmallArchive, memory: Memory, request: pytest.FixtureRequest) -> SinkInUse:
    if request.param == "memory":

        def forget_writer() -> None:
            memory.writer = None

        return SinkInUse(small, memory.open, lambda: memory.table, forget_writer)
    store = small.storage.below("science/double/1")
    return SinkInUse(small, open_store, lambda: results(small), lambda: Ledger.take_over(store))


def test_a_second_run_does_nothing_again(small: SmallArchive, sink: SinkInUse) -> None:
    small.put(0, 9)
    sink.serve()
    before = sink.table()
    small.put(10, 19)
    assert sink.serve() == {"ok": 10}
    assert sink.table().slice(0, 10).equals(before)
    assert sink.is_complete


def test_another_span_adds_to_the_same_results(small: SmallArchive, sink: SinkInUse) -> None:
    small.put(0, 119)  # of two hours, in one claim
    sink.serve(AlertSelection(span=span_of("2026-11-24T02")))
    assert sink.offsets == list(range(60, 120))
    sink.serve(AlertSelection(span=span_of("2026-11-24T01")))
    assert sink.offsets == list(range(120))


def test_vanished_files_are_left_out_and_processed_when_they_are_made_again(
    small: SmallArchive, sink: SinkInUse
) -> None:
    staged = small.put(0, 9)
    (path,) = staged.staged
    small.storage.delete([path])
    small.put(10, 19)
    sink.serve()
    assert sink.offsets == list(range(10, 20))
    again = small.stage(0, 9)
    commit(small.ledger, small.storage, [again], "repaired")
    sink.serve()
    assert sink.is_complete


def test_what_was_processed_before_its_file_vanished_is_not_processed_twice(
    small: SmallArchive, sink: SinkInUse
) -> None:
    staged = small.put(0, 9)
    sink.serve()
    before = sink.table()
    small.storage.delete([next(iter(staged.staged))])
    commit(small.ledger, small.storage, [small.stage(0, 9)], "repaired")
    sink.serve()
    assert sink.table().equals(before)
    assert sink.is_complete


def test_what_comes_after_a_repair_of_a_claim_in_work_is_processed_too(
    small: SmallArchive, sink: SinkInUse
) -> None:
    staged = small.put(0, 9)
    small.storage.delete([next(iter(staged.staged))])
    commit(small.ledger, small.storage, [small.stage(0, 9)], "repaired")
    small.put(10, 19)
    sink.serve()
    assert sink.is_complete


def test_dead_letters_that_were_redriven_are_processed_too(
    small: SmallArchive, sink: SinkInUse
) -> None:
    before = small.put(0, 9, dead=[3, 4]).result
    sink.serve()
    assert 3 not in sink.offsets
    small.resolve(before, 3, 4)
    sink.serve()
    assert sink.offsets == list(range(10))
    assert sink.is_complete


def test_a_writer_that_was_taken_over_writes_nothing(small: SmallArchive, sink: SinkInUse) -> None:
    small.put(0, 9)
    with pytest.raises(Fenced):
        sink.serve(before_each=sink.take_over)
    assert sink.serve() == {"ok": 10}
    assert sink.is_complete


def test_a_sink_has_one_writer_at_a_time(small: SmallArchive, sink: SinkInUse) -> None:
    small.put(0, 9)
    inside = threading.Event()
    go_on = threading.Event()

    def wait() -> None:
        inside.set()
        go_on.wait(30)

    first = threading.Thread(target=sink.serve, kwargs={"before_each": wait})
    first.start()
    assert inside.wait(30)
    with pytest.raises(ArchiveHeld, match="results are written to double/1 already"):
        sink.serve()
    go_on.set()
    first.join(30)
    assert sink.is_complete


def test_a_live_service_processes_what_comes_from_its_first_start_on(
    small: SmallArchive, sink: SinkInUse
) -> None:
    small.put(0, 9)
    for begin in (10, 20):
        sink.serve_live(begin + 9, (begin, begin + 9))
    assert sink.offsets == list(range(10, 30))


def test_what_came_while_a_live_service_was_down_is_processed(
    small: SmallArchive, sink: SinkInUse
) -> None:
    sink.serve_live(9, (0, 9))
    small.put(10, 19)
    sink.serve_live(29, (20, 29))
    assert sink.is_complete


# A sink that fails. That of files is killed at each of its steps in results/test_results.py.


@pytest.mark.parametrize("kills", [True, False])
@pytest.mark.parametrize("done_first", [True, False])
def test_a_sink_that_fails_at_any_call_loses_nothing_and_doubles_nothing(
    small: SmallArchive,
    monkeypatch: pytest.MonkeyPatch,
    *,
    kills: bool,
    done_first: bool,
) -> None:
    for first in range(0, 30, 10):
        small.put(first, first + 9)
    monkeypatch.setattr("finkray.serving.run.ServeSettings", _small_commits)
    monkeypatch.setattr("finkray.serving.commits.RETRY_STORAGE_S", 0.01)
    for steps in range(7):
        notes = small.storage.below(f"remembered-{steps}")
        memory = Memory(notes, steps=steps, kills=kills, done_first=done_first)
        with contextlib.suppress(Killed, StorageError):
            serve(small, open_sink=memory.open)
        serve(small, open_sink=memory.open)
        assert memory.table["kafka_offset"].to_pylist() == list(range(30))


def _small_commits(dispatcher: DispatcherSettings, scale: ScaleSettings) -> ServeSettings:
    return ServeSettings(dispatcher, scale, CommitSettings(claims=1), open_claims=2)


def test_results_beside_the_archive_balance_with_it(small: SmallArchive) -> None:
    small.put(0, 9)
    serve(small)
    assert balanced(small)
    assert find_store(small.storage, "double").about.service == "double"
