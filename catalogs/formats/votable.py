"""VOTable: the outline says what it declares and whether it is whole, astropy reads the values.

The only format that is read whole: astropy knows no other way. A large one is better written as
Parquet or FITS first.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from catalogs.columns import NULL_WORDS, json_text
from catalogs.formats.choice import Candidate, choose
from catalogs.formats.compressed import open_decompressed
from catalogs.formats.table_file import PIECE_ROWS, Column, TableRequest
from catalogs.formats.votable_outline import Outline, outline_of, statuses
from finkray.errors import CatalogError

_NULL_DASHES: Final = ("-", "---")
"""Stand for a missing number in some documents, beside `NULL_WORDS`."""


class VoTableFile:
    """One table of a VOTable.

    Raises
    ------
    CatalogError
        The document is cut short, has a status other than OK, or several tables with sources.
    """

    hint = ""

    def __init__(self, path: Path, wanted: TableRequest) -> None:
        self.path = path
        try:
            with open_decompressed(path) as file:
                outline = outline_of(file)
        except CatalogError as error:
            text = str(error)
            raise CatalogError(text if text.startswith(str(path)) else f"{path}: {text}") from error
        _check_statuses(path, outline)
        candidates = [
            Candidate(
                number + 1, table.label, [column.name for column in table.columns], table.rows
            )
            for number, table in enumerate(outline.tables)
        ]
        chosen = choose(path, candidates, wanted, "table")
        self._number = chosen.number - 1
        self._table = outline.tables[self._number]
        self._check_table()
        self._tables = len(outline.tables)
        self._names = [column.name for column in self._table.columns]
        self._arrays: dict[str, Any] = {}

    def _check_table(self) -> None:
        table, path = self._table, self.path
        if table.reference:
            raise CatalogError(
                f"{path}: the columns of the table are those of another one ({table.reference}), "
                "which is not read: ask the service for a table with FIELDs of its own"
            )
        if table.external:
            raise CatalogError(
                f"{path}: the values are not in the document but in {table.external}: fetch that, "
                "or ask the service for TABLEDATA or BINARY2"
            )
        if table.announced_rows not in (None, table.rows):
            raise CatalogError(
                f"{path}: the table has {table.rows:,} rows, its nrows says "
                f"{table.announced_rows:,}: fetch it again"
            )

    def columns(self) -> Sequence[Column]:
        """All columns in order, with the COOSYS that each refers to."""
        return self._table.columns

    def types(self, names: Sequence[str]) -> Mapping[str, pa.DataType]:
        """Read the table, and return the types of its columns."""
        self._read(names)
        return {name: _as_arrow(name, self._values(name)[:0]).type for name in names}

    def pieces(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows; what is masked is null."""
        self._read(names)
        columns = {name: self._values(name) for name in names}
        for start in range(0, self._table.rows, PIECE_ROWS):
            yield pa.table(
                {
                    name: _as_arrow(name, values[start : start + PIECE_ROWS])
                    for name, values in columns.items()
                }
            )

    def _values(self, name: str) -> Any:
        values = self._arrays[name]
        if self._table.flag_bytes:
            # astropy leaves the flags of texts out (astropy issue 8995).
            number = self._names.index(name)
            flags = np.frombuffer(self._table.flags, np.uint8)
            flags = flags.reshape(-1, self._table.flag_bytes)[:, number // 8]
            gone = (flags >> (7 - number % 8)) & 1 == 1
            values = np.ma.array(values, mask=np.ma.getmaskarray(values))
            values[gone] = np.ma.masked
        return values

    def _read(self, names: Sequence[str]) -> None:
        """Read these columns, unless they are read already."""
        if set(names) <= self._arrays.keys():
            return
        numbers = sorted({self._names.index(name) for name in names})
        # astropy takes numbers of columns for all tables of a document.
        chosen = numbers if self._tables == 1 else range(len(self._names))
        array = self._parse(list(chosen))
        self._arrays = {
            self._names[number]: array[array.dtype.names[position]]
            for position, number in enumerate(chosen)
            if number in numbers
        }

    def _parse(self, numbers: list[int]) -> Any:
        from astropy.io.votable import parse

        columns = numbers if self._tables == 1 else None
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            with open_decompressed(self.path) as file:
                document = parse(file, columns=columns, table_number=self._number, verify="warn")
        # The others are of spellings in the header, which are compared with the description.
        if lossy := next((text for text in map(_loss, found) if text), ""):
            raise CatalogError(
                f"{self.path}: a value does not fit the datatype of its column ({lossy}): it would "
                "be cut or changed. Correct the datatype or arraysize in the document"
            )
        tables = [
            table
            for table in document.iter_tables()
            if [_name(field) for field in table.all_fields] == self._names
        ]
        # Of the tables that were not asked for astropy keeps the fields, and no rows.
        array = max((table.array for table in tables), key=len, default=())
        if len(array) != self._table.rows:
            # astropy ends a binary stream where a field does not fit (astropy issue 18099).
            raise CatalogError(
                f"{self.path}: {len(array):,} of {self._table.rows:,} rows can be read: ask the "
                "service for TABLEDATA, or make it Parquet or FITS"
            )
        return array


def _loss(warning: warnings.WarningMessage) -> str:
    """Return the text of a warning that says that astropy changed a value; else an empty text."""
    from astropy.io.votable.exceptions import E02, W30, W46, W51

    text = str(warning.message)
    if issubclass(warning.category, W30):
        literal = text.partition("float '")[2].partition("'")[0].strip()
        return "" if literal in (*NULL_WORDS, *_NULL_DASHES) else text
    return text if issubclass(warning.category, E02 | W46 | W51) else ""


def _name(field: Any) -> str:
    return str(field.name or field.ID or "")


def _check_statuses(path: Path, outline: Outline) -> None:
    if found := list(statuses(outline)):
        raise CatalogError(
            f"{path}: says that it is not whole: {'; '.join(found)}. Ask the service for all rows "
            "(MAXREC), or in parts"
        )


def _as_arrow(column: str, values: np.ma.MaskedArray) -> pa.Array:
    """Return a column as Arrow: texts as they are, arrays as JSON text, what is masked as null."""
    mask = np.ma.getmaskarray(values)
    data = np.ma.getdata(values)
    if data.ndim > 1 or data.dtype.kind in "OcSU":
        rows = (_value(item, gone) for item, gone in zip(data, mask, strict=True))
        texts = [row if row is None or isinstance(row, str) else json_text(column, row)
                 for row in rows]  # fmt: skip
        return pa.array(texts, pa.string())
    return pa.array(np.ascontiguousarray(data, dtype=data.dtype.newbyteorder("=")), mask=mask)


def _value(item: Any, gone: Any) -> Any:
    """Return a value as Python has it: text, a number, a list with null for what is masked."""
    if bool(np.all(gone)):
        return None
    if isinstance(item, np.ma.MaskedArray) and item.ndim:
        return _value(np.ma.getdata(item), np.ma.getmaskarray(item))
    if isinstance(item, np.ndarray):
        gone = np.broadcast_to(gone, item.shape)
        return [_value(one, mask) for one, mask in zip(item, gone, strict=True)]
    if isinstance(item, bytes):
        return item.decode()
    return item.item() if isinstance(item, np.generic) else item
