"""Counts by class and night: each row once, whatever happens; and the alerts behind them."""

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finkray.errors import StorageError
from finkray.results.class_list import newest_of_class
from finkray.results.counts import (
    COUNTS_PATH,
    NO_NIGHT,
    ClassCounter,
    ClassCounters,
    ClassCounts,
    classified_stores,
    read_counts,
)
from finkray.results.store import find_store
from jobs.daemons.aggregation import aggregate
from jobs.daemons.last_look import last_look
from tests.support.examples import examples
from tests.support.ledgers import quick_storage
from tests.support.parity import FIRST, SECOND, Parity, classify_all, parity_store, put_night
from tests.support.services import Double
from tests.support.small_archives import NIGHT, SmallArchive
from tests.support.stored_files import read_bytes, read_folder


def counted(counts: ClassCounts) -> dict[tuple[str, str], int]:
    return {(one.night, name): n for one in counts.nights for name, n in one.classes.items()}


def recounted(small: SmallArchive) -> dict[tuple[str, str], int]:
    """The same from all files at once."""
    tables = read_folder(parity_store(small).storage, "results")
    rows = [row for table in tables for row in table.to_pylist()]
    return dict(
        Counter((str(row["obs_night"] or NO_NIGHT), row["class"] or row["status"]) for row in rows)
    )


def test_each_row_is_counted_by_night_and_class_and_so_are_the_catalogues(
    small: SmallArchive,
) -> None:
    put_night(small, 0, FIRST)
    put_night(small, 10, SECOND, NIGHT + timedelta(days=1))
    put_night(small, 20, None)
    counter = ClassCounter(parity_store(small))
    assert counter.catch_up(100) == 3
    counts = counter.counts()
    assert counted(counts) == recounted(small)
    # `ok`: it was asked, and said nothing.
    of_night = {"even": 5, "odd": 4, "ok": 1}
    assert [one.night for one in counts.nights] == [NO_NIGHT, "2026-11-24", "2026-11-23"]
    assert all(one.classes == of_night for one in counts.nights)
    (use,) = counts.nights[1].catalogs
    assert (use.catalog, use.version, use.alerts) == ("sky", "1", {"match": 5, "none": 4})
    assert counts.alerts == 30
    assert counts.nights[2].hours == ("2026-11-24T01:00:00+00:00",)


def test_only_results_with_a_class_are_counted(small: SmallArchive) -> None:
    put_night(small, 0, FIRST)
    classify_all(small, Double())
    assert [one.name for one in classified_stores(small.storage)] == ["parity"]


class OwnWords(Parity):
    """Calls something else `checked`."""

    name = "own_words"
    output = pa.schema([("class", pa.string()), ("checked", pa.bool_())])

    def process(self, alerts: pa.Table) -> pa.Table:
        rows = len(alerts)
        return pa.table({"class": ["odd"] * rows, "checked": [True] * rows}, schema=self.output)


def test_a_service_may_call_other_things_checked(small: SmallArchive) -> None:
    put_night(small, 0, FIRST)
    classify_all(small, OwnWords())
    counters = ClassCounters(small.storage)
    assert counters.refresh(100) == {("own_words", "1"): 1, ("parity", "1"): 1}
    assert counters.counts()[0].nights[0].catalogs == ()
    assert (
        newest_of_class(
            find_store(small.storage, "own_words"), counters.counts()[0].nights[0], "odd", 1
        )[0].why
        == ""
    )


ACTIONS = st.lists(st.sampled_from(["put", "count", "keep", "killed"]), min_size=3, max_size=10)


