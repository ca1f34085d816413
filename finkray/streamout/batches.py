"""Cut the alerts of files into batches for a filter, and put its verdicts together by file.

A batch costs a filter's process and its driver a millisecond, however few alerts it has. So it has
alerts of several files, where these are small.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from finkray.streamout.filter_file import FilterFile
from finkray.streamout.verdict import NOT_JUDGED, Verdicts


@dataclass(frozen=True, slots=True)
class FilterInput:
    """What a filter reads of a file.

    Attributes
    ----------
    definition
        the filter
    columns
        of the file, under the names of its arguments
    rows
        those that it judges, ascending
    """

    definition: FilterFile
    columns: pa.Table
    rows: np.ndarray


@dataclass(slots=True)
class FileVerdicts:
    """The verdicts of filters on the alerts of a file.

    Attributes
    ----------
    path
        of the file
    alerts
        how many it has
    verdicts
        by filter
    answers
        the records of services that were read, by service
    inputs
        of the filters that judge it, by their name
    waiting
        filters that wait for results of services
    """

    path: str
    alerts: int
    verdicts: dict[str, Verdicts] = field(default_factory=dict)
    answers: dict[str, pa.ChunkedArray] = field(default_factory=dict)
    inputs: dict[str, FilterInput] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class FileRows:
    """Some rows of a file, for one filter: the number of the file, its columns, and the rows."""

    file: int
    columns: pa.Table
    rows: np.ndarray


def next_batch(file_rows: Sequence[FileRows], most: int) -> tuple[list[FileRows], list[FileRows]]:
    """Return the rows of the next batch of at most so many alerts, and those of later ones.

    A batch has columns of one type each: writer schemas differ.
    """
    batch: list[FileRows] = []
    room = most
    for number, each in enumerate(file_rows):
        if not room or (batch and each.columns.schema != batch[0].columns.schema):
            return batch, list(file_rows[number:])
        if len(each.rows) > room:
            batch.append(FileRows(each.file, each.columns, each.rows[:room]))
            rest = FileRows(each.file, each.columns, each.rows[room:])
            return batch, [rest, *file_rows[number + 1 :]]
        batch.append(each)
        room -= len(each.rows)
    return batch, []


def batch_columns(batch: Sequence[FileRows]) -> pa.Table:
    """Return the columns of a batch: mostly whole tables, of which none is copied if it is one."""
    tables = [
        each.columns
        if len(each.rows) == each.columns.num_rows
        else each.columns.take(pa.array(each.rows))
        for each in batch
    ]
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()


def split_verdicts(verdicts: Verdicts, batch: Sequence[FileRows]) -> list[Verdicts]:
    """Return the verdicts of a batch, apart for the rows of each file."""
    ends = np.cumsum([len(each.rows) for each in batch])
    out = [Verdicts(codes) for codes in np.split(verdicts.codes, ends[:-1])]
    for reason, rows in verdicts.reasons.items():
        for row in rows:
            number = int(np.searchsorted(ends, row, side="right"))
            begin = int(ends[number - 1]) if number else 0
            out[number].reasons.setdefault(reason, []).append(row - begin)
    return out


def join_verdicts(
    judged_rows: Iterable[tuple[FileRows, Verdicts]],
    filter_input: FilterInput,
    alerts: int,
    *,
    excluded: Mapping[int, str],
    not_read: str,
) -> Verdicts:
    """Return the verdicts of a filter for a whole file.

    Parameters
    ----------
    judged_rows
        rows of the file, batch by batch, with their verdicts
    filter_input
        what the filter read
    alerts
        of the file
    excluded
        why rows are not judged any more, by row
    not_read
        why the rows are not judged that the filter did not read
    """
    codes = np.full(alerts, NOT_JUDGED, np.uint8)
    reasons: dict[str, list[int]] = {}
    for each, verdicts in judged_rows:
        codes[each.rows] = verdicts.codes
        for reason, rows in verdicts.reasons.items():
            reasons.setdefault(reason, []).extend(each.rows[rows].tolist())
    reads_all = len(filter_input.rows) == alerts
    judged = set(filter_input.rows.tolist()) if excluded or not reads_all else set()
    for row, reason in excluded.items():
        if row in judged:
            reasons.setdefault(reason, []).append(row)
    if not reads_all:
        reasons[not_read] = sorted(set(range(alerts)) - judged)
    return Verdicts(codes, reasons)
