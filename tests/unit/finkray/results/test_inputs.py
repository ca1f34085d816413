"""Services that read results of other services: what they get, and when."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import finkray
from finkray.errors import ServiceError, SettingsError
from finkray.ledger.publish import commit
from finkray.results.backlog import AlertSelection
from finkray.results.store import find_store
from finkray.services.service import describe
from finkray.serving.run import run_live
from finkray.status.service import ServiceSnapshot
from finkray.storage.hours import span_of
from tests.support.examples import examples
from tests.support.ledgers import quick_storage
from tests.support.services import Double
from tests.support.serving import InThread, a_run, balanced, offsets, results, serve
from tests.support.small_archives import SmallArchive


@dataclass
class Sum(finkray.Service):
    """The offset and what `double` says of it; remembers what it was given."""

    name = "sum"
    version = "1"
    columns = ("kafka_offset", "double.double", "double.status")
    output = pa.schema([("sum", pa.int64())])
    needs: tuple[str, ...] = ("double",)
    uses: tuple[str, ...] = ()
    given: list[tuple[int, int | None]] = field(default_factory=list)

    def process(self, alerts: pa.Table) -> pa.Table:
        doubled = alerts["double.double"].cast(pa.int64())
        self.given += zip(alerts["kafka_offset"].to_pylist(), doubled.to_pylist(), strict=True)
        return pa.table({"sum": pc.add(alerts["kafka_offset"], doubled)})


@dataclass
class Again(finkray.Service):
    """Another version of `double`, or a service that reads `sum`."""

    name: str = "double"
    version = "3"
    columns: tuple[str, ...] = ()
    output = pa.schema([("double", pa.int64()), ("sum", pa.int64())])
    needs: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()

    def process(self, alerts: pa.Table) -> pa.Table:
        (sums,) = alerts.columns
        return pa.table({"double": sums, "sum": sums})


def waiting() -> Sum:
    return Sum()


def taking() -> Sum:
    return Sum(needs=(), uses=("double",))


@pytest.fixture
def small() -> Iterator[SmallArchive]:
    with quick_storage() as storage:
        yield SmallArchive(storage)


def sums(small: SmallArchive) -> dict[int, int | None]:
    table = results(small, "sum")
    return dict(zip(table["kafka_offset"].to_pylist(), table["sum"].to_pylist(), strict=True))


# What it gets.


def test_columns_of_results_stand_beside_those_of_the_alerts(small: SmallArchive) -> None:
    small.put(0, 119)  # two files
    serve(small)
    serve(small, service=waiting())
    assert sums(small) == {n: 3 * n for n in range(120)}
    assert balanced(small, "sum")


def test_without_waiting_what_is_not_there_is_null(small: SmallArchive) -> None:
    small.put(0, 119)
    serve(small, AlertSelection(span=span_of("2026-11-24T02")))
    serve(small, service=taking())
    assert sums(small) == {n: 3 * n if n >= 60 else None for n in range(120)}


def test_of_two_versions_the_one_that_ran_last_and_has_the_claim_is_read(
    small: SmallArchive,
) -> None:
    small.put(0, 9)
    small.put(10, 19)
    serve(small)

    class Twice(Double):
        name = "double"
        version = "2"

        def process(self, alerts: pa.Table) -> pa.Table:
            return pa.table({"double": pc.multiply(alerts["kafka_offset"], 20)})

    class OfTheFirst(Sum):
        name = "first"

    serve(small, AlertSelection(from_seq=2), service=Twice())
    serve(small, service=waiting())
    assert sums(small) == {n: 3 * n if n < 10 else 21 * n for n in range(20)}
    serve(small, service=OfTheFirst(needs=("double/1",)))
    assert results(small, "first")["sum"].to_pylist() == [3 * n for n in range(20)]


# When.


def test_a_claim_waits_for_its_results_and_does_not_hold_up_the_others(small: SmallArchive) -> None:
    small.put(0, 119)  # of which one of two files gets results
    small.put(120, 129)
    serve(small, AlertSelection(span=span_of("2026-11-24T01")))
    snapshot = serve(small, service=waiting())
    assert offsets(small, "sum") == list(range(120, 130))
    assert snapshot.waiting_for_inputs == 120
    serve(small)
    assert serve(small, service=waiting()).waiting_for_inputs == 0
    assert balanced(small, "sum")


def test_what_is_redriven_waits_again(small: SmallArchive) -> None:
    before = small.put(0, 9, dead=[3]).result
    serve(small)
    serve(small, service=waiting())
    small.resolve(before, 3)
    assert serve(small, service=waiting()).waiting_for_inputs == 1
    serve(small)
    serve(small, service=waiting())
    assert sums(small)[3] == 9
    assert balanced(small, "sum")


def test_a_live_service_goes_on_when_the_results_come(small: SmallArchive) -> None:
    serve(small)  # so that there are results of that name
    stopping = threading.Event()
    begun = threading.Event()
    service = waiting()

    def tell(_: ServiceSnapshot) -> None:
        begun.set()
        if len(service.given) == 20:
            stopping.set()

    def meanwhile() -> None:
        begun.wait(30)
        for first in (0, 10):
            small.put(first, first + 9)
            serve(small)

    thread = threading.Thread(target=meanwhile)
    thread.start()
    run_live(
        a_run(small, service=service),
        None,
        tell,
        stopping,
        lambda _: InThread(small.storage, service),
    )
    thread.join()
    assert sums(small) == {n: 3 * n for n in range(20)}


steps = st.lists(
    st.sampled_from(["put", "repair", "input", "first hour", "second hour", "service"]),
    min_size=1,
    max_size=12,
)


@settings(max_examples=examples(12), deadline=None)
@given(steps)
def test_whatever_runs_when_no_alert_is_processed_without_its_results(order: list[str]) -> None:
    service = waiting()
    with quick_storage() as storage:
        small = SmallArchive(storage)
        small.put(0, 0)
        serve(small)
        claims = 1
        for step in order:
            match step:
                case "put":
                    small.put(claims * 80 - 79, claims * 80)  # two files
                    claims += 1
                case "repair":
                    last = (claims - 1) * 80
                    again = small.stage(max(0, last - 79), last)
                    for path in again.staged:
                        small.storage.delete([path])
                    commit(small.ledger, small.storage, [again], "repaired")
                case "input":
                    serve(small)
                case "first hour":
                    serve(small, AlertSelection(span=span_of("2026-11-24T01")))
                case "second hour":
                    serve(small, AlertSelection(span=span_of("2026-11-24T02")))
                case _:
                    serve(small, service=service)
        serve(small)
        serve(small, service=service)
        assert all(doubled == 2 * offset for offset, doubled in service.given)
        assert len(service.given) == len({offset for offset, _ in service.given})
        assert sums(small) == {n: 3 * n for n in offsets(small)}
        assert balanced(small, "sum")


# Refusals.


def test_results_that_are_not_there_are_refused(small: SmallArchive) -> None:
    small.put(0, 9)
    expected = "sum reads results of another service, and there are no results 'double' here"
    with pytest.raises(ServiceError, match=expected):
        serve(small, service=waiting())


def test_a_column_that_the_results_lack_is_refused(small: SmallArchive) -> None:
    small.put(0, 9)
    serve(small)

    class Wrong(Sum):
        columns = ("double.tripled",)

    with pytest.raises(ServiceError, match="reads tripled of double, which has no such column"):
        serve(small, service=Wrong())


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("between", [False, True])
def test_services_that_are_inputs_of_each_other_are_refused(
    small: SmallArchive, *, waits: bool, between: bool
) -> None:
    """The first one ran before it read the results of the other."""
    small.put(0, 9)
    serve(small)
    serve(small, service=waiting())
    if between:
        serve(small, service=Again(name="again", columns=("sum.sum",), needs=("sum",)))
    last = "again" if between else "sum"
    inputs = {"needs": (last,)} if waits else {"needs": (), "uses": (last,)}
    with pytest.raises(SettingsError) as raised:
        serve(small, service=Again(columns=(f"{last}.sum",), **inputs))
    path = "double reads again reads sum reads double" if between else "double reads sum reads"
    assert path in str(raised.value)


def test_a_service_does_not_read_what_it_writes(small: SmallArchive) -> None:
    small.put(0, 9)
    serve(small)
    with pytest.raises(ServiceError, match="would read the results that it writes, 'double'"):
        serve(small, service=waiting(), into="double")
    assert find_store(small.storage, "double").about.service == "double"


@pytest.mark.parametrize(
    ("needs", "uses", "words"),
    [
        ("double", (), r"needs = 'double': expected a list"),
        ((1,), (), r"expected a list of names, as \['classify'\]"),
        (("double",), ("double/2",), "more than once"),
        (("sum",), (), "its own results 'sum'"),
        (("double", "classify"), (), r"no column of the results 'classify' is read"),
    ],
)
def test_what_cannot_be_declared_is_refused(needs: object, uses: object, words: str) -> None:
    service = Sum(needs=needs, uses=uses)  # type: ignore[arg-type]
    with pytest.raises(ServiceError, match=words):
        describe(service)
