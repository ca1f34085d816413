"""The hourly files as a pyarrow dataset that reads narrow columns from built nights.

A dataset is opened before anyone knows what will be read. So `AlertDataset` is the dataset of all
hourly files, and decides at each scan:

- If built nights have all columns of the scan and of its filter, it reads the built nights, and the
  hourly files that these do not cover.
- Else it reads hourly files, for example for images and histories. If built nights can answer the
  filter, it reads only the hourly files that may have matching alerts.
"""

from collections.abc import Sequence
from datetime import date
from threading import Lock
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from finkray.errors import FinkrayError
from finkray.nights.layout import HATS_FOLDER
from finkray.nights.sources import ChosenFile, choose, generations, read_nights
from finkray.storage.contract import Storage, StoredFile
from finkray.storage.dataset import FOLDER_SCHEMA
from finkray.storage.hours import Span
from finkray.storage.layout import parse_path

_WITHOUT: Final = "__without"
"""Column of the number of the set of nights whose rows of a file are not read; 0 is none."""

_HIDDEN: Final = "__"
"""Names of pyarrow's own columns, as `__filename`, begin so."""

_NO_OFFSETS: Final = np.empty(0, np.int64)

_UNREADABLE: Final = (FinkrayError, pa.ArrowException, OSError, KeyError, TypeError, ValueError)


class AlertDataset(pads.FileSystemDataset):
    """Hourly files, whose narrow columns are read from built nights where that is possible."""

    _narrow: "NarrowColumns | None" = None

    def scanner(self, columns: Any = None, filter: Any = None, **options: Any) -> pads.Scanner:  # noqa: A002 - as there
        """Return the scanner of what has these columns; see `pyarrow.dataset.Dataset.scanner`."""
        hourly = super().scanner(columns=columns, filter=filter, **options)
        if self._narrow is None:
            return hourly
        names = self.schema.names if columns is None else columns
        condition = _both(self._scan_options.get("filter"), filter)
        if (found := self._narrow.scanner(names, condition, options)) is not None:
            return found
        matching = None if condition is None else self._narrow.files_with(condition)
        if matching is None:
            return hourly
        return matching.scanner(columns=columns, filter=condition, **options)

    def filter(self, expression: pc.Expression) -> "AlertDataset":
        """Return the same dataset with a filter; see `pyarrow.dataset.Dataset.filter`."""
        out: AlertDataset = super().filter(expression)
        out._narrow = self._narrow
        return out

    def count_rows(self, filter: Any = None, **options: Any) -> int:  # noqa: A002 - as there
        """Count the rows that match a filter; see `pyarrow.dataset.Dataset.count_rows`."""
        rows: int = self.scanner(columns=[], filter=filter, **options).count_rows()
        return rows


