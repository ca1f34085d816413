"""The archive's own columns, and the hour under which an alert is filed."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finkray.avro.schema import WriterSchema
from finkray.claim import TopicPartition
from finkray.packets.columns import ADDED_COLUMNS, add_columns, hours_utc, split_by
from finkray.packets.decode import Decoder
from finkray.packets.decoded_table import DecodedTable
from finkray.packets.message import RawMessage
from tests.support.packets import real_ztf_packets

SOURCE = TopicPartition("cluster", "ztf", "id", 3)
SCHEMA = WriterSchema.from_text(
    '{"type": "record", "name": "r", "fields": [{"name": "x", "type": "int"}]}'
)
UNIX_EPOCH_JD = 2_440_587.5
UNIX_EPOCH_MJD = 40_587.0
DAY_S = 86_400


def filed(table: pa.Table, stamps_ms: list[int | None]) -> pa.Table:
    """The packets' table with the added columns, as from messages with these timestamps."""
    messages = [RawMessage(100 + i, ms, b"") for i, ms in enumerate(stamps_ms)]
    rows = np.arange(len(stamps_ms))
    return add_columns(DecodedTable(SCHEMA, table, rows), messages, SOURCE)


def ztf(*jds: float | None) -> pa.Table:
    return pa.table({"candidate": [{"jd": jd, "rb": 0.5} for jd in jds]})


def jd(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp() / DAY_S + UNIX_EPOCH_JD  # type: ignore[misc,arg-type]


def ms(*when: int) -> int:
    return round(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def hours(table: pa.Table) -> list[str]:
    return [str(hour) for hour in hours_utc(table)]


@pytest.fixture(params=["UTC", "America/Los_Angeles", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Set the time zone of the machine."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def test_the_added_columns_have_offset_time_and_schema_of_the_message() -> None:
    table = filed(pa.table({"x": [1, 2]}), [ms(2018, 11, 29, 6, 2), None])

    assert table.schema.names == [*ADDED_COLUMNS.names, "x"]
    assert pa.schema(list(table.schema)[: len(ADDED_COLUMNS)]) == ADDED_COLUMNS
    assert table.to_pylist() == [
        {
            "kafka_topic": "ztf",
            "kafka_partition": 3,
            "kafka_offset": 100,
            "kafka_timestamp": datetime(2018, 11, 29, 6, 2, tzinfo=UTC),
            "obs_night": None,
            "schema_fingerprint": SCHEMA.fingerprint,
            "x": 1,
        },
        {
            "kafka_topic": "ztf",
            "kafka_partition": 3,
            "kafka_offset": 101,
            "kafka_timestamp": None,
            "obs_night": None,
            "schema_fingerprint": SCHEMA.fingerprint,
            "x": 2,
        },
    ]


def test_rows_are_those_of_their_messages() -> None:
    """Rows of one table when other messages were rejected or have another schema."""
    messages = [RawMessage(offset, 1_500_000_000_000 + offset, b"") for offset in range(10)]
    decoded = DecodedTable(SCHEMA, pa.table({"x": [1, 2, 3]}), np.array([2, 5, 9]))

    table = add_columns(decoded, messages, SOURCE)

    assert table.column("kafka_offset").to_pylist() == [2, 5, 9]
    stamps = table.column("kafka_timestamp").cast(pa.int64()).to_pylist()
    assert stamps == [1_500_000_000_002, 1_500_000_000_005, 1_500_000_000_009]


def test_the_hour_is_that_of_kafka_in_utc(zone: str) -> None:
    stamps = [ms(2018, 11, 29, 6, 59, 59), ms(2018, 11, 29, 7), ms(2024, 2, 29, 23, 30)]
    table = filed(ztf(jd(2018, 1, 1), jd(2018, 1, 1), jd(2018, 1, 1)), list(stamps))

    assert hours(table) == ["2018-11-29T06", "2018-11-29T07", "2024-02-29T23"], zone


ABSURD = [None, -1, 0, ms(1999, 12, 31, 23), ms(2100, 1, 1), 2**62, -(2**62)]


@pytest.mark.parametrize("stamp", ABSURD)
def test_without_a_plausible_timestamp_the_hour_is_that_of_the_observation(
    stamp: int | None, zone: str
) -> None:
    table = filed(ztf(jd(2018, 11, 29, 6, 2), jd(2018, 11, 29, 6, 2)), [stamp, ms(2020, 1, 1, 5)])

    assert hours(table) == ["2018-11-29T06", "2020-01-01T05"], zone


@pytest.mark.parametrize("stamp", ABSURD)
@pytest.mark.parametrize("days", [None, math.nan, math.inf, -999.0, 0.0, 1e300, jd(2101, 1, 1)])
def test_without_any_plausible_time_it_is_the_first_hour_of_1970(
    stamp: int | None, days: float | None
) -> None:
    table = filed(ztf(days, jd(2018, 1, 1)), [stamp, stamp])

    assert hours(table) == ["1970-01-01T00", "2018-01-01T00"]
    assert table.column("obs_night").to_pylist() == [None, date(2017, 12, 31)]


def test_absurd_timestamps_are_null() -> None:
    good = [ms(2000, 1, 1), ms(2099, 12, 31, 23, 59, 59)]
    stamps = [
        *good,
        *ABSURD,
        ms(1, 1, 1),
        ms(1897, 2, 12),
        ms(9999, 12, 31),
        ms(2026, 1, 1) // 1000,
    ]

    column = filed(pa.table({"x": [0] * len(stamps)}), stamps).column("kafka_timestamp")

    assert column.cast(pa.int64()).to_pylist() == good + [None] * (len(stamps) - 2)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"x": [1]}),
        pa.table({"candidate": ["text"]}),
        pa.table({"candidate": [{"ra": 1.0}]}),
        pa.table({"candidate": [{"jd": "text"}]}),
        pa.table({"candidate": pa.array([None], pa.struct([("jd", pa.float64())]))}),
        pa.table({"diaSource": [{"ra": 1.0}]}),
    ],
)
def test_packets_without_a_time_of_observation(table: pa.Table) -> None:
    full = filed(table, [None])
    assert hours(full) == ["1970-01-01T00"]
    assert full.column("obs_night").to_pylist() == [None]


