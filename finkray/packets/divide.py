"""Dividing a batch that would become too many files into claims of their own.

A claim becomes a file for each hour and schema in it: of a stream, one or two. But timestamps can
be anything, and a task makes files of 2000 absurd ones for a minute. A micro-batch of such claims
is taken for a query that stands still, and ended, and comes again.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from finkray.claim import Claim
from finkray.packets.batch import AlertBatch
from finkray.packets.columns import hours_utc

MAX_FILES = 64
"""Most files of a claim; one takes 20 ms."""


def divide(batch: AlertBatch, most_files: int = MAX_FILES) -> list[AlertBatch]:
    """The batch in parts that follow each other, each of no more files than that."""
    places = [(fingerprint, table, hours_utc(table)) for fingerprint, table in batch.tables]
    days = hours_utc(batch.dead_letters).astype("datetime64[D]")
    places.append(("", batch.dead_letters, days))
    if sum(len(np.unique(times)) for _, _, times in places) <= most_files:
        return [batch]
    placed = sorted(
        (offset, (fingerprint, time))
        for fingerprint, table, times in places
        for offset, time in zip(
            table.column("kafka_offset").to_pylist(), times.tolist(), strict=True
        )
    )
    claim = batch.claim
    starts = [claim.first_offset, *cut_points(placed, most_files)]
    ends = [*(start - 1 for start in starts[1:]), claim.last_offset]
    return [
        _part(batch, Claim(claim.source, first, last))
        for first, last in zip(starts, ends, strict=True)
    ]


def cut_points(placed: Iterable[tuple[int, object]], most_files: int) -> list[int]:
    """The offsets at which a new claim begins, lest one have more files than that.

    Parameters
    ----------
    placed
        for each message, in order of offset, its offset and the file that it would stand in
    most_files
        at least 1
    """
    points: list[int] = []
    met: set[object] = set()
    for offset, file in placed:
        if file not in met and len(met) == most_files:
            points.append(offset)
            met.clear()
        met.add(file)
    return points


def _part(batch: AlertBatch, claim: Claim) -> AlertBatch:
    tables = tuple((name, _rows_of(table, claim)) for name, table in batch.tables)
    tables = tuple((name, table) for name, table in tables if table.num_rows)
    schemas = {name: batch.schemas[name] for name, _ in tables}
    return replace(
        batch,
        claim=claim,
        tables=tables,
        schemas=schemas,
        schema_ids={n: name for n, name in batch.schema_ids.items() if name in schemas},
        dead_letters=_rows_of(batch.dead_letters, claim),
        gaps=tuple(
            gap for gap in batch.gaps if claim.first_offset <= gap.first_offset <= claim.last_offset
        ),
    )


def _rows_of(table: pa.Table, claim: Claim) -> pa.Table:
    """A copy: a mere slice would carry the whole table along when it travels."""
    offsets = table.column("kafka_offset").to_numpy()
    return table.filter(pa.array((offsets >= claim.first_offset) & (offsets <= claim.last_offset)))
