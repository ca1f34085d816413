"""Add the archive's columns to a packet's own, and find the hour that a row is filed under.

| column | type | |
|---|---|---|
| kafka_topic, kafka_partition, kafka_offset | string, int32, int64 | of the message |
| kafka_timestamp | timestamp[ms, UTC] | of the message; null if it has none, or an absurd one |
| obs_night | date32 | local calendar date on which the night of the observation began |
| schema_fingerprint | string | SHA-256 of the writer schema, which is kept in `schemas/` |

The hour is that of the Kafka timestamp in UTC. If that is missing or absurd (see
`finkray.timestamps`), it is the hour of the observation, and without one the first hour of 1970. It
is never the time of ingest, because a message that is archived again must be filed under the same
hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.claim import TopicPartition
from finkray.packets.decoded_table import DecodedTable
from finkray.packets.message import RawMessage
from finkray.surveys import SURVEYS
from finkray.timestamps import is_plausible

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
"""Keys in the folders' names, of which readers make columns."""

PACKET_PREFIX = "packet_"
"""Put before a packet's own column whose name, in any case, is one of the archive's columns or
folder keys: Spark does not distinguish `Topic` from `topic`."""

_RESERVED = frozenset({*ADDED_COLUMNS.names, *FOLDER_KEYS})

_NO_TIME = np.iinfo(np.int64).min
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000


def add_columns(
    decoded: DecodedTable, messages: Sequence[RawMessage], source: TopicPartition
) -> pa.Table:
    """Return a decoded table with the archive's columns before the packets' own.

    Parameters
    ----------
    decoded
        from `finkray.packets.decode.Decoder`
    messages
        the messages that it was decoded from
    source
        the partition of the messages
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


def archived_columns(schema: pa.Schema) -> pa.Schema:
    """Return the columns under which packets are archived, with the archive's own.

    Parameters
    ----------
    schema
        `finkray.avro.schema.WriterSchema.arrow` of the packets
    """
    names = zip(_packet_names(schema.names), schema, strict=True)
    return pa.schema([*ADDED_COLUMNS, *(field.with_name(name) for name, field in names)])


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
    """Return timestamps as a column; null where one is missing or absurd."""
    return pa.array(
        [ms if ms is not None and is_plausible(ms) else None for ms in timestamps_ms],
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
    """Return the hour under which each row is filed: datetime64[h], UTC.

    Parameters
    ----------
    table
        with the column kafka_timestamp, and the packets' own columns for the fallback
    """
    stamps = table.column("kafka_timestamp").cast(pa.int64())
    ms = pc.fill_null(stamps, _NO_TIME).to_numpy()
    plausible = is_plausible(ms)
    if not plausible.all():
        observed_ms, _ = _observed(table)
        ms = np.where(plausible, ms, np.where(observed_ms == _NO_TIME, 0, observed_ms))
    return np.floor_divide(ms, _HOUR_MS).astype("datetime64[h]")


def split_by(keys: np.ndarray, table: pa.Table) -> Iterator[tuple[np.generic, pa.Table]]:
    """Yield the rows of each key, in the order of the keys; rows keep their order."""
    unique = np.unique(keys)
    if len(unique) == 1:
        yield unique[0], table
        return
    for key in unique:
        yield key, table.filter(pa.array(keys == key))


def _observed(table: pa.Table) -> tuple[np.ndarray, int]:
    """Return the time of observation of each row, and when its night starts after midnight UTC.

    Both are in ms; the first is Unix time, `_NO_TIME` where it is missing or absurd.
    """
    for survey in SURVEYS.values():
        for field in survey.times:
            days = _float_field(table, survey.record, field)
            if days is None:
                continue
            with np.errstate(invalid="ignore", over="ignore"):
                ms = (days - survey.unix_epoch_days) * _DAY_MS - survey.ahead_of_utc_ms
                plausible = is_plausible(ms)
            rounded = np.full(len(ms), _NO_TIME)
            rounded[plausible] = np.rint(ms[plausible])
            return rounded, survey.night_begins_utc_hour * _HOUR_MS
    return np.full(table.num_rows, _NO_TIME), 0


def field_of_record(table: pa.Table, record: str, field: str) -> pa.ChunkedArray | None:
    """Return the column `record.field` of a table, or None if there is none."""
    index = table.schema.get_field_index(record)
    if index < 0:
        return None
    record_type = table.schema.field(index).type
    if not pa.types.is_struct(record_type) or record_type.get_field_index(field) < 0:
        return None
    return pc.struct_field(table.column(index), field)


def _float_field(table: pa.Table, record: str, field: str) -> np.ndarray | None:
    """Return `record.field` as float64 with NaN for null, or None if there is no such float."""
    values = field_of_record(table, record, field)
    if values is None or not pa.types.is_floating(values.type):
        return None
    numbers: np.ndarray = values.cast(pa.float64()).to_numpy()
    return numbers
