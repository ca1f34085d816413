"""Write one claim into staging: durable files that no reader sees yet.

Writer schemas are written to their final path at once. A schema is named by its own hash, so it
does no harm there if the claim is never committed.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import NamedTuple

import pyarrow as pa

from finkray.claim import ClaimResult, DataFile, StagedClaim
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
    for fingerprint, text in batch.schemas.items():
        keep_schema(storage, fingerprint, text)
    for schema_id, fingerprint in batch.schema_ids.items():
        keep_schema_id(storage, batch.claim.source.cluster_id, schema_id, fingerprint)
    files: list[DataFile] = []
    staged: dict[str, str] = {}
    for planned in (*_alerts(batch), *_dead_letters(batch)):
        path = f"{staging}/{attempt}-{len(staged)}.parquet"
        with storage.stage(path) as sink:
            crc32 = write_table(planned.table, sink)
            size_bytes = sink.tell()
        staged[planned.file.path] = path
        files.append(replace(planned.file, size_bytes=size_bytes, crc32=crc32))
    reasons = Counter(batch.dead_letters.column("reason").to_pylist())
    result = ClaimResult(
        claim=batch.claim,
        files=tuple(file for file in files if file.schema_fingerprint is not None),
        dead_letter_files=tuple(file for file in files if file.schema_fingerprint is None),
        dead_letters_by_reason=tuple(sorted(reasons.items())),
        gaps=batch.gaps,
    )
    return StagedClaim(result, staged)


class _PlannedFile(NamedTuple):
    """A file to write: its rows, and its entry in the ledger but for size and checksum."""

    table: pa.Table
    file: DataFile


def _alerts(batch: AlertBatch) -> Iterator[_PlannedFile]:
    source = batch.claim.source
    for fingerprint, table in batch.tables:
        for hour, rows in split_by(hours_utc(table), table):
            hour_utc = hour.astype(datetime).replace(tzinfo=UTC)
            first, last = _offsets(rows)
            path = alerts_path(source, hour_utc, first, last, fingerprint)
            file = DataFile(path, rows.num_rows, 0, first, last, fingerprint, hour_utc.isoformat())
            yield _PlannedFile(rows, file)


def _dead_letters(batch: AlertBatch) -> Iterator[_PlannedFile]:
    table = batch.dead_letters
    if table.num_rows == 0:
        return
    days = hours_utc(table).astype("datetime64[D]")
    for day, rows in split_by(days, table):
        first, last = _offsets(rows)
        path = dead_letters_path(batch.claim.source, day.astype(date), first, last)
        yield _PlannedFile(rows, DataFile(path, rows.num_rows, 0, first, last))


def _offsets(table: pa.Table) -> tuple[int, int]:
    """Return the first and the last offset of a table, whose rows are in order of offset."""
    offsets = table.column("kafka_offset")
    return offsets[0].as_py(), offsets[-1].as_py()
