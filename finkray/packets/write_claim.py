"""Write claims into staging: durable files that no reader sees yet.

Each claim has files of its own, or the small claims of a trickle share one file for each hour and
schema. In a shared file the alerts of each claim lie together, in order of partition and offset.

Writer schemas are written to their final path at once. A schema is named by its own hash, so it
does no harm there if the claim is never committed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import accumulate
from typing import NamedTuple

import pyarrow as pa

from finkray.claim import Claim, ClaimResult, DataFile, StagedClaim
from finkray.packets.batch import AlertBatch
from finkray.packets.columns import hours_utc, split_by
from finkray.storage.contract import Storage
from finkray.storage.layout import alerts_path, dead_letters_path
from finkray.storage.parquet import write_table
from finkray.storage.schema_ids import keep_schema_id
from finkray.storage.schemas import keep_schema


def write_claim(batch: AlertBatch, storage: Storage, staging: str, attempt: str) -> StagedClaim:
    """Write a claim's alerts and dead letters as Parquet files into staging.

    Parameters
    ----------
    batch
        the decoded claim
    storage
        of the archive
    staging
        the folder to write into
    attempt
        identifies this attempt at the claim in the files' names

    Raises
    ------
    StorageError
        if the storage refuses; the next start deletes what was written
    """
    (staged,) = write_claims([batch], storage, staging, attempt)
    return staged


def write_claims(
    batches: Sequence[AlertBatch], storage: Storage, staging: str, attempt: str
) -> list[StagedClaim]:
    """Write claims of one incarnation of a topic, which share files; return them in their order.

    Parameters and errors are those of `write_claim`.
    """
    for batch in batches:
        for fingerprint, text in batch.schemas.items():
            keep_schema(storage, fingerprint, text)
        for schema_id, fingerprint in batch.schema_ids.items():
            keep_schema_id(storage, batch.claim.source.cluster_id, schema_id, fingerprint)
    files: dict[Claim, list[DataFile]] = {batch.claim: [] for batch in batches}
    staged: dict[Claim, dict[str, str]] = {batch.claim: {} for batch in batches}
    for number, shares in enumerate(_files(batches)):
        path = f"{staging}/{attempt}-{number}.parquet"
        with storage.stage(path, shares[0].file.path) as sink:
            crc32 = write_table(pa.concat_tables([share.table for share in shares]), sink)
            size_bytes = sink.tell()
        for share in shares:
            file = replace(share.file, size_bytes=size_bytes, crc32=crc32)
            files[share.claim].append(file)
            staged[share.claim][file.path] = path
    return [
        StagedClaim(_result(batch, files[batch.claim]), staged[batch.claim]) for batch in batches
    ]


def _result(batch: AlertBatch, files: Sequence[DataFile]) -> ClaimResult:
    reasons = Counter(batch.dead_letters.column("reason").to_pylist())
    return ClaimResult(
        claim=batch.claim,
        files=tuple(file for file in files if file.schema_fingerprint is not None),
        dead_letter_files=tuple(file for file in files if file.schema_fingerprint is None),
        dead_letters_by_reason=tuple(sorted(reasons.items())),
        gaps=batch.gaps,
    )


class _Share(NamedTuple):
    """The rows of a claim in a file; and the file as the ledger names it, without size and CRC."""

    claim: Claim
    table: pa.Table
    file: DataFile


def _files(batches: Sequence[AlertBatch]) -> Iterator[list[_Share]]:
    """Yield the shares of the claims in each file to write."""
    by_content: dict[tuple[str | None, str | None], list[_Share]] = {}
    for batch in sorted(batches, key=lambda batch: batch.claim):
        for share in _alerts(batch):
            key = share.file.hour_utc, share.file.schema_fingerprint
            shares = by_content.setdefault(key, [])
            if shares and shares[0].table.schema != share.table.schema:
                yield [share]
            else:
                shares.append(share)
    for shares in by_content.values():
        yield _in_one_file(shares) if len(shares) > 1 else shares
    for batch in batches:
        yield from ([share] for share in _dead_letters(batch))


def _in_one_file(shares: Sequence[_Share]) -> list[_Share]:
    """Return the shares of claims in one file, one after the other."""
    first = shares[0].file
    path = alerts_path(
        shares[0].claim.source,
        datetime.fromisoformat(str(first.hour_utc)),
        first.first_offset,
        first.last_offset,
        str(first.schema_fingerprint),
        others=len(shares) - 1,
    )
    ends = list(accumulate(share.file.rows for share in shares))
    return [
        share._replace(
            file=replace(share.file, path=path, first_row=end - share.file.rows, file_rows=ends[-1])
        )
        for share, end in zip(shares, ends, strict=True)
    ]


def _alerts(batch: AlertBatch) -> Iterator[_Share]:
    source = batch.claim.source
    for fingerprint, table in batch.tables:
        for hour, rows in split_by(hours_utc(table), table):
            hour_utc = hour.astype(datetime).replace(tzinfo=UTC)
            first, last = _offsets(rows)
            path = alerts_path(source, hour_utc, first, last, fingerprint)
            file = DataFile(path, rows.num_rows, 0, first, last, fingerprint, hour_utc.isoformat())
            yield _Share(batch.claim, rows, file)


def _dead_letters(batch: AlertBatch) -> Iterator[_Share]:
    table = batch.dead_letters
    if table.num_rows == 0:
        return
    days = hours_utc(table).astype("datetime64[D]")
    for day, rows in split_by(days, table):
        first, last = _offsets(rows)
        path = dead_letters_path(batch.claim.source, day.astype(date), first, last)
        yield _Share(batch.claim, rows, DataFile(path, rows.num_rows, 0, first, last))


def _offsets(table: pa.Table) -> tuple[int, int]:
    """Return the first and the last offset of a table, whose rows are in order of offset."""
    offsets = table.column("kafka_offset")
    return offsets[0].as_py(), offsets[-1].as_py()
