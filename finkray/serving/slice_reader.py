"""Reads the columns that a service declares: of the alerts, and of other services' results."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from finkray.services.columns import has, read_columns
from finkray.services.messages import Slice
from finkray.services.service import Described, input_name

_KEY = "kafka_offset"
"""A file of alerts is of one partition, and each offset is in it once."""


class SliceReader:
    """Read slices of files; the slices of one file that follow each other read it once.

    Parameters
    ----------
    about
        what the service declares
    """

    def __init__(self, about: Described) -> None:
        self._about = about
        self._last: tuple[object, bool, pa.Table] | None = None

    def read(self, part: Slice) -> tuple[bool, pa.Table]:
        """Return whether the alerts have any of the packet's columns, and the rows of the slice.

        A column that the file of alerts lacks, or of which there are no results, is null.

        Raises
        ------
        OSError, ArrowException
            if a file cannot be read
        """
        key = part.file, part.inputs
        if self._last is None or self._last[0] != key:
            self._last = key, self._fits(part.file), self._table(part)
        _, fits, table = self._last
        return fits, table.slice(part.first_row, part.rows)

    def _fits(self, file: str) -> bool:
        columns = self._about.packet_columns
        schema = pq.read_schema(file)
        return not columns or any(has(schema, name) for name in columns)

    def _table(self, part: Slice) -> pa.Table:
        about = self._about
        if not about.inputs:
            return read_columns(part.file, about.columns)
        alerts = read_columns(part.file, list(dict.fromkeys([_KEY, *about.packet_columns])))
        inputs = dict(part.inputs)
        columns = {name: alerts[name] for name in about.packet_columns}
        for text in about.inputs:
            name = input_name(text)
            results = _aligned(alerts[_KEY], about.columns_of(name), inputs.get(name, ()))
            columns |= {f"{name}.{column}": results[column] for column in results.column_names}
        return pa.table({name: columns[name] for name in about.columns})


def _aligned(
    offsets: pa.ChunkedArray, columns: tuple[str, ...], files: tuple[str, ...]
) -> pa.Table:
    """Return the columns of results in the order of the alerts, null where there are none."""
    wanted = list(dict.fromkeys([_KEY, *columns]))
    tables = [read_columns(file, wanted) for file in files]
    if not tables:
        return pa.table({name: pa.nulls(len(offsets)) for name in columns})
    results = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    rows = pc.index_in(offsets, value_set=results[_KEY].combine_chunks())
    return results.select(list(columns)).take(rows)
