"""The science store: every alert served once, whatever happens meanwhile."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.claim import Claim, Gap
from finkray.errors import ArchiveHeld, Fenced, ServiceError
from finkray.ledger.claims import read_claims
from finkray.ledger.log import Ledger
from finkray.ledger.publish import commit
from finkray.ledger.read import read_state
from finkray.results.backlog import WantedAlerts
from finkray.results.rows import covered_offsets, gaps_between
from finkray.results.store import find_store, list_stores
from finkray.services.columns import read_columns
from finkray.services.contract import accept
from finkray.services.messages import Answer, Slice, Spec
from finkray.services.service import Described, Service, describe
from finkray.serving.dispatcher import DispatcherSettings
from finkray.serving.run import Run, run_live, run_over
from finkray.serving.scale import ScaleSettings
from finkray.serving.server import ServeSettings
from finkray.settings.model import Settings
from finkray.settings.services import ServiceSettings
from finkray.status.service import ServiceSnapshot
from finkray.storage.hours import span_of
from finkray.storage.local import LocalStorage
from tests.support.ledgers import ZTF, quick_storage
from tests.support.services import Double
from tests.support.small_archives import NIGHT, SmallArchive
from tests.support.torn_storage import Killed, TornStorage

ROOT = str(Path(__file__).parents[4])
SPEC = Spec("tests.support.services:Double", ROOT)
ALL = WantedAlerts(from_seq=0)


@dataclass
class InThread:
    """A worker without a process, for tests of what comes after the answer."""

    service: Service
    before_each: Callable[[], None] = lambda: None

    def start(self) -> Described:
        return describe(self.service)

    def run(self, slices: list[Slice]) -> Answer:
        self.before_each()
        tables = [
            read_columns(one.file, self.service.columns).slice(one.first_row, one.rows)
            for one in slices
        ]
        alerts = pa.concat_tables(tables)
        table = accept(self.service.output, len(alerts), self.service.process(alerts))
        return Answer(table=table, skipped=(False,) * len(slices))

    def close(self) -> None:
        return


@pytest.fixture
def small() -> Iterator[SmallArchive]:
    with quick_storage() as storage:
        yield SmallArchive(storage)


def a_run(small: SmallArchive, into: str | None = None, **settings: object) -> Run:
    return Run(small.storage, SPEC, Settings(services=ServiceSettings(**settings)), into)  # type: ignore[arg-type]


def serve(
    small: SmallArchive,
    wanted: WantedAlerts = ALL,
    service: Service | None = None,
    into: str | None = None,
    before_each: Callable[[], None] = lambda: None,
) -> ServiceSnapshot:
    return run_over(
        a_run(small, into),
        wanted,
        2,
        tell=lambda _: None,
        stopping=threading.Event(),
        make_host=lambda _: InThread(service or Double(), before_each),
    )


def results(small: SmallArchive, name: str = "double") -> pa.Table:
    folder = find_store(small.storage, name).storage.root / "results"
    tables = [pq.read_table(path, partitioning=None) for path in sorted(folder.rglob("*.parquet"))]
    return pa.concat_tables(tables).sort_by("kafka_offset")


def offsets(small: SmallArchive, name: str = "double") -> list[int]:
    found: list[int] = results(small, name)["kafka_offset"].to_pylist()
    return found


def balanced(small: SmallArchive, name: str = "double") -> bool:
    """Whether the ledger is as the archive's and as the files."""
    store = find_store(small.storage, name).storage
    sheet = read_state(store).state.balance()
    archived = read_state(small.storage).state.balance().archived
    return sheet.difference == 0 and sheet.archived == archived == len(offsets(small, name))


# Rows.


def test_each_row_has_keys_service_status_time_and_what_the_service_adds(
    small: SmallArchive,
) -> None:
    small.put(0, 9, dead=[3], gaps=[Gap("expired", 5, 6)])
    serve(small)
    table = results(small)
    assert table["kafka_offset"].to_pylist() == [0, 1, 2, 4, 7, 8, 9]
    assert table["double"].to_pylist() == [0, 2, 4, 8, 14, 16, 18]
    row = table.slice(1, 1).to_pylist()[0]
    assert (row["kafka_topic"], row["kafka_partition"]) == (ZTF.topic, 0)
    assert (row["service"], row["version"], row["status"]) == ("double", "1", "ok")
    assert row["reason"] is None
    assert row["object_id"] == "ZTF260000001"
    assert row["kafka_timestamp"] == NIGHT + timedelta(minutes=1)
    assert row["computed_at"] > NIGHT.replace(year=2020)
    assert balanced(small)