class NarrowColumns:
    """The narrow columns of some hourly files.

    Parameters
    ----------
    storage
        of the archive
    files
        the hourly files
    alerts
        their dataset
    span
        that they were selected by
    """

    def __init__(
        self,
        storage: Storage,
        files: Sequence[StoredFile],
        alerts: pads.FileSystemDataset,
        span: Span,
    ) -> None:
        self._storage = storage
        self._files = files
        self._alerts = alerts
        self._span = span
        self._lock = Lock()
        self._generations: list[tuple[date, str]] | None = None
        self._dataset: pads.Dataset | None = None
        self._condition: pc.Expression | None = None

    def scanner(
        self, columns: Any, condition: pc.Expression | None, options: dict[str, Any]
    ) -> pads.Scanner | None:
        """Return the scanner of narrow columns; None if a column is not narrow.

        It is also None if no night is built, or if the built nights cannot be read: the caller
        then reads the hourly files, which have all columns.
        """
        mentioned = [*columns.values(), condition] if isinstance(columns, dict) else columns
        if any(_HIDDEN in str(each) for each in mentioned):
            return None
        try:
            with self._lock:
                self._look()
                dataset, of_chosen = self._dataset, self._condition
            if dataset is None:
                return None
            # pyarrow refuses a column that is not narrow, because this dataset does not have it.
            return pads.Scanner.from_dataset(
                dataset, columns=columns, filter=_both(of_chosen, condition), **options
            )
        except _UNREADABLE:
            return None

    def files_with(self, condition: pc.Expression) -> pads.FileSystemDataset | None:
        """Return the hourly files that may have rows which match a filter.

        None if that is not known, because the filter needs a column that is not narrow.
        """
        try:
            rows = self.scanner(["kafka_partition", "kafka_offset"], condition, {})
            if rows is None:
                return None
            paths = _with_offsets(self._files, rows.to_table())
        except _UNREADABLE:
            return None
        alerts = self._alerts
        fragments = [each for each in alerts.get_fragments() if each.path in paths]
        return pads.FileSystemDataset(fragments, alerts.schema, alerts.format, alerts.filesystem)

    def _look(self) -> None:
        """Choose the files anew if a night was built since."""
        found = generations(self._storage, self._span)
        if found == self._generations:
            return
        chosen, nights = choose(self._files, read_nights(self._storage, found))
        left_out = {name for night in nights for name in night.left_out}
        fields = [field for field in self._alerts.schema if field.name not in left_out]
        self._dataset, self._condition = None, None
        if nights:
            self._dataset, self._condition = self._open(chosen, fields)
        self._generations = found

    def _open(
        self, chosen: Sequence[ChosenFile], fields: Sequence[pa.Field]
    ) -> tuple[pads.Dataset, pc.Expression | None]:
        sets = sorted({file.without for file in chosen if file.without}, key=sorted)
        number = {without: at for at, without in enumerate(sets, start=1)}
        partitioning = pads.HivePartitioning(FOLDER_SCHEMA)
        file_format = pads.ParquetFileFormat()
        fragments = [
            file_format.make_fragment(
                file.path,
                filesystem=self._storage.filesystem,
                partition_expression=partitioning.parse(file.path)
                & (pc.field(_WITHOUT) == pa.scalar(number.get(file.without, 0), pa.int32())),
            )
            for file in chosen
        ]
        schema = pa.schema([*fields, pa.field(_WITHOUT, pa.int32())])
        dataset = pads.FileSystemDataset(fragments, schema, file_format, self._storage.filesystem)
        condition = None
        for without, at in number.items():
            nights = pa.array(sorted(without), pa.date32())
            # isin() is false for null, so an alert without a night is read.
            others = (pc.field(_WITHOUT) != pa.scalar(at, pa.int32())) | ~pc.field(
                "obs_night"
            ).isin(nights)
            condition = _both(condition, others)
        return dataset, condition


def with_nights(
    storage: Storage, alerts: pads.FileSystemDataset, files: Sequence[StoredFile], span: Span
) -> pads.FileSystemDataset:
    """Return the dataset of hourly files, which reads narrow columns from built nights.

    Parameters
    ----------
    storage
        of the archive
    alerts
        the dataset of the hourly files
    files
        the same files
    span
        that they were selected by
    """
    if not files or not storage.folders(HATS_FOLDER):
        return alerts
    out = AlertDataset(
        list(alerts.get_fragments()), alerts.schema, alerts.format, alerts.filesystem
    )
    out._narrow = NarrowColumns(storage, files, alerts, span)  # noqa: SLF001
    return out


def _with_offsets(files: Sequence[StoredFile], rows: pa.Table) -> set[str]:
    """Return the files whose names say that they may have some offsets, or say nothing."""
    partitions, numbers = (rows[name].to_numpy() for name in rows.column_names)
    offsets = {
        partition: np.sort(numbers[partitions == partition]) for partition in np.unique(partitions)
    }
    out = set()
    for file in files:
        known = parse_path(file.path)
        # The name of a file that claims share has the offsets of one of them.
        if known is None or known.others:
            out.add(file.path)
            continue
        found = offsets.get(known.partition, _NO_OFFSETS)
        first = np.searchsorted(found, known.first_offset)
        if first < len(found) and found[first] <= known.last_offset:
            out.add(file.path)
    return out


def _both(first: pc.Expression | None, second: pc.Expression | None) -> pc.Expression | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second
