"""The decoded messages of one writer schema, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:  # it imports polars, which a writer does not need
    from finkray.avro.schema import WriterSchema


@dataclass(frozen=True, slots=True)
class DecodedTable:
    """The messages of one writer schema.

    Attributes
    ----------
    schema
        the writer schema
    table
        the packets' columns, of the type `schema.arrow`
    rows
        for each row the index of its message; ascending
    """

    schema: WriterSchema
    table: pa.Table
    rows: np.ndarray

    def before(self, index: int) -> DecodedTable:
        """Return the rows of messages before this index, as a copy if that leaves any out."""
        kept = self.rows < index
        if kept.all():
            return self
        return DecodedTable(self.schema, self.table.filter(pa.array(kept)), self.rows[kept])