def test_results_stand_in_hourly_folders_that_spark_and_others_read(small: SmallArchive) -> None:
    small.put(0, 119)
    serve(small)
    root = small.storage.root / "science" / "double" / "1" / "results"
    assert {path.parent.name for path in root.rglob("*.parquet")} == {"hour=01", "hour=02"}
    assert all(path.suffix == ".parquet" for path in root.rglob("*") if path.is_file())
    assert pq.read_table(root).num_rows == 120


# Once.


def test_a_second_run_does_nothing_again(small: SmallArchive) -> None:
    small.put(0, 9)
    serve(small)
    before = results(small)
    small.put(10, 19)
    assert serve(small).by_status == {"ok": 10}
    assert results(small).slice(0, 10).equals(before)
    assert balanced(small)


def test_another_span_adds_to_the_same_results(small: SmallArchive) -> None:
    small.put(0, 119)  # of two hours, in one claim
    serve(small, WantedAlerts(span=span_of("2026-11-24T02")))
    assert offsets(small) == list(range(60, 120))
    serve(small, WantedAlerts(span=span_of("2026-11-24T01")))
    assert offsets(small) == list(range(120))
    assert balanced(small)


def test_vanished_files_are_left_out_and_served_when_they_are_made_again(
    small: SmallArchive,
) -> None:
    staged = small.put(0, 9)
    (path,) = staged.staged
    (small.storage.root / path).unlink()
    small.put(10, 19)
    serve(small)
    assert offsets(small) == list(range(10, 20))
    again = small.stage(0, 9)
    commit(small.ledger, small.storage, [again], "repaired")
    serve(small)
    assert balanced(small)


def test_what_was_served_before_its_file_vanished_is_not_served_twice(small: SmallArchive) -> None:
    staged = small.put(0, 9)
    serve(small)
    before = results(small)
    (small.storage.root / next(iter(staged.staged))).unlink()
    commit(small.ledger, small.storage, [small.stage(0, 9)], "repaired")
    serve(small)
    assert results(small).equals(before)
    assert balanced(small)


def test_dead_letters_that_were_redriven_are_served_too(small: SmallArchive) -> None:
    before = small.put(0, 9, dead=[3, 4]).result
    serve(small)
    assert 3 not in offsets(small)
    small.resolve(before, 3, 4)
    serve(small)
    assert offsets(small) == list(range(10))
    assert balanced(small)


def test_a_crash_at_any_moment_loses_nothing_and_doubles_nothing(small: SmallArchive) -> None:
    for first in range(0, 100, 10):
        small.put(first, first + 9)
    crashes = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finkray.serving.run.ServeSettings", _small_commits)
        for steps in range(3, 400, 5):
            torn = _torn_store(small, steps, done_first=bool(steps % 2))
            patch.setattr("finkray.results.writer.results_storage", lambda *_, torn=torn: torn)
            try:
                serve(small)
            except Killed:
                crashes += 1
                (torn.root / "ledger" / "lease.json").unlink(missing_ok=True)
            else:
                break
    assert crashes > 5
    assert balanced(small)


def _torn_store(small: SmallArchive, steps: int, *, done_first: bool) -> TornStorage:
    inner = LocalStorage(small.storage.root / "science" / "double" / "1")
    torn = TornStorage(inner)
    torn.root = inner.root  # type: ignore[attr-defined]
    torn.arm(steps, kills=True, done_first=done_first)
    return torn


def _small_commits(core: DispatcherSettings, scale: ScaleSettings) -> ServeSettings:
    return ServeSettings(core, scale, open_claims=2, commit_claims=1)


def test_an_older_writer_that_wakes_up_writes_nothing(small: SmallArchive) -> None:
    small.put(0, 9)

    def be_taken_over() -> None:
        Ledger.take_over(LocalStorage(small.storage.root / "science" / "double" / "1"))

    with pytest.raises(Fenced):
        serve(small, before_each=be_taken_over)
    assert find_store(small.storage, "double").storage.files("results") == []
    serve(small)
    assert balanced(small)


