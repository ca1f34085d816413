"""Name the reasons for which a message becomes a dead letter.

The values are written into archives, where readers count and select by them: a value never changes
its meaning, and none is taken away. docs/archive.md lists them all.
"""

from enum import StrEnum
from typing import Final


class DeadLetterReason(StrEnum):
    """Why a message is not archived as an alert; `description` explains it to people."""

    description: str

    def __new__(cls, value: str, description: str) -> "DeadLetterReason":
        """Create a member that is its value and carries a description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member

    TOMBSTONE = "tombstone", "the message has no value"
    EMPTY = "empty", "the value of the message has no bytes"
    NOT_AVRO = (
        "not_avro",
        "the message begins neither as an Avro container nor as a Confluent frame does",
    )
    UNKNOWN_SCHEMA = "unknown_schema", "no schema source knows the schema that the frame names"
    SCHEMA_UNAVAILABLE = (
        "schema_unavailable",
        "a schema source that may know the schema that the frame names did not answer",
    )
    OTHER_SURVEY = (
        "other_survey",
        (
            "the schema lacks fields that every alert of the topic's survey has, or has them with "
            "another type; the detail names them"
        ),
    )
    NO_SCHEMA = "no_schema", "the header of the container has no schema"
    UNSUPPORTED_SCHEMA = "unsupported_schema", "the schema is invalid or cannot be archived"
    TOO_MANY_COLUMNS = (
        "too_many_columns",
        "the schema has more columns than `packets.max_columns`",
    )
    TOO_MANY_SCHEMAS = (
        "too_many_schemas",
        (
            "the topic has brought more new schemas within an hour than "
            "`packets.new_schemas_per_h`; `finkray deadletters redrive` archives the message"
        ),
    )
    TRUNCATED = "truncated", "the message ends before its record does"
    NO_RECORD = "no_record", "the container has no record"
    SEVERAL_RECORDS = "several_records", "the container has more than one record"
    TRAILING_BYTES = "trailing_bytes", "bytes follow the end of the container"
    BAD_NUMBER = "bad_number", "a count or a size in the container is damaged"
    BAD_SYNC = (
        "bad_sync",
        "the sync marker after the record is not the one after the header",
    )
    UNKNOWN_CODEC = "unknown_codec", "the compression codec of the container is not supported"
    BAD_COMPRESSION = "bad_compression", "the compressed data are damaged"
    TOO_LARGE = (
        "too_large",
        (
            "the message is larger than `kafka.max_message_bytes`, or would take more than 64 KiB "
            "and 16 times its size in memory, decompressed or decoded, or its record has more than "
            "64 MiB"
        ),
    )
    BAD_RECORD = "bad_record", "the record does not decode with its schema"
    OTHER_COLUMNS = (
        "other_columns",
        (
            "readers could not put the alert into one table with earlier ones of its survey or "
            "topic: a field has another type, or its name differs in case alone; the detail names "
            "both"
        ),
    )


WAITING_FOR_A_SCHEMA: Final = (
    DeadLetterReason.UNKNOWN_SCHEMA,
    DeadLetterReason.SCHEMA_UNAVAILABLE,
)
"""Reasons of frames that will decode once their schema can be found."""
