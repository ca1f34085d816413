"""Divide a batch that would become too many files into smaller claims.

A claim becomes one file for each hour and schema in it: one or two in a normal stream. But
timestamps can be anything, and a task takes a minute to write files for 2000 absurd ones. The
driver would take a micro-batch of such claims for a query that hangs, restart the query, and
dispatch the same claims again.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from finkray.claim import Claim
from finkray.packets.batch import AlertBatch
from finkray.packets.columns import hours_utc

MAX_FILES = 64
"""The most files of a claim; one takes 20 ms to write."""


def divide(batch: AlertBatch, most_files: int = MAX_FILES) -> list[AlertBatch]:
    """Return the batch as consecutive smaller ones, each of at most this many files."""
    hours = [(fingerprint, table, hours_utc(table)) for fingerprint, table in batch.tables]
    days = hours_utc(batch.dead_letters).astype("datetime64[D]")
    hours.append(("", batch.dead_letters, days))
    if sum(len(np.unique(times)) for _, _, times in hours) <= most_files:
        return [batch]
    file_of_offset = sorted(
        (offset, (fingerprint, time))
        for fingerprint, table, times in hours
        for offset, time in zip(
            table.column("kafka_offset").to_pylist(), times.tolist(), strict=True
        )
    )
    claim = batch.claim
    starts = [claim.first_offset, *cut_points(file_of_offset, most_files)]
    ends = [*(start - 1 for start in starts[1:]), claim.last_offset]
    return [
        _of_claim(batch, Claim(claim.source, first, last))
        for first, last in zip(starts, ends, strict=True)
    ]


def cut_points(file_of_offset: Iterable[tuple[int, object]], most_files: int) -> list[int]:
    """Return the offsets at which a new claim starts, so that none has too many files.

    Parameters
    ----------
    file_of_offset
        for each message, in order of offset, its offset and the file that it belongs to
    most_files
        at least 1
    """
    points: list[int] = []
    files: set[object] = set()
    for offset, file in file_of_offset:
        if file not in files and len(files) == most_files:
            points.append(offset)
            files.clear()
        files.add(file)
    return points


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
