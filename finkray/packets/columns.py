"""The columns that the archive adds to a packet's own, and the hour a row is filed under.

| column | type | |
|---|---|---|
| kafka_topic, kafka_partition, kafka_offset | string, int32, int64 | where the message stood |
| kafka_timestamp | timestamp[ms, UTC] | what Kafka says; null if nothing, or no date at all |
| obs_night | date32 | local calendar date on which the night of the observation began |
| schema_fingerprint | string | SHA-256 of the writer schema, which is kept in `schemas/` |

The hour is that of the Kafka timestamp in UTC. Where that is missing or absurd, it is the hour of
the observation, and failing that the first hour of 1970: never the time of ingest, for who
archives a message again must file it in the same place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.claim import TopicPartition
from finkray.surveys import SURVEYS

if TYPE_CHECKING:  # the decoder brings polars along, which a writer has no use for
    from finkray.packets.decode import DecodedTable
    from finkray.packets.message import RawMessage

ADDED_COLUMNS = pa.schema(
    [
        ("kafka_topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
        ("kafka_timestamp", pa.timestamp("ms", "UTC")),
        ("obs_night", pa.date32()),
        ("schema_fingerprint", pa.string()),
    ]
)

FOLDER_KEYS = ("topic", "year", "month", "day", "hour")
"""Readers make columns of the folders' names."""

PACKET_PREFIX = "packet_"
"""Put before a packet's own column whose name is one of ours or of the folders', in any case:
Spark does not tell `Topic` from `topic`."""

_RESERVED = frozenset({*ADDED_COLUMNS.names, *FOLDER_KEYS})

EARLIEST_MS = 946_684_800_000
LATEST_MS = 4_102_444_800_000
"""2000-01-01 up to, not including, 2100-01-01, in ms of Unix time: a time outside is absurd."""

_FIRST_DATE_MS = -62_135_596_800_000
_LAST_DATE_MS = 253_402_300_799_999
"""The years 1 to 9999, beyond which Python and Spark have no dates."""

_NO_TIME = np.iinfo(np.int64).min
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000


def add_columns(
    decoded: DecodedTable, messages: Sequence[RawMessage], source: TopicPartition
) -> pa.Table:
    """A decoded table with the archive's columns before the packets' own.

    Parameters
    ----------
    decoded
        as `finkray.packets.decode.Decoder` gave it
    messages
        what it was decoded from
    source
        the partition that they come from
    """
    rows = decoded.rows.tolist()
    table = decoded.table
    count = len(rows)
    observed_ms, night_begins_ms = _observed(table)
    nights = np.floor_divide(observed_ms - night_begins_ms, _DAY_MS).astype(np.int32)
    added = [
        pa.array([source.topic] * count, pa.string()),
        pa.array([source.partition] * count, pa.int32()),
        pa.array([messages[row].offset for row in rows], pa.int64()),
        kafka_timestamps([messages[row].timestamp_ms for row in rows]),
        pa.array(nights, pa.date32(), mask=observed_ms == _NO_TIME),
        pa.array([decoded.schema.fingerprint] * count, pa.string()),
    ]
    names = [*ADDED_COLUMNS.names, *_packet_names(table.column_names)]
    return pa.table([*added, *table.columns], names=names)


def packet_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the packets' own columns of archived rows, under their names in the packet.

    Parameters
    ----------
    table
        rows of one writer schema, as the archive has them
    schema
        `finkray.avro.schema.WriterSchema.arrow` of that schema
    """
    return table.select(_packet_names(schema.names)).rename_columns(schema.names)


def kafka_timestamps(timestamps_ms: Sequence[int | None]) -> pa.Array:
    """As a column; what is no date at all becomes null."""
    return pa.array(
        [
            ms if ms is not None and _FIRST_DATE_MS <= ms <= _LAST_DATE_MS else None
            for ms in timestamps_ms
        ],
        ADDED_COLUMNS.field("kafka_timestamp").type,
    )


def _packet_names(names: Sequence[str]) -> list[str]:
    taken = {name.lower() for name in names}
    out = []
    for name in names:
        new = name
        if name.lower() in _RESERVED:
            new = PACKET_PREFIX + name
            while new.lower() in taken:
                new = PACKET_PREFIX + new
            taken.add(new.lower())
        out.append(new)
    return out


def hours_utc(table: pa.Table) -> np.ndarray:
    """The hour under which each row is filed: datetime64[h], UTC.

    Parameters
    ----------
    table
        with a column kafka_timestamp, and for the fallback the packets' own columns
    """
    stamps = table.column("kafka_timestamp").cast(pa.int64())
    ms = pc.fill_null(stamps, _NO_TIME).to_numpy()
    good = _believable(ms)
    if not good.all():
        observed_ms, _ = _observed(table)
        ms = np.where(good, ms, np.where(observed_ms == _NO_TIME, 0, observed_ms))
    return np.floor_divide(ms, _HOUR_MS).astype("datetime64[h]")


def split_by(keys: np.ndarray, table: pa.Table) -> Iterator[tuple[np.generic, pa.Table]]:
    """The rows of each key, in the order of the keys; rows keep their order."""
    found = np.unique(keys)
    if len(found) == 1:
        yield found[0], table
        return
    for key in found:
        yield key, table.filter(pa.array(keys == key))


def _observed(table: pa.Table) -> tuple[np.ndarray, int]:
    """Time of observation for each row, and when its night begins after midnight UTC.

    Both in ms, the first of Unix time; `_NO_TIME` where there is none, or an absurd one.
    """
    for survey in SURVEYS.values():
        for field in survey.times:
            days = _float_field(table, survey.record, field)
            if days is None:
                continue
            with np.errstate(invalid="ignore", over="ignore"):
                ms = (days - survey.unix_epoch_days) * _DAY_MS - survey.ahead_of_utc_ms
                good = (ms >= EARLIEST_MS) & (ms < LATEST_MS)
            rounded = np.full(len(ms), _NO_TIME)
            rounded[good] = np.rint(ms[good])
            return rounded, survey.night_begins_utc_hour * _HOUR_MS
    return np.full(table.num_rows, _NO_TIME), 0


def field_of_record(table: pa.Table, record: str, field: str) -> pa.ChunkedArray | None:
    """The column `record.field` of a table; None if there is none."""
    place = table.schema.get_field_index(record)
    if place < 0:
        return None
    kind = table.schema.field(place).type
    if not pa.types.is_struct(kind) or kind.get_field_index(field) < 0:
        return None
    return pc.struct_field(table.column(place), field)


def _float_field(table: pa.Table, record: str, field: str) -> np.ndarray | None:
    """`record.field` as float64 with NaN for null; None if there is no such number."""
    values = field_of_record(table, record, field)
    if values is None or not pa.types.is_floating(values.type):
        return None
    numbers: np.ndarray = values.cast(pa.float64()).to_numpy()
    return numbers


def _believable(ms: np.ndarray) -> np.ndarray:
    return (ms >= EARLIEST_MS) & (ms < LATEST_MS)
