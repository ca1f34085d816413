"""Alerts beside what services said of them."""

from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import finkray
from finkray.errors import ServiceError
from finkray.results.backlog import AlertSelection
from finkray.results.joined import newest
from finkray.storage.hours import span_of
from tests.support.serving import serve
from tests.support.small_archives import NIGHT, SmallArchive


@pytest.fixture
def small(small: SmallArchive) -> SmallArchive:
    """Two hours of alerts, of which only the first has results."""
    small.put(0, 59)
    small.put(60, 119, begins=NIGHT + timedelta(hours=1))
    serve(small, AlertSelection(span=span_of("2026-11-24T01")))
    return small


def test_each_row_of_the_archive_has_the_record_of_a_service_or_null(
    archive: finkray.Archive,
) -> None:
    joined = archive.dataset(with_services=["double"])
    table = joined.to_table().sort_by("kafka_offset")
    assert table.schema == joined.schema
    assert table.num_rows == joined.count_rows() == 120
    said = table["double"].to_pylist()
    assert [row["double"] for row in said[:60]] == [2 * n for n in range(60)]
    assert (said[0]["status"], said[0]["version"], said[0]["reason"]) == ("ok", "1", None)
    assert said[60:] == [None] * 60
    assert table["objectId"][7].as_py() == "ZTF260000007"
    assert set(table["hour"].to_pylist()) == {1, 2}


def test_columns_and_conditions_may_be_of_both(archive: finkray.Archive) -> None:
    joined = archive.dataset(with_services=["double/1"])
    bright = pc.field("double", "double") >= 100
    assert joined.to_table(["objectId"], bright)["objectId"].to_pylist() == [
        f"ZTF26{n:07d}" for n in range(50, 60)
    ]
    both = joined.to_table(
        {"twice": pc.field("double", "double"), "jd": pc.field("candidate", "jd")},
        pc.field("hour") == 1,
    )
    assert both.schema.names == ["twice", "jd"]
    assert len(both) == 60
    assert joined.count_rows(pc.field("double").is_null()) == 60
    assert joined.head(3, ["kafka_offset"]).num_rows == 3
    assert joined.head(3, ["kafka_offset"], pc.field("hour") == 9).num_rows == 0


def test_only_what_is_needed_is_read(archive: finkray.Archive) -> None:
    joined = archive.dataset(with_services=["double"])
    needed = joined._needed(["objectId"], pc.field("double", "double") > pc.field("hour"))
    assert needed == ["kafka_partition", "kafka_offset", "objectId", "hour", "double"]
    keys = ["kafka_partition", "kafka_offset"]
    assert joined._needed({"x": pc.field("candidate", "jd")}, None) == [*keys, "candidate"]


def test_a_span_cuts_both(archive: finkray.Archive) -> None:
    joined = archive.dataset("2026-11-24T01:30", "2026-11-24T02:10", with_services=["double"])
    assert sorted(joined.to_table(["kafka_offset"])["kafka_offset"].to_pylist()) == list(
        range(30, 70)
    )


def test_results_alone_are_a_dataset(archive: finkray.Archive) -> None:
    assert archive.results("double").count_rows() == 60
    part = archive.results("double", "2026-11-24T01:58")
    assert sorted(part.to_table()["double"].to_pylist()) == [116, 118]


def test_files_that_were_made_again_otherwise_find_their_results(small: SmallArchive) -> None:
    staged = small.put(200, 209, dead=[204])
    serve(small)
    small.resolve(staged.result, 204)
    serve(small)
    archive = finkray.open_archive(small.storage.uri)
    table = archive.dataset(with_services=["double"]).to_table(
        ["kafka_offset", "double"], pc.field("kafka_offset") >= 200
    )
    assert sorted(row["double"] for row in table["double"].to_pylist()) == [
        2 * n for n in range(200, 210)
    ]


def test_what_is_not_there_is_named(small: SmallArchive) -> None:
    archive = finkray.open_archive(small.storage.uri)
    with pytest.raises(ServiceError, match="there are: double/1"):
        archive.dataset(with_services=["doubel"])
    serve(small, into="candidate")
    with pytest.raises(ValueError, match="--into NAME"):
        archive.dataset(with_services=["candidate"])


def test_of_an_alert_that_came_twice_the_newest_counts() -> None:
    rows = pa.table(
        {
            "alert_id": pa.array([1, 2, 1, None, None, 1]),
            "kafka_timestamp": pa.array(
                [NIGHT + timedelta(seconds=n) for n in (0, 1, 5, 2, 3, 4)],
                pa.timestamp("ms", "UTC"),
            ),
            "kafka_partition": [0, 0, 1, 0, 0, 2],
            "kafka_offset": [0, 1, 0, 2, 3, 0],
            "n": [0, 1, 2, 3, 4, 5],
        }
    )
    assert newest(rows)["n"].to_pylist() == [1, 3, 4, 2]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_row_without_a_kafka_time_is_never_the_newest_of_several(
    order: tuple[int, int, int],
) -> None:
    times = [NIGHT, None, NIGHT + timedelta(seconds=1)]
    rows = pa.table(
        {
            "alert_id": pa.array([1, 1, 1]),
            "kafka_timestamp": pa.array(
                [times[index] for index in order], pa.timestamp("ms", "UTC")
            ),
            "kafka_partition": [0, 0, 0],
            "kafka_offset": [7, 8, 9],
        }
    )
    assert newest(rows)["kafka_timestamp"].to_pylist() == [NIGHT + timedelta(seconds=1)]
