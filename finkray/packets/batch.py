"""The unit that crosses every seam: what one claim became, in Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from finkray.claim import Claim, Gap
from finkray.packets.columns import add_columns
from finkray.packets.dead_letters import dead_letter_table

if TYPE_CHECKING:  # the decoder brings polars along, which a writer has no use for
    from finkray.packets.decode import Decoder
    from finkray.packets.message import RawMessage


@dataclass(frozen=True, slots=True)
class AlertBatch:
    """The alerts of a claim, with all that is needed to archive and account for it.

    Attributes
    ----------
    claim
        the offsets
    tables
        for each writer schema its fingerprint and a table: the archive's columns (see
        `finkray.packets.columns`), then the packets' own; in order of offset
    schemas
        for each of these fingerprints the schema as normalised JSON
    schema_ids
        for each id that Confluent frames bore the fingerprint of the schema that it means
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
        """What the tables take in memory, in bytes."""
        return self.dead_letters.nbytes + sum(table.nbytes for _, table in self.tables)

    @property
    def alert_offsets(self) -> list[int]:
        """The offsets of what decoded, schema by schema."""
        return [n for _, table in self.tables for n in table["kafka_offset"].to_pylist()]


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
        what the messages and gaps together cover
    messages
        in order of offset
    gaps
        offsets without a message
    decoder
        kept from batch to batch, for it remembers schemas
    dead_letter_bytes
        how much of a message is kept with its dead letter; None is all
    """
    decoded = decoder.decode(messages, claim.source)
    schemas = {one.schema.fingerprint: one.schema.text for one in decoded.tables}
    return AlertBatch(
        claim=claim,
        tables=tuple(
            (one.schema.fingerprint, add_columns(one, messages, claim.source))
            for one in decoded.tables
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
