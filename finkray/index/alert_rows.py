"""Read from a file of alerts what the index needs: ids and position of each row."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from finkray.adapter.columns import find
from finkray.errors import FinkrayError, StorageError
from finkray.index.keys import NO_KEY, keys_of_names, keys_of_numbers
from finkray.services.columns import has
from finkray.storage.contract import Storage

ID_COLUMNS: Final = (
    "objectId",
    *("diaObject.diaObjectId", "diaSource.diaObjectId"),
    *("ssSource.ssObjectId", "diaSource.ssObjectId"),
)
"""An alert is found by each id in these columns; the first that it has is its object."""

_RA: Final = ("candidate.ra", "diaSource.ra")
_DEC: Final = ("candidate.dec", "diaSource.dec", "diaSource.decl")
_COLUMNS: Final = (*ID_COLUMNS, *_RA, *_DEC)
_MOST_RA_DEG: Final = 720.0


class DamagedFile(FinkrayError):
    """A file of the archive is not readable Parquet; handled within this package."""


@dataclass(frozen=True, slots=True)
class AlertRows:
    """Ids and positions of the alerts of a file.

    Attributes
    ----------
    rows
        number of alerts
    keys, key_rows
        each key of an alert with its row; an alert of several ids has several
    object_keys
        of each row the key of its object, or `NO_KEY`
    position_rows, ra_deg, dec_deg
        rows that have a position, and these
    """

    rows: int
    keys: np.ndarray
    key_rows: np.ndarray
    object_keys: np.ndarray
    position_rows: np.ndarray
    ra_deg: np.ndarray
    dec_deg: np.ndarray


def read_alert_rows(storage: Storage, path: str) -> AlertRows:
    """Return ids and positions of a file's alerts; a file of no survey has none.

    Raises
    ------
    FileNotFoundError
        if there is no such file
    DamagedFile
        if it is not readable Parquet
    StorageError
        if the storage refuses
    """
    table = _read(storage, path, _COLUMNS)
    rows = table.num_rows
    of_columns = [_keys(values) for name in ID_COLUMNS if (values := find(table, name)) is not None]
    object_keys = np.zeros(rows, np.int64)
    pairs = [np.empty((0, 2), np.int64)]
    numbers = np.arange(rows)
    for keys in of_columns:
        object_keys = np.where(object_keys == NO_KEY, keys, object_keys)
        pairs.append(np.stack([keys, numbers], axis=1)[keys != NO_KEY])
    unique = pairs[-1] if len(of_columns) == 1 else np.unique(np.concatenate(pairs), axis=0)
    ra, dec = _degrees(table, _RA), _degrees(table, _DEC)
    at = np.flatnonzero((np.abs(ra) <= _MOST_RA_DEG) & (np.abs(dec) <= 90.0))
    return AlertRows(rows, unique[:, 0], unique[:, 1], object_keys, at, ra[at], dec[at])


def read_names(storage: Storage, path: str) -> list[list[str | None]]:
    """Return the ids in a file as text: a list of all rows for each column that it has.

    Raises
    ------
    FileNotFoundError, DamagedFile, StorageError
        as `read_alert_rows`
    """
    table = _read(storage, path, ID_COLUMNS)
    found = (find(table, name) for name in ID_COLUMNS)
    return [values.cast(pa.string()).to_pylist() for values in found if values is not None]


def _read(storage: Storage, path: str, columns: tuple[str, ...]) -> pa.Table:
    with _explained(path), storage.open(path) as source, pq.ParquetFile(source) as file:
        present = [name for name in columns if has(file.schema_arrow, name)]
        # Without columns a table has no number of rows.
        first = [] if present else file.schema_arrow.names[:1]
        return file.read(columns=[*present, *first], use_threads=False).combine_chunks()


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except pa.ArrowInvalid as error:
        raise DamagedFile(f"{path} cannot be read: {error}") from error
    except OSError as error:
        # Arrow reports a page that does not unpack as an OSError without a number.
        if error.errno is None:
            raise DamagedFile(f"{path} cannot be read: {error}") from error
        raise StorageError(f"{path} cannot be read: {error}") from error


def _keys(values: pa.Array) -> np.ndarray:
    if pa.types.is_integer(values.type):
        return keys_of_numbers(values)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return keys_of_names(values)
    return np.zeros(len(values), np.int64)


def _degrees(table: pa.Table, names: tuple[str, ...]) -> np.ndarray:
    """Return the first of some columns; NaN where it is null or the table has none."""
    out = np.full(table.num_rows, np.nan)
    for name in names:
        values = find(table, name)
        if values is not None and pa.types.is_floating(values.type):
            numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
            out = np.where(np.isnan(out), numbers, out)
    return out
