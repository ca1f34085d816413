"""How a record becomes a Kafka message: a form for each topic, and the partition of an object.

| wire | key | value |
|---|---|---|
| `confluent` | id of the object | Confluent's frame with the schema's id, and the record |
| `fink` | the schema as JSON | the bare record, as fink-client reads it |

Kafka's clients choose the partition by the key. In the form `fink` all messages have one key, so
the partition is chosen here in both forms: by the id of the object. So the alerts of an object
share a partition, in which they keep their order.
"""

import zlib
from collections.abc import Sequence
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from finkray.avro.frame import write_frame
from finkray.surveys import SURVEYS


class Wire(StrEnum):
    """The form of the messages of a topic."""

    CONFLUENT = "confluent"
    FINK = "fink"


def key_and_value(
    wire: Wire, record: bytes, object_id: bytes, schema_id: int, schema_text: bytes
) -> tuple[bytes, bytes]:
    """Return key and value of a message."""
    if wire is Wire.FINK:
        return schema_text, record
    return object_id, write_frame(schema_id, record)


def partition_of(object_id: bytes, partitions: int) -> int:
    """Return the partition of an object: librdkafka's `consistent` partitioner."""
    return zlib.crc32(object_id) % partitions


OBJECT_COLUMNS = tuple(
    dict.fromkeys(
        column for survey in SURVEYS.values() for column in (*survey.object_ids, *survey.alert_ids)
    )
)
"""Columns in which the id of an object stands, in their order: the first that is not null and not
0. An alert of a moving source has no object, and is known by its own id."""


def object_ids(columns: pa.Table) -> list[bytes]:
    """Return the id of the object of each alert; empty where none is known.

    Parameters
    ----------
    columns
        `OBJECT_COLUMNS` as `finkray.services.columns.read_columns` returns them: of type null
        where the file has none
    """
    found: Sequence[pa.Array] = [
        _text(columns[name]) for name in OBJECT_COLUMNS if not pa.types.is_null(columns[name].type)
    ]
    if not found:
        return [b""] * columns.num_rows
    texts = pc.fill_null(pc.coalesce(*found), "")
    return [text.encode() for text in texts.to_pylist()]


def _text(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if pa.types.is_integer(array.type):
        array = pc.if_else(pc.equal(array, 0), pa.scalar(None, array.type), array)
    return array.cast(pa.string())
