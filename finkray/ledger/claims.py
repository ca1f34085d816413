"""Read the claims of a ledger as Arrow tables, as they are after all revisions."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from finkray.claim import Claim, ClaimResult, TopicPartition
from finkray.ledger.entry import REVISIONS
from finkray.ledger.read import read_tables
from finkray.ledger.table import SCHEMA
from finkray.storage.contract import Storage

_KEY = (*TopicPartition._fields, "first_offset")
"""Identifies a claim: claims do not overlap."""

COLUMNS = [
    name
    for name in SCHEMA.names
    if name not in ("role", "holder", "writer", "published_through", "archive_id")
]


def read_claims(
    storage: Storage, columns: Sequence[str] = tuple(COLUMNS), through_seq: int | None = None
) -> pa.Table:
    """Return one row for each claim, as it is after all revisions, in order of commit.

    Parameters
    ----------
    storage
        of the archive
    columns
        of `finkray.ledger.table.SCHEMA`
    through_seq
        entries after this one are ignored; None reads all
    """
    claims = _concat(_versions(storage, columns, through_seq))
    return _current(claims, _revisions(claims)).select(list(columns))


def claim_tables(storage: Storage, columns: Sequence[str], through_seq: int) -> Iterator[pa.Table]:
    """Yield the rows of `read_claims` in tables, for callers that must not hold all in memory."""
    revised = _concat(map(_revisions, _versions(storage, (), through_seq)))
    for table in _versions(storage, columns, through_seq):
        yield _current(table, revised).select(list(columns))


def read_results(storage: Storage, claims: Sequence[Claim]) -> dict[Claim, ClaimResult]:
    """Return the current results of those claims that the ledger has with the same bounds."""
    requested = set(claims)
    known = read_claims(storage)
    beginnings = pa.array(sorted({claim.first_offset for claim in requested}), pa.int64())
    rows = known.filter(pc.is_in(known["first_offset"], value_set=beginnings))
    results = map(ClaimResult.from_json, rows.to_pylist(maps_as_pydicts="strict"))
    return {result.claim: result for result in results if result.claim in requested}


def archived_schemas(storage: Storage) -> list[tuple[str, str]]:
    """Return each topic with each fingerprint of its alerts' schemas, in order of commit."""
    pairs: dict[tuple[str, str], None] = {}
    for table in _versions(storage, ("topic", "files"), None):
        for batch in table.select(["topic", "files"]).to_batches():
            files = batch.column("files")
            topics = batch.column("topic").take(pc.list_parent_indices(files))
            fingerprints = pc.struct_field(files.flatten(), "schema_fingerprint")
            found = pa.table({"topic": topics, "fingerprint": fingerprints})
            unique = found.group_by(found.column_names, use_threads=False).aggregate([])
            pairs.update(dict.fromkeys(tuple(row.values()) for row in unique.to_pylist()))
    return list(pairs)


def read_unreadable(storage: Storage) -> list[ClaimResult]:
    """Return the claims with record batches that could not be read, in order of commit."""
    known = read_claims(storage)
    rows = known.filter(pc.field("unreadable") > 0).to_pylist(maps_as_pydicts="strict")
    return [ClaimResult.from_json(row) for row in rows]


def _versions(
    storage: Storage, columns: Sequence[str], through_seq: int | None
) -> Iterator[pa.Table]:
    """Yield every version of every claim, with the columns that tell which one is current."""
    names = list(dict.fromkeys([*columns, *_KEY, "seq", "kind", "role"]))
    condition = pc.field("role") == "claim"
    if through_seq is not None:
        condition &= pc.field("seq") <= through_seq
    yield pa.schema([SCHEMA.field(name) for name in names]).empty_table()
    for table in read_tables(storage, columns=names):
        yield table.filter(condition)


def _concat(tables: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables(list(tables))


def _revisions(claims: pa.Table) -> pa.Table:
    return claims.filter(pc.field("kind").isin(REVISIONS))


def _current(claims: pa.Table, revised: pa.Table) -> pa.Table:
    """Return the versions that no later revision replaces."""
    return claims.filter(_is_current(claims, revised)) if len(revised) else claims


def _is_current(claims: pa.Table, revised: pa.Table) -> pa.Array:
    """Return a mask of the rows that no later revision replaces. Revisions are few."""
    last = {_key(row): row["seq"] for row in revised.select([*_KEY, "seq"]).to_pylist()}
    beginnings = pc.unique(revised["first_offset"])
    suspects = pc.indices_nonzero(pc.is_in(claims["first_offset"], value_set=beginnings))
    rows = claims.select([*_KEY, "seq"]).take(suspects).to_pylist()
    replaced = [
        at
        for at, row in zip(suspects.to_pylist(), rows, strict=True)
        if row["seq"] < last.get(_key(row), -1)
    ]
    numbers = pa.array(range(len(claims)), pa.int64())
    return pc.invert(pc.is_in(numbers, value_set=pa.array(replaced, pa.int64())))


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row[name] for name in _KEY)