@settings(max_examples=examples(15))
@given(actions=ACTIONS)
def test_whatever_is_killed_when_each_row_is_counted_once(actions: list[str]) -> None:
    with quick_storage() as storage:
        small = SmallArchive(storage)
        put_night(small, 0, FIRST)
        counter, offset = ClassCounter(parity_store(small)), 10
        for action in actions:
            if action == "put":
                put_night(small, offset, (FIRST, SECOND)[offset // 10 % 2])
                offset += 10
            elif action == "count":
                counter.catch_up(1)
            elif action == "keep":
                counter.keep()
            else:
                counter = ClassCounter(parity_store(small))
        counter.catch_up(100)
        assert counted(counter.counts()) == recounted(small)
        assert counter.counts().alerts == offset


def test_counts_of_results_that_were_made_anew_are_not_believed(small: SmallArchive) -> None:
    put_night(small, 0, FIRST)
    counter = ClassCounter(parity_store(small))
    counter.catch_up(100)
    gone = counter.counts().model_copy(update={"cursor": "1:999:0"})
    parity_store(small).storage.replace(COUNTS_PATH, gone.model_dump_json().encode())
    assert read_counts(parity_store(small)) is None
    parity_store(small).storage.replace(COUNTS_PATH, b"{")
    assert read_counts(parity_store(small)) is None
    anew = ClassCounter(parity_store(small))
    anew.catch_up(100)
    assert counted(anew.counts()) == recounted(small)


def test_a_file_that_cannot_be_read_now_is_counted_later(small: SmallArchive) -> None:
    put_night(small, 0, FIRST)
    put_night(small, 10, FIRST)
    store = parity_store(small).storage
    first, second = sorted(file.path for file in store.walk("results"))
    whole = read_bytes(store, second)
    store.replace(second, whole[:100])
    counters = ClassCounters(small.storage)
    counters.refresh(100)
    assert counters.counts()[0].alerts == 10
    counter = ClassCounter(parity_store(small))
    with pytest.raises(StorageError, match="results of parity/1 cannot be read"):
        counter.catch_up(100)
    store.replace(second, whole)
    counters.refresh(100)
    assert counted(counters.counts()[0]) == recounted(small)
    assert store.size_bytes(first) is not None


def test_results_that_are_removed_are_forgotten(small: SmallArchive) -> None:
    put_night(small, 0, FIRST)
    counters = ClassCounters(small.storage)
    counters.refresh(100)
    parity_store(small).storage.delete(["about.json"])
    counters.refresh(100)
    assert counters.counts() == ()


def test_the_list_behind_a_count_has_the_newest_first_and_each_alert_once(
    small: SmallArchive,
) -> None:
    put_night(small, 0, FIRST)
    put_night(small, 10, SECOND, NIGHT + timedelta(hours=1))
    put_night(small, 20, FIRST, NIGHT + timedelta(hours=2))  # the alerts of the first ten again
    put_night(small, 30, FIRST, NIGHT + timedelta(hours=3))
    counter = ClassCounter(parity_store(small))
    counter.catch_up(100)
    night = counter.counts().night("2026-11-23")
    assert night is not None
    found = newest_of_class(parity_store(small), night, "even", 8)
    assert [one.alert_id for one in found] == [1018, 1016, 1014, 1012, 1010, 1008, 1006, 1004]
    assert found[0].kafka_timestamp == NIGHT + timedelta(hours=3, minutes=8)
    assert found[0].why == "38 by 2"
    assert found[0].object_id == "ZTF260000038"
    every = newest_of_class(parity_store(small), night, "even", 100)
    assert [one.alert_id for one in every] == [1000 + n for n in range(18, -2, -2)]
    assert [one.why for one in newest_of_class(parity_store(small), night, "ok", 1)] == ["39 by 2"]
    assert newest_of_class(parity_store(small), night, "other", 9) == ()


def test_the_aggregation_keeps_pace_and_leaves_what_it_counted(
    small: SmallArchive, tmp_path: Path
) -> None:
    put_night(small, 0, FIRST)
    stopping = threading.Event()
    thread = threading.Thread(target=aggregate, args=(small.storage, stopping, tmp_path))
    thread.start()
    try:
        wait_for_alerts(small, 10)
        put_night(small, 10, SECOND)
        wait_for_alerts(small, 20)
        assert last_look(tmp_path, "aggregation") is not None
    finally:
        stopping.set()
        thread.join()
    counts = read_counts(parity_store(small))
    assert counts is not None
    assert counted(counts) == recounted(small)


def wait_for_alerts(small: SmallArchive, alerts: int) -> None:
    pause = threading.Event()
    for _ in range(6000):
        counts = read_counts(parity_store(small))
        if counts is not None and counts.alerts == alerts:
            return
        pause.wait(0.01)
    pytest.fail(f"{alerts} alerts were not counted in a minute")
