"""Results beside an archive: every alert is processed once, whatever happens meanwhile."""

import threading
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
from finkray.ledger.lease import LEASE_PATH
from finkray.ledger.log import Ledger
from finkray.ledger.read import read_state
from finkray.results.rows import covered_offsets, gaps_between
from finkray.results.store import find_store, list_stores
from finkray.services.messages import Spec
from finkray.serving.commits import CommitSettings
from finkray.serving.dispatcher import DispatcherSettings
from finkray.serving.run import Run, run_over
from finkray.serving.scale import ScaleSettings
from finkray.serving.server import ServeSettings
from finkray.settings.model import Settings
from finkray.storage.contract import Storage
from tests.support.ledgers import ZTF
from tests.support.serving import (
    EVERYTHING,
    ROOT,
    balanced,
    results,
    serve,
    serve_live,
)
from tests.support.small_archives import NIGHT, SmallArchive
from tests.support.torn_storage import Killed, TornStorage

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


@pytest.mark.parametrize("small", ["local"], indirect=True)  # readers that open a folder
def test_results_stand_in_hourly_folders_that_spark_and_others_read(small: SmallArchive) -> None:
    small.put(0, 119)
    serve(small)
    root = Path(small.storage.uri) / "science" / "double" / "1" / "results"
    assert {path.parent.name for path in root.rglob("*.parquet")} == {"hour=01", "hour=02"}
    assert all(path.suffix == ".parquet" for path in root.rglob("*") if path.is_file())
    assert pq.read_table(root).num_rows == 120


# Once; what holds for every sink is in serving/test_server.py.


def test_a_crash_at_any_moment_loses_nothing_and_doubles_nothing(small: SmallArchive) -> None:
    for first in range(0, 100, 10):
        small.put(first, first + 9)
    crashes, store = 0, store_of(small)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finkray.serving.run.ServeSettings", _small_commits)
        for steps in range(3, 400, 5):
            torn = _torn_store(store, steps, done_first=bool(steps % 2))
            patch.setattr(small.storage, "below", lambda _, torn=torn: torn)
            try:
                serve(small)
            except Killed:
                crashes += 1
                torn.inner.delete([LEASE_PATH])
            else:
                break
    assert crashes > 5
    assert balanced(small)


def store_of(small: SmallArchive) -> Storage:
    """Where the results of `double` are, also before there are any."""
    return small.storage.below("science/double/1")


def _torn_store(store: Storage, steps: int, *, done_first: bool) -> TornStorage:
    torn = TornStorage(store)
    torn.arm(steps, kills=True, done_first=done_first)
    return torn


def _small_commits(dispatcher: DispatcherSettings, scale: ScaleSettings) -> ServeSettings:
    return ServeSettings(dispatcher, scale, CommitSettings(claims=1), open_claims=2)


def test_an_older_writer_that_wakes_up_writes_nothing(small: SmallArchive) -> None:
    small.put(0, 9)

    def be_taken_over() -> None:
        Ledger.take_over(store_of(small))

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
    run = Run(
        small.storage, Spec("tests.support.services:MissingColumn", ROOT), Settings(), "double"
    )
    with pytest.raises(ServiceError, match=r"has results of tests\.support\.services:Double"):
        run_over(run, EVERYTHING, 1, on_snapshot=lambda _: None, stopping=threading.Event())


# Live.


def test_claims_without_any_alert_are_in_the_ledger_too(small: SmallArchive) -> None:
    small.put(0, 0)
    puts = [
        lambda: small.put(1, 1),
        lambda: small.put(2, 9, dead=list(range(2, 10))),
        lambda: small.put(10, 29),
    ]

    def is_done() -> bool:
        store = find_store(small.storage, "double").storage
        return read_state(store).state.frontier(ZTF) == 30

    serve_live(small, puts, is_done)
    assert len(read_claims(find_store(small.storage, "double").storage)) == 3


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
