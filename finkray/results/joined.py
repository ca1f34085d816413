"""Join alerts with the results of services; only the requested columns are read.

A file of results belongs to a file of alerts, so nothing is sorted or hashed: each file of alerts
is read with the results for its offsets. There is a row for each row of the archive: an alert that
was received twice has two rows. An alert without results has null in the service's column.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from finkray.intervals import Interval
from finkray.results.store import RESULTS_FOLDER, ResultsStore, result_path, result_schema
from finkray.storage.layout import ALERTS_FOLDER, ArchivePath, parse_path

KEYS: Final = ("kafka_partition", "kafka_offset")
"""The key of an alert within its topic."""

_ABOUT = ("status", "reason", "version", "computed_at")
"""Fields of a service's record before its own columns."""

Columns = Sequence[str] | Mapping[str, pc.Expression] | None


class JoinedDataset:
    """Alerts and results as a pyarrow dataset; see ``open_archive(…).dataset(with_services=[…])``.

    Each service is a column of records by the name of its results, with `status`, `reason`,
    `version`, `computed_at` and what the service adds: ``pc.field("bright", "bright")``.

    Parameters
    ----------
    alerts
        the alerts
    condition
        which of them to read; None reads all
    stores
        the results
    """

    def __init__(
        self, alerts: pads.Dataset, condition: pc.Expression | None, stores: Sequence[ResultsStore]
    ) -> None:
        self._alerts = alerts
        self._condition = condition
        self._results = [_ResultsColumn(store) for store in stores]
        names = [*alerts.schema.names, *(column.name for column in self._results)]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"{doubled[0]!r} would be a column twice: run the service into results of another "
                "name (finkray run … --into NAME)"
            )
        self.schema: pa.Schema = pa.schema(
            [*alerts.schema, *(pa.field(column.name, column.type) for column in self._results)]
        )

    def to_batches(
        self,
        columns: Columns = None,
        filter: pc.Expression | None = None,  # noqa: A002 - as there
    ) -> Iterator[pa.RecordBatch]:
        """Yield rows, file by file.

        Parameters
        ----------
        columns
            names, or expressions by name; None is all
        filter
            which rows
        """
        condition = filter if self._condition is None else self._condition
        if filter is not None and self._condition is not None:
            condition = filter & self._condition
        needed = self._needed(columns, condition)
        selected = list(columns) if isinstance(columns, Sequence) else columns
        for fragment in self._alerts.get_fragments():
            table = self._table(fragment, needed)
            yield from pads.dataset(table).to_batches(columns=selected, filter=condition)

    def to_table(
        self,
        columns: Columns = None,
        filter: pc.Expression | None = None,  # noqa: A002 - as there
    ) -> pa.Table:
        """Return all rows at once; parameters and errors are those of `to_batches`."""
        selected = list(columns) if isinstance(columns, Sequence) else columns
        empty = pads.dataset(self.schema.empty_table()).to_table(columns=selected)
        return pa.Table.from_batches(self.to_batches(columns, filter), empty.schema)

    def head(
        self,
        num_rows: int,
        columns: Columns = None,
        filter: pc.Expression | None = None,  # noqa: A002 - as there
    ) -> pa.Table:
        """Return the first rows; no more files are read than these need.

        Parameters
        ----------
        num_rows
            how many at most
        columns, filter
            as of `to_batches`
        """
        batches: list[pa.RecordBatch] = []
        for batch in self.to_batches(columns, filter):
            batches.append(batch)
            if sum(map(len, batches)) >= num_rows:
                break
        return (
            pa.Table.from_batches(batches).slice(0, num_rows)
            if batches
            else self.to_table(
                columns,
                pc.scalar(False),  # noqa: FBT003
            )
        )

    def count_rows(self, filter: pc.Expression | None = None) -> int:  # noqa: A002 - as there
        """Return the number of rows that meet a filter; parameters are those of `to_batches`."""
        return sum(len(batch) for batch in self.to_batches(["kafka_offset"], filter))

    def _needed(self, columns: Columns, condition: pc.Expression | None) -> list[str]:
        """Return the columns from which the selected columns and the condition are computed."""
        needed = set(KEYS)
        expressions = [] if condition is None else [condition]
        if columns is None:
            return list(self.schema.names)
        if isinstance(columns, Mapping):
            expressions += columns.values()
        else:
            needed |= set(columns)
        return [
            name
            for name in self.schema.names
            if name in needed or any(self._uses(expression, name) for expression in expressions)
        ]

    def _uses(self, expression: pc.Expression, name: str) -> bool:
        """Return whether an expression needs a column: try without, for pyarrow does not say."""
        others = self.schema.remove(self.schema.get_field_index(name))
        try:
            pads.dataset(others.empty_table()).to_table(columns={"x": expression})
        except pa.ArrowInvalid:
            return True
        return False

    def _table(self, fragment: Any, needed: Sequence[str]) -> pa.Table:
        own = [name for name in needed if name in self._alerts.schema.names]
        table = fragment.to_table(schema=self._alerts.schema, columns=own)
        for column in self._results:
            if column.name in needed:
                records = column.records(fragment.path, table)
                table = table.append_column(pa.field(column.name, column.type), records)
        return table


