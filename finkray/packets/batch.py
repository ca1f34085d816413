"""The batch of a claim: its decoded alerts and dead letters in Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from finkray.claim import Claim, Gap
from finkray.packets.columns import add_columns
from finkray.packets.dead_letters import dead_letter_table

if TYPE_CHECKING:  # the decoder imports polars, which a writer does not need
    from finkray.packets.decode import Decoded, Decoder
    from finkray.packets.message import RawMessage


@dataclass(frozen=True, slots=True)
class AlertBatch:
    """The alerts of a claim, with everything that is needed to archive and account for it.

    Attributes
    ----------
    claim
        the offsets
    tables
        for each writer schema its fingerprint and a table: the archive's columns (see
        `finkray.packets.columns`), then the packets' own; rows in order of offset
    schemas
        for each of these fingerprints the schema as normalised JSON
    schema_ids
        for each schema id in Confluent frames, the fingerprint of the schema
    dead_letters
        a row for each message that did not decode, see `finkray.packets.dead_letters`
    gaps
        offsets without a message
    """

    claim: Claim
    tables: tuple[tuple[str, pa.Table], ...]
    schemas: Mapping[str, str]
    schema_ids: Mapping[int, str]
    dead_letters: pa.Table
    gaps: tuple[Gap, ...]

    @property
    def nbytes(self) -> int:
        """Size of the tables in memory, in bytes."""
        return self.dead_letters.nbytes + sum(table.nbytes for _, table in self.tables)

    @property
    def alert_offsets(self) -> list[int]:
        """The offsets of the alerts, schema by schema."""
        return [offset for _, table in self.tables for offset in table["kafka_offset"].to_pylist()]


def make_batch(
    claim: Claim,
    messages: Sequence[RawMessage],
    gaps: Sequence[Gap],
    decoder: Decoder,
    dead_letter_bytes: int | None = None,
) -> AlertBatch:
    """Decode the messages of a claim.

    Parameters
    ----------
    claim
        the offsets that the messages and gaps cover together
    messages
        in order of offset
    gaps
        offsets without a message
    decoder
        reused for each batch, because it caches schemas
    dead_letter_bytes
        how many bytes of a message its dead letter keeps; None: all
    """
    return batch_of(
        claim, messages, gaps, decoder.decode(messages, claim.source), dead_letter_bytes
    )


def batch_of(
    claim: Claim,
    messages: Sequence[RawMessage],
    gaps: Sequence[Gap],
    decoded: Decoded,
    dead_letter_bytes: int | None = None,
) -> AlertBatch:
    """Return the batch of a claim whose messages are decoded; parameters as for `make_batch`."""
    schemas = {table.schema.fingerprint: table.schema.text for table in decoded.tables}
    return AlertBatch(
        claim=claim,
        tables=tuple(
            (table.schema.fingerprint, add_columns(table, messages, claim.source))
            for table in decoded.tables
        ),
        schemas=schemas,
        schema_ids={
            schema_id: fingerprint
            for schema_id, fingerprint in decoded.schema_ids.items()
            if fingerprint in schemas
        },
        dead_letters=dead_letter_table(messages, decoded.rejects, claim.source, dead_letter_bytes),
        gaps=tuple(gaps),
    )
