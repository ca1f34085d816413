"""Convert entries of the ledger to Arrow tables, the form of compacted files, and sum these up.

One row for each claim of an entry (role ``claim``; ``superseded`` for a claim as it was before a
revision), for each start of a partition (``start``, at `first_offset`), and one for an entry
that has none of them (``entry``). The columns are those of the entry and of `ClaimResult`, and
the sums of each claim. `staged` is left out: an entry is compacted only when all its files are
published.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from finkray.claim import ClaimResult, TopicPartition
from finkray.errors import LedgerCorrupt
from finkray.intervals import IntervalSet
from finkray.ledger.entry import RESTORE, REVISIONS, Entry
from finkray.ledger.state import LedgerState, Totals

_FILE = pa.struct(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("first_offset", pa.int64(), nullable=False),
        pa.field("last_offset", pa.int64(), nullable=False),
        pa.field("schema_fingerprint", pa.string()),
        pa.field("hour_utc", pa.string()),
        pa.field("crc32", pa.int64()),
        pa.field("first_row", pa.int64()),
        pa.field("file_rows", pa.int64()),
    ]
)
_GAP = pa.struct(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("first_offset", pa.int64(), nullable=False),
        pa.field("last_offset", pa.int64(), nullable=False),
    ]
)
_SPAN = pa.struct(
    [
        pa.field("first_offset", pa.int64(), nullable=False),
        pa.field("last_offset", pa.int64(), nullable=False),
    ]
)
_SOURCE_FIELDS = TopicPartition._fields
_SUM_FIELDS = ("archived", "dead_lettered", "expired", "not_delivered", "unreadable")

SCHEMA = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("epoch", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("writer", pa.string(), nullable=False),
        pa.field("published_through", pa.int64(), nullable=False),
        pa.field("holder", pa.string()),
        pa.field("remade", pa.list_(pa.string())),
        pa.field("archive_id", pa.string()),
        pa.field("role", pa.string(), nullable=False),
        pa.field("cluster_id", pa.string()),
        pa.field("topic", pa.string()),
        pa.field("topic_id", pa.string()),
        pa.field("partition", pa.int32()),
        pa.field("first_offset", pa.int64()),
        pa.field("last_offset", pa.int64()),
        *(pa.field(name, pa.int64()) for name in _SUM_FIELDS),
        pa.field("files", pa.list_(_FILE)),
        pa.field("dead_letter_files", pa.list_(_FILE)),
        pa.field("dead_letters_by_reason", pa.map_(pa.string(), pa.int64())),
        pa.field("gaps", pa.list_(_GAP)),
        pa.field("resolved", pa.list_(_SPAN)),
    ],
    metadata={"finkray.ledger.format": "1"},
)

STATE_COLUMNS = [
    name for name in SCHEMA.names if name not in ("files", "dead_letter_files", "gaps", "resolved")
]
"""The columns that `add_to_state` needs: flat ones, a small part of the bytes of a file."""


def to_table(entries: Iterable[Entry]) -> pa.Table:
    """Convert entries to rows."""
    return pa.Table.from_pylist([row for entry in entries for row in _rows(entry)], SCHEMA)


def to_entries(table: pa.Table) -> Iterator[Entry]:
    """Convert rows back to entries, without `staged`."""
    for _, rows in groupby(table.to_pylist(maps_as_pydicts="strict"), key=lambda row: row["seq"]):
        yield _entry(list(rows))


def add_to_state(state: LedgerState, table: pa.Table, first_seq: int, last_seq: int) -> None:
    """Add all entries from `first_seq` to `last_seq` to the state at once.

    Parameters
    ----------
    state
        the sum of the entries before; it is changed
    table
        the `STATE_COLUMNS` of the entries

    Raises
    ------
    LedgerCorrupt
        if an entry is missing, or claims contradict each other or the state
    """
    _refuse_missing(table["seq"].to_numpy(), first_seq, last_seq)
    epochs = table["epoch"].to_numpy()
    if first_seq != state.last_seq + 1 or epochs[0] < state.epoch or np.any(np.diff(epochs) < 0):
        raise LedgerCorrupt(f"entries {first_seq} to {last_seq} do not follow {state.last_seq}")
    role = table["role"]
    for start in table.filter(pc.equal(role, "start")).to_pylist():
        state.add_start(_source(start), start["first_offset"])
    claims = table.filter(pc.equal(role, "claim"))
    superseded = table.filter(pc.equal(role, "superseded"))
    revised = pc.is_in(claims["kind"], value_set=pa.array(REVISIONS))
    covered = _coverage(claims.filter(pc.invert(revised)))
    before = _totals(superseded)
    for source, totals in _totals(claims).items():
        state.add_range(
            source, covered.get(source, IntervalSet()), totals - before.get(source, Totals())
        )
    state.dead_letters_by_reason.update(_reasons(claims))
    state.dead_letters_by_reason.subtract(_reasons(superseded))
    state.forget_reasons_without_letters()
    for archive_id in pc.unique(table["archive_id"]).to_pylist():
        state.add_archive_id(archive_id, last_seq)
    state.last_seq = last_seq
    state.epoch = int(epochs[-1])
    state.published_through = max(
        state.published_through, pc.max(table["published_through"]).as_py()
    )


def _rows(entry: Entry) -> Iterator[dict[str, Any]]:
    head = {
        "seq": entry.seq,
        "epoch": entry.epoch,
        "kind": entry.kind,
        "at": entry.at,
        "writer": entry.writer,
        "published_through": entry.published_through,
        "holder": None if entry.holder is None else json.dumps(dict(entry.holder)),
        "remade": list(entry.remade),
        "archive_id": entry.archive_id,
    }
    if not (entry.claims or entry.superseded or entry.starts):
        yield head | {"role": "entry"}
    for source, offset in entry.starts:
        yield head | {"role": "start", **source._asdict(), "first_offset": offset}
    for role, results in (("superseded", entry.superseded), ("claim", entry.claims)):
        for result in results:
            totals = Totals.of(result)
            sums = {name: getattr(totals, name) for name in _SUM_FIELDS}
            yield head | {"role": role, **result.to_json(), **sums}


def _entry(rows: Sequence[dict[str, Any]]) -> Entry:
    head = rows[0]
    return Entry(
        seq=head["seq"],
        epoch=head["epoch"],
        kind=head["kind"],
        at=head["at"],
        writer=head["writer"],
        published_through=head["published_through"],
        claims=tuple(ClaimResult.from_json(row) for row in rows if row["role"] == "claim"),
        superseded=tuple(ClaimResult.from_json(row) for row in rows if row["role"] == "superseded"),
        starts=tuple((_source(row), row["first_offset"]) for row in rows if row["role"] == "start"),
        remade=tuple(head["remade"]),
        holder=None if head["holder"] is None else json.loads(head["holder"]),
        archive_id=head["archive_id"],
    )


def _source(row: dict[str, Any]) -> TopicPartition:
    return TopicPartition(*(row[name] for name in _SOURCE_FIELDS))


def _refuse_missing(seqs: npt.NDArray[np.int64], first_seq: int, last_seq: int) -> None:
    # Rows of an entry are adjacent, and entries in order: this keeps one number of each.
    present = seqs[np.flatnonzero(np.diff(seqs, prepend=first_seq - 1))]
    if not np.array_equal(present, np.arange(first_seq, last_seq + 1)):
        raise LedgerCorrupt(
            f"the file of entries {first_seq} to {last_seq} does not hold each of them once: "
            f"{RESTORE}"
        )


def _totals(claims: pa.Table) -> dict[TopicPartition, Totals]:
    sums = claims.group_by(list(_SOURCE_FIELDS)).aggregate(
        [("seq", "count"), *((name, "sum") for name in _SUM_FIELDS)]
    )
    return {
        # Null where a file is older than the first unreadable gap.
        _source(row): Totals(row["seq_count"], *(row[f"{name}_sum"] or 0 for name in _SUM_FIELDS))
        for row in sums.to_pylist()
    }


def _coverage(claims: pa.Table) -> dict[TopicPartition, IntervalSet]:
    """Return the offsets of the claims of each partition."""
    ordered = claims.select([*_SOURCE_FIELDS, "first_offset", "last_offset"]).sort_by(
        [(name, "ascending") for name in (*_SOURCE_FIELDS, "first_offset")]
    )
    if not len(ordered):
        return {}
    firsts = ordered["first_offset"].to_numpy()
    lasts = ordered["last_offset"].to_numpy()
    changes = np.zeros(len(firsts), dtype=bool)
    for name in _SOURCE_FIELDS:
        column = ordered[name].combine_chunks()
        changes[1:] |= pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    begins = changes.copy()
    begins[0] = True
    begins[1:] |= firsts[1:] != lasts[:-1] + 1
    # If a claim begins before the previous one of its partition ends, `add` raises below.
    at = np.flatnonzero(begins)
    ends = np.append(at[1:], len(firsts)) - 1
    sources = ordered.select(list(_SOURCE_FIELDS)).take(at).to_pylist()
    covered: dict[TopicPartition, IntervalSet] = {}
    for source, first, last in zip(sources, firsts[at].tolist(), lasts[ends].tolist(), strict=True):
        try:
            covered.setdefault(_source(source), IntervalSet()).add(first, last)
        except ValueError as error:
            raise LedgerCorrupt(f"{_source(source)}: offsets claimed twice: {error}") from error
    return covered


def _reasons(claims: pa.Table) -> dict[str, int]:
    column = claims["dead_letters_by_reason"].combine_chunks()
    counts = pa.table({"reason": column.keys, "count": column.items})
    sums = counts.group_by("reason").aggregate([("count", "sum")])
    return {row["reason"]: row["count_sum"] for row in sums.to_pylist()}
