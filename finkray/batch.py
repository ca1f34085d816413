"""The unit that crosses every seam: what one claim became, in Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from finkray.claim import Claim, Gap
from finkray.columns import add_columns
from finkray.dead_letters import dead_letter_table

if TYPE_CHECKING:  # the decoder brings polars along, which a writer has no use for
    from finkray.decode import Decoder, RawMessage


@dataclass(frozen=True, slots=True)
class AlertBatch:
    """The alerts of a claim, with all that is needed to archive and account for it.

    Attributes
    ----------
    claim
        the offsets
    tables
        for each writer schema its fingerprint and a table: the archive's columns (see
        `finkray.columns`), then the packets' own; in order of offset
    schemas
        for each of these fingerprints the schema as normalised JSON
    dead_letters
        a row for each message that did not decode, see `finkray.dead_letters`
    gaps
        offsets without a message
    """

    claim: Claim
    tables: tuple[tuple[str, pa.Table], ...]
    schemas: dict[str, str]
    dead_letters: pa.Table
    gaps: tuple[Gap, ...]

    @property
    def nbytes(self) -> int:
        """What the tables take in memory, in bytes."""
        return self.dead_letters.nbytes + sum(table.nbytes for _, table in self.tables)


def make_batch(
    claim: Claim, messages: Sequence[RawMessage], gaps: Sequence[Gap], decoder: Decoder
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
    """
    decoded = decoder.decode(messages)
    return AlertBatch(
        claim=claim,
        tables=tuple(
            (one.schema.fingerprint, add_columns(one, messages, claim.source))
            for one in decoded.tables
        ),
        schemas={one.schema.fingerprint: one.schema.text for one in decoded.tables},
        dead_letters=dead_letter_table(messages, decoded.rejects, claim.source),
        gaps=tuple(gaps),
    )