@pytest.mark.parametrize(
    ("observed", "night"),
    [
        # Palomar: sunset of 28 November is near 00:30 UTC of the 29th, sunrise near 14:30.
        (jd(2018, 11, 29, 1), date(2018, 11, 28)),
        (jd(2018, 11, 29, 6, 2), date(2018, 11, 28)),
        (jd(2018, 11, 29, 14), date(2018, 11, 28)),
        (jd(2018, 11, 29, 19, 59), date(2018, 11, 28)),
        (jd(2018, 11, 29, 20, 0), date(2018, 11, 29)),
        (jd(2019, 1, 1, 3), date(2018, 12, 31)),
    ],
)
def test_a_night_at_palomar_has_one_date(observed: float, night: date) -> None:
    table = filed(ztf(observed), [ms(2025, 1, 1)])
    assert table.column("obs_night").to_pylist() == [night]


@pytest.mark.parametrize("name", ["midpointMjdTai", "midPointTai"])
def test_a_night_at_rubin_has_its_day_obs(name: str) -> None:
    """Cerro Pachón is 4 hours behind UTC in winter; the clock of the packets is TAI."""

    def mjd_tai(*when: int) -> float:
        return datetime(*when, tzinfo=UTC).timestamp() / DAY_S + UNIX_EPOCH_MJD  # type: ignore[misc,arg-type]

    times = [
        (2026, 3, 9, 23, 50),
        (2026, 3, 10, 3, 28),
        (2026, 3, 10, 11, 59),
        (2026, 3, 10, 12, 1),
    ]
    table = pa.table({"diaSource": [{name: mjd_tai(*when)} for when in times]})

    nights = filed(table, [None] * 4).column("obs_night").to_pylist()

    assert nights == [date(2026, 3, 9)] * 3 + [date(2026, 3, 10)]
    # 37 s of TAI before the full hour of UTC it is still the hour before.
    edge = pa.table({"diaSource": [{name: mjd_tai(2026, 3, 10, 4, 0, 36)}]})
    assert hours(filed(edge, [None])) == ["2026-03-10T03"]


def test_packet_fields_with_names_of_the_archives_columns_get_a_prefix() -> None:
    names = ["kafka_offset", "topic", "Topic", "packet_topic", "hour", "obs_night", "candid"]
    table = filed(pa.table([[i] for i in range(len(names))], names=names), [None])

    assert table.column_names[len(ADDED_COLUMNS) :] == [
        "packet_kafka_offset",
        "packet_packet_topic",
        "packet_packet_packet_Topic",
        "packet_topic",
        "packet_hour",
        "packet_obs_night",
        "candid",
    ]
    assert len({name.lower() for name in table.column_names}) == table.num_columns


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_splitting_keeps_every_row_in_order(keys: list[int]) -> None:
    table = pa.table({"place": range(len(keys)), "key": keys})

    parts = list(split_by(np.array(keys), table))

    assert [int(key) for key, _ in parts] == sorted(set(keys))
    for key, part in parts:
        assert set(part.column("key").to_pylist()) == {int(key)}
        places = part.column("place").to_pylist()
        assert places == sorted(places)
    assert sum(part.num_rows for _, part in parts) == len(keys)


def test_the_nights_of_real_alerts(test_data: Path) -> None:
    """The three exposures of 29 November 2018, 06:02 to 06:04 UTC."""
    packets = list(real_ztf_packets(test_data, "20181129*"))
    messages: list[Any] = [RawMessage(i, None, packet) for i, packet in enumerate(packets)]
    (decoded,) = Decoder().decode(messages, SOURCE).tables

    table = add_columns(decoded, messages, SOURCE)

    assert set(table.column("obs_night").to_pylist()) == {date(2018, 11, 28)}
    assert set(hours(table)) == {"2018-11-29T06"}
