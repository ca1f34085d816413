"""Compact a ledger: merge many small files into few, while others read and append.

A crash at any point is harmless, and so are several processes that compact at once: entries never
change, the wider file is durable under its name before a narrower file is deleted, and a reader
that finds both reads the wider. The next run deletes what a crash leaves behind.
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from finkray.ledger.entry import log_path
from finkray.ledger.read import LedgerFileGone, log_entries, read_files, segment_tables
from finkray.ledger.segment import Segment, next_compaction
from finkray.ledger.table import SCHEMA, to_table
from finkray.storage.contract import PublishOutcome, Storage

GROUP_ROWS = 16_384
"""Minimum number of rows in a row group of a wide file: what a reader holds in memory."""


def compact(storage: Storage, through_seq: int, staging: str) -> int:
    """Write every compacted file that is due, and delete the files that it replaces.

    Parameters
    ----------
    storage
        storage of the ledger
    through_seq
        the last entry whose files are all published
    staging
        folder that only the caller uses, for files that are being written

    Returns
    -------
    int
        number of files written
    """
    written = 0
    while True:
        files = read_files(storage)
        storage.delete(files.left_over)
        segment = next_compaction(files, through_seq)
        if segment is None or not _write(storage, segment, staging):
            return written
        written += 1


def _write(storage: Storage, segment: Segment, staging: str) -> bool:
    """Write a segment and delete its parts; False if another process is compacting too."""
    staged = f"{staging}/{segment.path.replace('/', '-')}"
    storage.delete([staged])
    try:
        with (
            storage.stage(staged) as sink,
            pq.ParquetWriter(sink, SCHEMA, compression="zstd", write_page_checksum=True) as out,
        ):
            for table in _groups(_content(storage, segment)):
                out.write_table(table, row_group_size=len(table))
    except LedgerFileGone:
        return False
    outcome = storage.publish({segment.path: staged})[segment.path]
    if outcome not in (PublishOutcome.MOVED, PublishOutcome.ALREADY_THERE):
        storage.delete([staged])
        return False
    storage.delete(_parts(segment))
    return True


def _content(storage: Storage, segment: Segment) -> Iterator[pa.Table]:
    if segment.level == 0:
        yield to_table(log_entries(storage, range(segment.first_seq, segment.last_seq + 1)))
    else:
        for part in segment.parts:
            yield from segment_tables(storage, part, -1, SCHEMA.names)


def _parts(segment: Segment) -> list[str]:
    if segment.level == 0:
        return [log_path(seq) for seq in range(segment.first_seq, segment.last_seq + 1)]
    return [part.path for part in segment.parts]


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield larger tables: each of them, and so each row group, holds whole entries."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= GROUP_ROWS:
            yield pa.concat_tables(waiting)
            waiting.clear()
    if waiting:
        yield pa.concat_tables(waiting)