def test_one_name_has_one_writer_at_a_time(small: SmallArchive) -> None:
    small.put(0, 9)
    inside = threading.Event()
    go_on = threading.Event()

    def wait() -> None:
        inside.set()
        go_on.wait(30)

    first = threading.Thread(target=serve, args=(small,), kwargs={"before_each": wait})
    first.start()
    assert inside.wait(30)
    with pytest.raises(ArchiveHeld, match="results are written to double/1 already"):
        serve(small)
    serve(small, into="other")
    go_on.set()
    first.join(30)
    assert balanced(small)
    assert balanced(small, "other")


def test_results_of_another_output_are_not_mixed(small: SmallArchive) -> None:
    small.put(0, 9)
    serve(small)
    run = Run(small.storage, Spec("tests.support.services:SkyAlone", ROOT), Settings(), "double")
    with pytest.raises(ServiceError, match=r"has results of tests\.support\.services:Double"):
        run_over(run, ALL, 1, tell=lambda _: None, stopping=threading.Event())


# Live.


def test_a_live_service_serves_what_comes_from_its_first_start_on(small: SmallArchive) -> None:
    small.put(0, 9)
    for begin in (10, 20):
        live(small, until_offset=begin + 9, puts=[(begin, begin + 9)])
    assert offsets(small) == list(range(10, 30))
    store = find_store(small.storage, "double").storage
    assert read_state(store).state.balance().difference == 0


def test_what_came_while_a_live_service_was_down_is_served(small: SmallArchive) -> None:
    live(small, until_offset=9, puts=[(0, 9)])
    small.put(10, 19)
    live(small, until_offset=29, puts=[(20, 29)])
    assert balanced(small)


def test_claims_without_any_alert_are_in_the_ledger_too(small: SmallArchive) -> None:
    small.put(0, 0)
    live(small, until_offset=29, puts=[(1, 1), (2, 9), (10, 29)], dead={2: range(2, 10)})
    store = find_store(small.storage, "double").storage
    assert read_state(store).state.frontier(ZTF) == 30
    assert len(read_claims(store)) == 3


def live(
    small: SmallArchive,
    until_offset: int,
    puts: list[tuple[int, int]],
    dead: dict[int, range] | None = None,
) -> None:
    """Run live, archive meanwhile, and stop when the offset has its result."""
    stopping = threading.Event()
    begun = threading.Event()

    def tell(_: ServiceSnapshot) -> None:
        begun.set()
        store = find_store(small.storage, "double").storage
        ends = [part.covered.last for part in read_state(store).state.partitions.values()]
        if until_offset in ends:
            stopping.set()

    def archive() -> None:
        begun.wait(30)
        for first, last in puts:
            small.put(first, last, dead=list((dead or {}).get(first, ())))

    thread = threading.Thread(target=archive)
    thread.start()
    run_live(a_run(small), None, tell, stopping, lambda _: InThread(Double()))
    thread.join()


# Finding.


def test_results_are_found_by_name_and_version(small: SmallArchive) -> None:
    small.put(0, 9)
    serve(small)
    serve(small, into="twice")
    assert [(one.name, one.version) for one in list_stores(small.storage)] == [
        ("double", "1"),
        ("twice", "1"),
    ]
    assert find_store(small.storage, "twice/1").about.service == "double"
    with pytest.raises(ServiceError, match="there are: double/1, twice/1"):
        find_store(small.storage, "thrice")


# Gaps.


@given(st.integers(0, 30), st.lists(st.booleans(), min_size=1, max_size=40))
def test_gaps_and_offsets_say_the_same(first: int, there: list[bool]) -> None:
    claim = Claim(ZTF, first, first + len(there) - 1)
    expected = np.flatnonzero(there) + first
    gaps = gaps_between(claim, expected)
    assert np.array_equal(covered_offsets(claim, gaps), expected)
    assert sum(gap.offsets for gap in gaps) == claim.offsets - len(expected)


def test_offsets_are_compared_exactly() -> None:
    # 2**53 + 1 is no float64.
    claim = Claim(ZTF, 2**53, 2**53 + 2)
    gaps = gaps_between(claim, np.array([2**53, 2**53 + 2]))
    assert gaps == (Gap("not_delivered", 2**53 + 1, 2**53 + 1),)
    assert pc.sum(pa.array(covered_offsets(claim, gaps))).as_py() == 2**54 + 2
