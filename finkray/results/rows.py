"""The rows of one file of results: their keys, and the offsets that they account for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from finkray.claim import Claim, Gap
from finkray.results.store import result_schema
from finkray.services.columns import pick, read_columns
from finkray.services.contract import RESULT_COLUMNS
from finkray.services.service import Described
from finkray.surveys import SURVEYS

_ALERT_IDS = tuple(path for survey in SURVEYS.values() for path in survey.alert_ids)
_OBJECT_IDS = tuple(path for survey in SURVEYS.values() for path in survey.object_ids)
"""The id of an alert is the first of these columns that is not null."""

_KEYS = ("kafka_topic", "kafka_partition", "kafka_offset", "kafka_timestamp", "obs_night")

_NAMES = (*_KEYS, *_ALERT_IDS, *_OBJECT_IDS)


def read_keys(source: BinaryIO | str) -> pa.Table:
    """Read the keys of the alerts of a file.

    Returns
    -------
    Table
        with the first columns of `finkray.services.contract.RESULT_COLUMNS`, up to `object_id`
    """
    return _keys(read_columns(source, _NAMES))


def keys_of(alerts: pa.Table) -> pa.Table:
    """Return the keys of nested alerts in memory, as `read_keys` does."""
    return _keys(pick(alerts, _NAMES))


def _keys(table: pa.Table) -> pa.Table:
    ids = {
        "alert_id": _first_of(table, _ALERT_IDS, pa.int64()),
        "object_id": _first_of(table, _OBJECT_IDS, pa.string()),
    }
    columns = [table[name].cast(RESULT_COLUMNS.field(name).type) for name in _KEYS]
    return pa.table([*columns, *ids.values()], names=[*_KEYS, *ids])


def _first_of(table: pa.Table, names: Sequence[str], type_: pa.DataType) -> pa.ChunkedArray:
    return pc.coalesce(*(table[name].cast(type_) for name in names))


@dataclass(frozen=True, slots=True)
class RowAnswers:
    """The answers of a service for some rows of a file.

    Attributes
    ----------
    first_row
        number of the first of the rows in the file
    table
        the service's columns, null where an alert has an error or was skipped
    status, reason
        status and reason of each row
    """

    first_row: int
    table: pa.Table
    status: Sequence[str]
    reason: Sequence[str | None]


def result_table(
    keys: pa.Table, answers: Sequence[RowAnswers], about: Described, now: datetime
) -> pa.Table:
    """Return the rows of a file of results.

    Parameters
    ----------
    keys
        keys of the file of alerts, as `read_keys` returns them
    answers
        the answers, in any order, which together have each row once
    about
        the service
    now
        when the answers were computed
    """
    ordered = sorted(answers, key=lambda answer: answer.first_row)
    rows = keys.num_rows
    schema = result_schema(about.output)
    own = pa.schema(list(schema)[len(RESULT_COLUMNS) :])
    added = pa.concat_tables([*(answer.table.cast(own) for answer in ordered), own.empty_table()])
    if added.num_rows != rows:
        raise ValueError(f"{added.num_rows} answers for {rows} alerts")
    status = [value for answer in ordered for value in answer.status]
    reason = [value for answer in ordered for value in answer.reason]
    shared = {
        "service": pa.repeat(about.name, rows),
        "version": pa.repeat(about.version, rows),
        "status": pa.array(status, pa.string()),
        "reason": pa.array(reason, pa.string()),
        "computed_at": pa.repeat(pa.scalar(now.astimezone(UTC), pa.timestamp("us", "UTC")), rows),
    }
    columns = [
        shared[name] if name in shared else keys[name].cast(RESULT_COLUMNS.field(name).type)
        for name in RESULT_COLUMNS.names
    ]
    return pa.table([*columns, *added.columns], schema=schema)


def covered_offsets(claim: Claim, gaps: Sequence[Gap]) -> np.ndarray:
    """Return the offsets of a claim that are in no gap, in order."""
    is_covered = np.ones(claim.offsets, bool)
    for gap in gaps:
        is_covered[
            gap.first_offset - claim.first_offset : gap.last_offset - claim.first_offset + 1
        ] = 0
    return np.flatnonzero(is_covered) + claim.first_offset


def gaps_between(claim: Claim, offsets: np.ndarray) -> tuple[Gap, ...]:
    """Return the offsets of a claim that are not in a list, as gaps.

    Parameters
    ----------
    claim
        the range
    offsets
        the offsets that have a result, in order
    """
    ends = np.concatenate([[claim.first_offset - 1], offsets, [claim.last_offset + 1]])
    before = np.flatnonzero(np.diff(ends) > 1)
    return tuple(Gap("not_delivered", int(ends[at]) + 1, int(ends[at + 1]) - 1) for at in before)
