"""Bounds of what is decoded together. This module imports no library."""

from dataclasses import dataclass

MOST_COLUMNS = 16_384
"""The most columns that the schemas of messages that are decoded together have in sum: 42 schemas
of LSST. A column of a schema costs about 30 us to prepare and to decode, however few its rows
are."""

DECODED_PER_RAW = 4
"""How many bytes of a claim may be decoded for one of `ingest.claim_bytes`. LSST's alerts, which
Avro compresses with deflate, become 2.2 times their size."""


@dataclass(frozen=True, slots=True)
class DecodeBounds:
    """Bounds of what is decoded together; the first message is decoded whatever it takes.

    Attributes
    ----------
    columns
        columns of all schemas of the messages
    decoded_bytes
        bytes of the records, decompressed, and bytes of the tables
    """

    columns: int
    decoded_bytes: int

    @classmethod
    def of_claim(cls, claim_bytes: int) -> "DecodeBounds":
        """Return the bounds of a claim that is cut at this size."""
        return cls(MOST_COLUMNS, DECODED_PER_RAW * claim_bytes)
