"""Divide what would cost too much to write, or to decode at once, into smaller claims.

A claim becomes one file for each hour and schema in it: one or two in a normal stream. But
timestamps and schemas can be anything, and a task takes a minute to write files for 2000 absurd
hours. The driver would take a micro-batch of such claims for a query that hangs, restart the query,
and dispatch the same claims again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa

from finkray.claim import Claim, Gap
from finkray.packets.batch import AlertBatch, batch_of
from finkray.packets.bounds import DecodeBounds
from finkray.packets.columns import hours_utc
from finkray.packets.table_columns import column_count

if TYPE_CHECKING:  # the decoder imports polars, which a writer does not need
    from finkray.packets.decode import Decoder
    from finkray.packets.message import RawMessage

File = TypeVar("File", bound=Hashable)

MAX_FILES = 64
"""The most files of a claim, each of few columns; one takes 20 ms to write."""

COLUMNS_PER_FILE = 256
"""A file with this many more columns counts as another file: a column, however few its rows are,
takes 40 to 100 us to write and 250 bytes of the file."""


class BatchSteps:
    """Decodes the messages of a claim, step by step, to batches of consecutive smaller claims.

    Each step is bounded in time and memory, and so is the cost of writing each batch. After an
    error the same step is tried again.

    Parameters
    ----------
    claim, messages, gaps, decoder, dead_letter_bytes
        as for `finkray.packets.batch.make_batch`
    bounds
        of what is decoded in a step
    """

    def __init__(
        self,
        claim: Claim,
        messages: Sequence[RawMessage],
        gaps: Sequence[Gap],
        decoder: Decoder,
        *,
        bounds: DecodeBounds,
        dead_letter_bytes: int | None = None,
    ) -> None:
        self._left: Claim | None = claim
        self._messages = messages
        self._gaps = gaps
        self._decoder = decoder
        self._bounds = bounds
        self._dead_letter_bytes = dead_letter_bytes
        self._divided: deque[AlertBatch] = deque()

    def __iter__(self) -> Iterator[AlertBatch]:
        return self

    def __next__(self) -> AlertBatch:
        """Return the next batch.

        Raises
        ------
        StorageError
            if a schema is new to the table and the storage refuses; the call can be repeated
        """
        if not self._divided:
            if self._left is None:
                raise StopIteration
            self._divided.extend(divide(self._decode(self._left)))
        return self._divided.popleft()

    def _decode(self, claim: Claim) -> AlertBatch:
        decoded = self._decoder.decode(self._messages, claim.source, self._bounds)
        taken, left = self._messages[: decoded.count], self._messages[decoded.count :]
        last = left[0].offset - 1 if left else claim.last_offset
        batch = batch_of(
            Claim(claim.source, claim.first_offset, last),
            taken,
            [gap for gap in self._gaps if claim.first_offset <= gap.first_offset <= last],
            decoded,
            self._dead_letter_bytes,
        )
        self._messages = left
        self._left = Claim(claim.source, last + 1, claim.last_offset) if left else None
        return batch


def write_cost(batch: AlertBatch) -> int:
    """Return what a batch costs to write, in files of few columns."""
    return sum(len(np.unique(times)) * file_cost(table.schema) for _, table, times in _files(batch))


def file_cost(schema: pa.Schema) -> int:
    """Return what a file of this schema costs to write, in files of few columns."""
    return 1 + column_count(schema) // COLUMNS_PER_FILE


def divide(batch: AlertBatch, most_files: int = MAX_FILES) -> list[AlertBatch]:
    """Return the batch as consecutive smaller ones, each of at most this cost in files.

    A single file may cost more; then it is alone.
    """
    files = _files(batch)
    costs = {fingerprint: file_cost(table.schema) for fingerprint, table, _ in files}
    if sum(len(np.unique(times)) * costs[fingerprint] for fingerprint, _, times in files) <= (
        most_files
    ):
        return [batch]
    file_of_offset = sorted(
        (offset, (fingerprint, time))
        for fingerprint, table, times in files
        for offset, time in zip(
            table.column("kafka_offset").to_pylist(), times.tolist(), strict=True
        )
    )
    claim = batch.claim
    points = cut_points(file_of_offset, most_files, lambda file: costs[file[0]])
    starts = [claim.first_offset, *points]
    ends = [*(start - 1 for start in starts[1:]), claim.last_offset]
    return [
        _of_claim(batch, Claim(claim.source, first, last))
        for first, last in zip(starts, ends, strict=True)
    ]


def cut_points(
    file_of_offset: Iterable[tuple[int, File]],
    most_files: int,
    cost: Callable[[File], int] = lambda _: 1,
) -> list[int]:
    """Return the offsets at which a new claim starts, so that the files of none cost too much.

    Parameters
    ----------
    file_of_offset
        for each message, in order of offset, its offset and the file that it belongs to
    most_files
        the most that the files of a claim may cost; at least 1
    cost
        of a file, at least 1
    """
    points: list[int] = []
    files: set[File] = set()
    spent = 0
    for offset, file in file_of_offset:
        if file in files:
            continue
        if files and spent + cost(file) > most_files:
            points.append(offset)
            files.clear()
            spent = 0
        files.add(file)
        spent += cost(file)
    return points


def _files(batch: AlertBatch) -> list[tuple[str, pa.Table, np.ndarray]]:
    """Return the tables with their fingerprints and the time that each row is filed under."""
    files = [(fingerprint, table, hours_utc(table)) for fingerprint, table in batch.tables]
    days = hours_utc(batch.dead_letters).astype("datetime64[D]")
    return [*files, ("", batch.dead_letters, days)]


def _of_claim(batch: AlertBatch, claim: Claim) -> AlertBatch:
    tables = tuple((name, _rows_of(table, claim)) for name, table in batch.tables)
    tables = tuple((name, table) for name, table in tables if table.num_rows)
    schemas = {name: batch.schemas[name] for name, _ in tables}
    return replace(
        batch,
        claim=claim,
        tables=tables,
        schemas=schemas,
        schema_ids={
            schema_id: name for schema_id, name in batch.schema_ids.items() if name in schemas
        },
        dead_letters=_rows_of(batch.dead_letters, claim),
        gaps=tuple(
            gap for gap in batch.gaps if claim.first_offset <= gap.first_offset <= claim.last_offset
        ),
    )


def _rows_of(table: pa.Table, claim: Claim) -> pa.Table:
    """Return a copy of the rows: a slice would be pickled with the whole table."""
    offsets = table.column("kafka_offset").to_numpy()
    return table.filter(pa.array((offsets >= claim.first_offset) & (offsets <= claim.last_offset)))
