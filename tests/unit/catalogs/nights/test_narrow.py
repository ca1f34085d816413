"""Readers of the archive get the same rows with built nights as without, from fewer files."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pytest

import finkray
from finkray.nights.dataset import AlertDataset
from finkray.storage.dataset import open_dataset
from finkray.storage.hours import Span, utc
from finkray.storage.local import LocalStorage
from tests.support.night_archives import NIGHT, Made, NightArchive, build, measurement, random_sky

EARLIER = date(2026, 11, 23)
MAG = pc.field("candidate", "magpsf")
NARROW = {
    "id": pc.field("objectId"),
    "mag": MAG,
    "candidate": pc.field("candidate"),
    **{name: pc.field(name) for name in ("obs_night", "topic", "day", "hour")},
    "offset": pc.field("kafka_offset"),
}


@pytest.fixture
def made(quick_folder: Path) -> NightArchive:
    return NightArchive(LocalStorage(quick_folder / "archive"))


def at_hour(hour: int) -> datetime:
    """An hour of arrival in the night."""
    return datetime(2026, 11, 25, hour, 59, 59, tzinfo=UTC)


def of_night(alerts: list[Made], night: date | None) -> list[Made]:
    """The same alerts, observed in another night."""
    return [Made(each.object_id, each.candidate, each.history, night) for each in alerts]


def both(made: NightArchive, start: str | None = None, end: str | None = None) -> list[Any]:
    """The datasets of the archive with its nights, and of the hourly files alone."""
    archive = finkray.open_archive(made.storage.uri)
    span = Span(*(None if text is None else utc(text) for text in (start, end)))
    hourly, condition = open_dataset(made.storage, span, None)
    return [archive.dataset(start, end), hourly if condition is None else hourly.filter(condition)]


def assert_same(made: NightArchive) -> None:
    """Compare what readers get, row for row and type for type."""
    spans = [(None, None), ("2026-11-25T05", "2026-11-25T06")]
    spans.append(("2026-11-25T04:59:59.005", "2026-11-25T05:59:59.020"))
    reads: list[Callable[[pads.Dataset], pa.Table]] = [
        lambda dataset: dataset.to_table(NARROW),
        lambda dataset: dataset.to_table(["kafka_offset", "candidate.ra", "hour"]),
        lambda dataset: dataset.to_table(["kafka_offset"], filter=(MAG > 18) & (MAG < 18.5)),
        lambda dataset: dataset.filter(MAG > 18.5).to_table(["kafka_offset", "obs_night"]),
        lambda dataset: dataset.to_table(filter=pc.field("objectId") == "ZTF260000003"),
        lambda dataset: dataset.to_table(["kafka_offset", "prv_candidates"], filter=MAG > 18.8),
        lambda dataset: (
            pl.scan_pyarrow_dataset(dataset).select("kafka_offset").collect().to_arrow()
        ),
    ]
    for span in spans:
        found, hourly = both(made, *span)
        assert isinstance(found, AlertDataset)
        assert found.schema.equals(hourly.schema)
        assert found.count_rows() == hourly.count_rows() > 0
        assert found.count_rows(filter=MAG > 18.5) == hourly.count_rows(filter=MAG > 18.5)
        for read in reads:
            rows, expected = read(found), read(hourly)
            assert rows.schema.equals(expected.schema)
            by = [("offset" if "offset" in rows.column_names else "kafka_offset", "ascending")]
            assert rows.sort_by(by).equals(expected.sort_by(by))


def varied(count: int, seed: int = 7) -> list[Made]:
    """Alerts of many magnitudes."""
    return [
        Made(each.object_id, {**each.candidate, "magpsf": 18 + number % 10 / 10}, each.history)
        for number, each in enumerate(random_sky(count, seed))
    ]


def test_rows_are_those_of_the_hourly_files_at_any_state_of_the_nights(made: NightArchive) -> None:
    alerts = varied(200)
    nowhere = Made("ZTF26nowhere", measurement(1, -999.0, 1.0))
    first = made.put([*alerts[:20], nowhere], hour=at_hour(4), dead=2)
    made.put([*of_night(alerts[20:30], EARLIER), *alerts[30:40]], hour=at_hour(4))
    made.put([*of_night(alerts[40:44], None), *alerts[44:60]], hour=at_hour(5))
    build(made.storage)
    assert_same(made)
    made.put(alerts[60:80], hour=at_hour(5))  # not yet in the night
    assert_same(made)
    build(made.storage, EARLIER)
    assert_same(made)
    made.resolve(first.result, alerts[80:82])
    made.put(alerts[82:90], hour=at_hour(6))
    build(made.storage)
    assert_same(made)
    lost = made.put(alerts[90:100], hour=at_hour(6))
    build(made.storage)
    made.storage.delete(list(lost.staged))
    assert_same(made)


def test_a_damaged_night_changes_nothing(made: NightArchive) -> None:
    made.put(varied(40), hour=at_hour(5))
    build(made.storage)
    folder = "hats/nights/2026-11-24"
    for path in (f"{folder}/g1/narrow_sources.parquet", f"{folder}/collection.properties"):
        made.storage.replace(path, b"damaged")
        assert_same_of_hourly(made)
    made.storage.delete([f"{folder}/g1/narrow_sources.parquet"])
    assert_same_of_hourly(made)


def assert_same_of_hourly(made: NightArchive) -> None:
    """Compare the rows alone."""
    found, hourly = both(made)
    assert found.to_table(NARROW).equals(hourly.to_table(NARROW))


def test_hourly_files_of_a_built_night_are_not_opened_for_narrow_columns(
    made: NightArchive,
) -> None:
    sky = varied(60)
    claims = [made.put(sky[first : first + 10], hour=at_hour(5)) for first in range(0, 60, 10)]
    build(made.storage)
    dataset, hourly = both(made)
    expected = hourly.to_table(["kafka_offset", "objectId"])
    history = hourly.to_table(["prv_candidates"], filter=pc.field("objectId") == "ZTF260000000")
    # Files of the same size that nobody can read; the dataset has read the first and the last.
    for claim in claims[1:-1]:
        (path,) = claim.staged
        made.storage.replace(path, b"?" * (made.storage.size_bytes(path) or 0))
    dataset, hourly = both(made)
    assert dataset.to_table(["kafka_offset", "objectId"]).equals(expected)
    assert dataset.count_rows() == 60
    with pytest.raises(pa.ArrowInvalid):
        dataset.to_table(["prv_candidates"])
    # Histories are read from the files with alerts that match.
    found = dataset.to_table(["prv_candidates"], filter=pc.field("objectId") == "ZTF260000000")
    assert found.equals(history)


def test_a_reader_follows_a_new_generation_and_a_dataset_that_was_opened_before_stays(
    made: NightArchive,
) -> None:
    sky = varied(60)
    made.put(sky[:30], hour=at_hour(5))
    build(made.storage)
    opened, _ = both(made)
    made.put(sky[30:], hour=at_hour(5))
    build(made.storage)
    made.storage.delete_folder("hats/nights/2026-11-24/g1")
    assert sorted(opened.to_table(["kafka_offset"])["kafka_offset"].to_pylist()) == list(range(30))
    assert both(made)[0].count_rows() == 60
    assert NIGHT in set(opened.to_table(["obs_night"])["obs_night"].to_pylist())
