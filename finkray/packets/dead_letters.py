"""The table of dead letters: messages that did not decode, with their bytes and the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from finkray.avro.frame import read_schema_id
from finkray.claim import TopicPartition
from finkray.dead_letter_reason import WAITING_FOR_A_SCHEMA
from finkray.packets.columns import kafka_timestamps
from finkray.packets.message import RawMessage

if TYPE_CHECKING:  # the decoder imports polars, which a writer does not need
    from finkray.packets.decode import Reject

DEAD_LETTER_SCHEMA = pa.schema(
    [
        ("kafka_topic", pa.string()),
        ("kafka_partition", pa.int32()),
        ("kafka_offset", pa.int64()),
        ("kafka_timestamp", pa.timestamp("ms", "UTC")),
        ("cluster_id", pa.string()),
        ("topic_id", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("value", pa.binary()),
        ("size_bytes", pa.int64()),
        ("schema_id", pa.int64()),
    ]
)
"""`value` is null for a message without a value, and truncated if it has fewer bytes than
`size_bytes`; `schema_id` is the id of the schema that the letter waits for, null if it waits for
none; `reason` is a `DeadLetterReason`."""


KEPT_COLUMNS: Final = ("kafka_offset", "kafka_timestamp", "value", "size_bytes")
"""The columns that `kept_messages` reads."""


def schema_ids_waited_for(dead_letters: pa.Table) -> tuple[int, ...]:
    """Return the ids of the schemas that dead letters of the table wait for."""
    return tuple(sorted(set(dead_letters["schema_id"].drop_null().to_pylist())))


def kept_messages(letters: pa.Table) -> Iterator[RawMessage]:
    """Yield the messages of those letters that kept all bytes, in their order.

    Parameters
    ----------
    letters
        with at least the columns `KEPT_COLUMNS`
    """
    stamps = letters["kafka_timestamp"].cast(pa.int64())
    columns = (letters["kafka_offset"], stamps, letters["value"], letters["size_bytes"])
    for offset, stamp_ms, value, size_bytes in zip(
        *(column.to_pylist() for column in columns), strict=True
    ):
        if len(value or b"") == size_bytes:
            yield RawMessage(offset, stamp_ms, value)


def dead_letter_table(
    messages: Sequence[RawMessage],
    rejects: Sequence[Reject],
    source: TopicPartition,
    most_bytes: int | None = None,
) -> pa.Table:
    """Return the rejected messages as a table of `DEAD_LETTER_SCHEMA`, in the order of the rejects.

    At most `most_bytes` of each value are kept.
    """
    rejected = [messages[reject.index] for reject in rejects]
    count = len(rejected)
    waiting = [reject.reason in WAITING_FOR_A_SCHEMA for reject in rejects]
    columns = {
        "kafka_topic": [source.topic] * count,
        "kafka_partition": [source.partition] * count,
        "kafka_offset": [message.offset for message in rejected],
        "kafka_timestamp": kafka_timestamps([message.timestamp_ms for message in rejected]),
        "cluster_id": [source.cluster_id] * count,
        "topic_id": [source.topic_id] * count,
        "reason": [reject.reason for reject in rejects],
        "detail": [reject.detail for reject in rejects],
        "value": [
            None if message.value is None else message.value[:most_bytes] for message in rejected
        ],
        "size_bytes": [len(message.value or b"") for message in rejected],
        "schema_id": [
            read_schema_id(message.value) if message.value and waits_for_schema else None
            for message, waits_for_schema in zip(rejected, waiting, strict=True)
        ],
    }
    return pa.table(columns, schema=DEAD_LETTER_SCHEMA)
