"""Read the alerts of a file: the columns of all filters once, then those of what passed.

To open a file of some dozen alerts takes longer than to read it. So of a small file, what messages
were made of last is read with the columns of the filters.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.avro.schema import WriterSchema
from finkray.errors import SchemaError
from finkray.packets.columns import archived_columns
from finkray.results.joined import KEYS, ResultFiles
from finkray.results.store import ResultsStore, last_written, list_stores, result_path
from finkray.services.columns import parquet_paths, pick
from finkray.storage.contract import Storage
from finkray.storage.schemas import read_schema
from finkray.streamout.filter_columns import FilterColumns
from finkray.streamout.output_schema import (
    SOURCE_COLUMNS,
    OutputSchema,
    Services,
    service_record_type,
    survey_name,
)
from finkray.streamout.wire import OBJECT_COLUMNS

STORES_S: Final = 5.0
"""How long the list of results is kept: making it takes some listings of folders."""

READ_AHEAD_BYTES: Final = 256 * 2**10
"""A file is read at once if what messages are made of takes no more of it: with 34 alerts of ZTF
and ten filters, lite, it takes 5 ms of CPU in place of 7."""

READ_AHEAD_FILES: Final = 64
"""Most files that are kept: those of a step."""

_STATE_COLUMNS: Final = ("status", "version", "computed_at")


@dataclass(frozen=True, slots=True)
class PacketSchema:
    """A writer schema of the archive.

    Attributes
    ----------
    text
        as JSON
    columns
        of the archive, for its packets
    survey
        whose packets they are; None if it is not known
    """

    text: str
    columns: pa.Schema
    survey: str | None


class AlertReader:
    """Reads files of alerts and the results of services for them.

    Parameters
    ----------
    archive
        the archive
    """

    def __init__(self, archive: Storage) -> None:
        self._archive = archive
        self._schemas: dict[str, PacketSchema] = {}
        self._stores: dict[str, ResultsStore] = {}
        self._stores_until_s = 0.0
        self._message_columns: tuple[str, ...] = ()
        self._message_bytes = 0.0  # of an alert, in those columns
        self._read_ahead: dict[str, tuple[tuple[str, ...], pa.Table]] = {}

    def packet_schema(self, fingerprint: str | None) -> PacketSchema | str:
        """Return a writer schema, or why it cannot be had."""
        known = self._schemas.get(fingerprint or "")
        if known is not None:
            return known
        found = self._read_schema(fingerprint or "")
        if isinstance(found, PacketSchema):  # one that is missing may be written again
            self._schemas[fingerprint or ""] = found
        return found

    def columns(self, path: str, found: Iterable[FilterColumns]) -> pa.Table:
        """Read the packet's columns of all filters of a file, and where its alerts came from."""
        own = [name for columns in found for name in columns.packet.values()]
        names = list(dict.fromkeys([*SOURCE_COLUMNS, *own]))
        with self._archive.open(path) as source, pq.ParquetFile(source) as file:
            rows = file.metadata.num_rows
            is_small = 0 < self._message_bytes * rows <= READ_AHEAD_BYTES
            more = (*OBJECT_COLUMNS, *self._message_columns) if is_small else ()
            paths = parquet_paths(file.schema, [*names, *more])
            table = file.read(columns=paths, use_threads=False)
        if is_small:
            self._read_ahead[path] = self._message_columns, table
            if len(self._read_ahead) > READ_AHEAD_FILES:
                del self._read_ahead[next(iter(self._read_ahead))]
        return pick(table, names, rows)

    def exists(self, path: str) -> bool:
        """Return whether a file of alerts is there."""
        return self._archive.size_bytes(path) is not None

    def passed(self, path: str, schemas: Iterable[OutputSchema], rows: np.ndarray) -> pa.Table:
        """Read the columns of messages for some rows of a file, and the ids of their objects."""
        of_schemas = (name for schema in schemas for name in schema.columns)
        # Where an alert came from is told also if no filter has a schema for it.
        wanted = tuple(dict.fromkeys([*of_schemas, *SOURCE_COLUMNS]))
        read, table = self._read_ahead.pop(path, ((), None))
        if table is None or wanted != read:
            with self._archive.open(path) as source, pq.ParquetFile(source) as file:
                paths = parquet_paths(file.schema, [*OBJECT_COLUMNS, *wanted])
                table = file.read(columns=paths, use_threads=False)
            self._message_columns = wanted
            self._message_bytes = table.nbytes / max(1, table.num_rows)
        return table if len(rows) == table.num_rows else table.take(pa.array(rows))

    def object_columns(self, table: pa.Table) -> pa.Table:
        """Return the columns in which the ids of objects stand."""
        return pick(table, OBJECT_COLUMNS)

    def services(self) -> dict[str, ResultsStore]:
        """Return the results of services by name: of the version that ran last."""
        if time.monotonic() >= self._stores_until_s:
            stores = sorted(list_stores(self._archive), key=last_written)
            self._stores = {store.name: store for store in stores}
            self._stores_until_s = time.monotonic() + STORES_S
        return self._stores

    def has_answers(self, store: ResultsStore, own_paths: Sequence[str]) -> bool:
        """Return whether a service has results for each of some claims, under their own names."""
        names = map(result_path, own_paths)
        return all(store.storage.size_bytes(name) is not None for name in names)

    def answers(
        self,
        store: ResultsStore,
        path: str,
        alerts: pa.Table,
        own_paths: Sequence[str] = (),
        *,
        there: bool = False,
    ) -> pa.ChunkedArray:
        """Return the records of a service for the alerts of a file, null where there are none.

        Parameters
        ----------
        store
            the results
        path
            the file of alerts
        alerts
            its alerts, with the columns `KEYS`
        own_paths
            as of `LedgerFile`; without them, that of the file
        there
            whether `has_answers` has said that the results are there: an object store is not asked
            again
        """
        # Mostly the results have the names of the claims. The folder of an hour is listed only if
        # something is missing there: at the end of an hour it has thousands of files.
        names = [result_path(own) for own in own_paths or (path,)]
        if not there:
            names = [name for name in names if store.storage.size_bytes(name) is not None]
        records = self._records(store, names, alerts)
        if records.null_count:
            others = ResultFiles(store).paths(path, lambda: alerts)
            if set(others) != set(names):
                records = self._records(store, others, alerts)
        return records

    def _records(
        self, store: ResultsStore, paths: Sequence[str], alerts: pa.Table
    ) -> pa.ChunkedArray:
        """Return the records of a service for alerts from some files of its results."""
        record_type = service_record_type(store.about.output)
        names = [*_STATE_COLUMNS, *store.about.output.names]
        tables = []
        for path in paths:
            with store.storage.open(path) as source, pq.ParquetFile(source) as file:
                tables.append(file.read(columns=[*KEYS, *names], use_threads=False))
        if not tables:
            return pa.chunked_array([pa.nulls(alerts.num_rows, record_type)])
        results = pa.concat_tables(tables).combine_chunks()
        records = pa.StructArray.from_arrays(
            [
                results[name].combine_chunks().cast(field.type)
                for name, field in zip(names, record_type, strict=True)
            ],
            fields=list(record_type),
        )
        rows = pc.index_in(_keys(alerts), value_set=_keys(results).combine_chunks())
        return pa.chunked_array([records.take(rows.combine_chunks())])

    def _read_schema(self, fingerprint: str) -> PacketSchema | str:
        text = read_schema(self._archive, fingerprint)
        if text is None:
            return f"the archive has not the writer schema {fingerprint[:8]}: see finkray audit"
        try:
            schema = WriterSchema.from_text(text)
        except SchemaError as error:
            return f"the writer schema {fingerprint[:8]} is not valid: {error}"
        return PacketSchema(text, archived_columns(schema.arrow), survey_name(schema.arrow))


def service_columns(stores: Mapping[str, ResultsStore]) -> Services:
    """Return the own columns of each service."""
    return {name: store.about.output for name, store in stores.items()}


def _keys(table: pa.Table) -> pa.ChunkedArray:
    """Return partition and offset as one text each: a file has alerts of one topic."""
    parts = [table[name].cast(pa.string()) for name in KEYS]
    return pc.binary_join_element_wise(*parts, ":")