class _ResultsColumn:
    """The results of one service as a column of records, read for one file of alerts at a time."""

    def __init__(self, store: ResultsStore) -> None:
        self.name = store.name
        self._storage = store.storage
        schema = result_schema(store.about.output)
        self._names = [*_ABOUT, *store.about.output.names]
        self.type = pa.struct([schema.field(name) for name in self._names])
        self._files = ResultFiles(store)

    def records(self, alerts_path: str, alerts: pa.Table) -> pa.ChunkedArray:
        """Return a record for each alert of a file, null where there is none.

        Parameters
        ----------
        alerts_path
            the file
        alerts
            its alerts, with the columns `KEYS`
        """
        results = self._read(alerts_path, alerts)
        if results is None:
            return pa.chunked_array([pa.nulls(len(alerts), self.type)])
        arrays = [results[name].combine_chunks() for name in self._names]
        records = pa.StructArray.from_arrays(arrays, fields=list(self.type))
        rows = _rows_of(alerts, results)
        return pa.chunked_array([records.take(rows)], self.type)

    def _read(self, alerts_path: str, alerts: pa.Table) -> pa.Table | None:
        tables = []
        for path in self._files.paths(alerts_path, lambda: alerts):
            with self._storage.open(path) as source:
                columns = [*KEYS, *self._names]
                tables.append(pq.read_table(source, columns=columns, partitioning=None))
        return pa.concat_tables(tables) if tables else None


def _rows_of(alerts: pa.Table, results: pa.Table) -> pa.Array:
    """Return for each alert the number of its row in the results, null where there is none."""
    numbers = pa.array(np.arange(len(results)), pa.int64())
    rows = np.full(len(alerts), -1, np.int64)
    partitions = alerts["kafka_partition"].to_numpy()
    for partition in np.unique(partitions).tolist():
        mine = pc.equal(results["kafka_partition"], partition)
        at = pc.index_in(alerts["kafka_offset"], value_set=results["kafka_offset"].filter(mine))
        found = pc.fill_null(numbers.filter(mine.combine_chunks()).take(at.combine_chunks()), -1)
        rows = np.where(partitions == partition, found.to_numpy(), rows)
    return pa.array(rows, mask=rows < 0)


class ResultFiles:
    """Find the files of results for a file of alerts, by name; lists each folder once.

    Parameters
    ----------
    store
        the results
    """

    def __init__(self, store: ResultsStore) -> None:
        self._storage = store.storage
        self._listed: dict[str, list[tuple[str, ArchivePath]]] = {}

    def paths(self, alerts_path: str, keys: Callable[[], pa.Table]) -> list[str]:
        """Return the file of that name; several if the alerts were processed from other files.

        Each claim of a file that several share has a file of results of its own.

        Parameters
        ----------
        alerts_path
            the file
        keys
            returns the columns `KEYS` of its alerts; called if several claims share it
        """
        alerts = parse_path(alerts_path)
        if alerts is None:
            return []
        own = {alerts.partition: Interval(alerts.first_offset, alerts.last_offset)}
        spans = _spans_of(keys()) if alerts.others else own
        folder = result_path(alerts_path).rpartition("/")[0]
        if folder not in self._listed:
            paths = [file.path for file in self._storage.files(folder)]
            self._listed = {folder: [(path, known) for path in paths if (known := _parse(path))]}
        return [
            path
            for path, known in self._listed[folder]
            if known.topic_id8 == alerts.topic_id8
            and (span := spans.get(known.partition)) is not None
            and known.first_offset <= span.last
            and known.last_offset >= span.first
        ]


def _spans_of(keys: pa.Table) -> dict[int, Interval]:
    """Return the first and the last offset of each partition."""
    bounds = keys.group_by("kafka_partition").aggregate(
        [("kafka_offset", "min"), ("kafka_offset", "max")]
    )
    return {
        row["kafka_partition"]: Interval(row["kafka_offset_min"], row["kafka_offset_max"])
        for row in bounds.to_pylist()
    }


def _parse(path: str) -> ArchivePath | None:
    return parse_path(path.replace(RESULTS_FOLDER, ALERTS_FOLDER, 1))


def newest(results: pa.Table) -> pa.Table:
    """Return the row of each `alert_id` that arrived in Kafka last, and all rows without an id.

    A row without a Kafka timestamp counts as older than every row with one.
    """
    columns = ("kafka_timestamp", "kafka_partition", "kafka_offset")
    order = [(column, "ascending", "at_start") for column in columns]
    ordered = results.take(pc.sort_indices(results, order))
    numbered = pa.table(
        {"alert_id": ordered["alert_id"], "row": pa.array(range(len(ordered)), pa.int64())}
    )
    known = numbered.filter(pc.is_valid(numbered["alert_id"]))
    last = known.group_by("alert_id").aggregate([("row", "max")])["row_max"]
    unknown = numbered.filter(pc.is_null(numbered["alert_id"]))["row"]
    rows = pa.chunked_array([*last.chunks, *unknown.chunks], pa.int64())
    return ordered.take(rows.take(pc.sort_indices(rows)))
