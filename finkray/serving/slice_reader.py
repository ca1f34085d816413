"""Read the columns that a service declares: from alerts and from results of other services."""

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from finkray.claim import path_of_key
from finkray.services.messages import Slice
from finkray.services.service import Described, input_name

ReadColumns = Callable[[str, Sequence[str]], pa.Table]
"""Reads columns of a file, by its path in the archive, as `read_columns` does."""

_KEY = "kafka_offset"
"""The key of a row: a claim has alerts of a single partition, and each offset once."""


class SliceReader:
    """Reads slices of files; consecutive slices of the same file read it once.

    Parameters
    ----------
    about
        what the service declares
    read_columns
        reads a file of the archive
    """

    def __init__(self, about: Described, read_columns: ReadColumns) -> None:
        self._about = about
        self._read_columns = read_columns
        self._last: tuple[object, bool, pa.Table] | None = None

    def read(self, slice_: Slice) -> tuple[bool, pa.Table]:
        """Return whether the alerts have any of the packet's columns, and the rows of the slice.

        A column that the file of alerts lacks, or of which there are no results, is null.

        Raises
        ------
        OSError, ArrowException
            if a file cannot be read
        """
        path, _ = path_of_key(slice_.file)
        key = path, slice_.inputs
        if self._last is None or self._last[0] != key:
            alerts = self._alerts(path)
            self._last = key, self._fits(alerts), self._table(slice_, alerts)
        _, fits, table = self._last
        # Other claims may share the file: their rows are read, and are not those of the slice.
        first_row = path_of_key(slice_.file)[1] + slice_.first_row
        return fits, table.slice(first_row, slice_.rows)

    def _alerts(self, file: str) -> pa.Table:
        about = self._about
        if not about.inputs:
            return self._read_columns(file, about.columns)
        return self._read_columns(file, list(dict.fromkeys([_KEY, *about.packet_columns])))

    def _fits(self, alerts: pa.Table) -> bool:
        # A column that the file lacks is read with the type null.
        columns = self._about.packet_columns
        return not columns or any(not pa.types.is_null(alerts[name].type) for name in columns)

    def _table(self, slice_: Slice, alerts: pa.Table) -> pa.Table:
        about = self._about
        if not about.inputs:
            return alerts
        inputs = dict(slice_.inputs)
        columns = {name: alerts[name] for name in about.packet_columns}
        for text in about.inputs:
            name = input_name(text)
            results = self._aligned(alerts[_KEY], about.columns_of(name), inputs.get(name, ()))
            columns |= {f"{name}.{column}": results[column] for column in results.column_names}
        return pa.table({name: columns[name] for name in about.columns})

    def _aligned(
        self, offsets: pa.ChunkedArray, columns: tuple[str, ...], files: tuple[str, ...]
    ) -> pa.Table:
        """Return the columns of results in the order of the alerts, null where there are none."""
        names = list(dict.fromkeys([_KEY, *columns]))
        tables = [self._read_columns(file, names) for file in files]
        if not tables:
            return pa.table({name: pa.nulls(len(offsets)) for name in columns})
        results = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
        rows = pc.index_in(offsets, value_set=results[_KEY].combine_chunks())
        return results.select(list(columns)).take(rows)
