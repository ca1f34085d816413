"""Write the narrow columns of a night: those of the hourly files without images and lists.

Readers of the archive take them in place of the hourly files (`finkray.nights`), so they have each
alert of the night, also those without a position, under the columns and folders of these files.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from catalogs.nights.inputs import NightFile
from finkray.nights.layout import LEFT_OUT, SOURCES, SOURCES_FILE, narrow_file
from finkray.storage.contract import Storage

GROUP_ROWS: Final = 50_000
"""Rows in a row group: some 20 MB of ZTF's alerts."""

_COMPRESSION_LEVEL: Final = 3


class NarrowWriter:
    """Writes the narrow columns of a generation, hour by hour; see `narrow_writer`.

    Attributes
    ----------
    rows
        rows that were added
    """

    def __init__(self, storage: Storage, generation: str, schema: pa.Schema) -> None:
        self.rows = 0
        self._storage = storage
        self._generation = generation
        self._schema = schema
        self._open = ExitStack()
        self._folder: str | None = None
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._sources: list[tuple[str, int, int, int]] = []

    def add(self, file: NightFile, alerts: pa.Table) -> None:
        """Add the alerts of the night in a file; files come in order of their paths."""
        if not alerts.num_rows:
            return
        folder = file.path.rpartition("/")[0]
        if folder != self._folder:
            self._end_hour()
            self._begin_hour(folder)
        names = [name for name in self._schema.names if name in alerts.column_names]
        self._waiting.append(alerts.select(names))
        self._sources.append((file.path, file.size_bytes, file.rows, alerts.num_rows))
        self.rows += alerts.num_rows
        if sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._write_group()

    def close(self, left_out: list[str]) -> None:
        """End the last file, and write which hourly files were read."""
        self._end_hour()
        columns = zip(*self._sources, strict=True) if self._sources else ([] for _ in SOURCES)
        table = pa.table([list(column) for column in columns], schema=SOURCES)
        table = table.replace_schema_metadata({LEFT_OUT: json.dumps(left_out)})
        path = f"{self._generation}/{SOURCES_FILE}"
        self._storage.delete([path])
        with self._storage.stage(path) as sink:
            pq.write_table(table, sink, compression="zstd")

    def abandon(self, error: BaseException) -> None:
        """Leave the file that is being written."""
        self._open.__exit__(type(error), error, error.__traceback__)

    def _begin_hour(self, folder: str) -> None:
        path = narrow_file(self._generation, folder)
        self._storage.delete([path])  # what a crash left
        sink = self._open.enter_context(self._storage.stage(path))
        self._writer = self._open.enter_context(
            pq.ParquetWriter(
                sink, self._schema, compression="zstd", compression_level=_COMPRESSION_LEVEL
            )
        )
        self._folder = folder

    def _end_hour(self) -> None:
        self._write_group()
        self._open.close()
        self._writer = None

    def _write_group(self) -> None:
        if self._writer is None or not self._waiting:
            return
        # The first table gives order and types of columns and fields; what is missing is null.
        tables = [self._schema.empty_table(), *self._waiting]
        rows = pa.concat_tables(tables, promote_options="permissive")
        self._writer.write_table(rows.combine_chunks(), row_group_size=GROUP_ROWS * 2)
        self._waiting = []


@contextmanager
def narrow_writer(
    storage: Storage, generation: str, schema: pa.Schema, left_out: list[str]
) -> Iterator[NarrowWriter]:
    """Write the narrow columns of a generation; all are durable when the block ends.

    Parameters
    ----------
    storage
        of the archive
    generation
        its folder
    schema
        of the narrow columns
    left_out
        names of the columns that are not narrow
    """
    writer = NarrowWriter(storage, generation, schema)
    try:
        yield writer
    except BaseException as error:
        writer.abandon(error)
        raise
    writer.close(left_out)
