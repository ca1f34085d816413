"""Text with a delimiter: CSV, TSV, the TSV of VizieR, the CSV of TNS, ECSV.

`catalogs.formats.delimited_head` finds the names of the columns and where the rows begin. All
values are read as text: no digit is lost to a guess. The whole file then decides what a column is:
integers if every value is one as Python writes it, doubles if every value is a number and none is
a long integer, else text.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from catalogs.columns import NULL_WORDS
from catalogs.formats.compressed import open_decompressed
from catalogs.formats.delimited_head import (
    Head,
    check_status,
    decode_line,
    read_head,
    split_cells,
    vizier_facts,
)
from catalogs.formats.table_file import PIECE_ROWS, Column, TableRequest
from finkray.errors import CatalogError

_BLOCK_BYTES: Final = 16 * 1024 * 1024
_INTEGER: Final = r"^(?:0|-?[1-9][0-9]*)$"
_NUMBER: Final = r"^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_END: Final = "\x02\x03"
"""Each value of a row that is added behind the last one: it becomes part of a value before it if
that begins with a quote and does not end with one."""

_LONG_INTEGER: Final = r"^[+-]?[0-9]{16,}$"


class DelimitedFile:
    """One file of text with a delimiter.

    Raises
    ------
    CatalogError
        It has no line with names, or says itself that it is not whole.
    """

    def __init__(self, path: Path, wanted: TableRequest) -> None:
        self.path = path
        self._head = read_head(path, wanted)
        self._integrity = wanted.integrity
        self._id = wanted.id
        self.hint = self._head.hint
        self._encoding = "utf8"
        self._types: dict[str, pa.DataType] = {}

    def columns(self) -> Sequence[Column]:
        """All columns in order, with what a units line, ECSV or VizieR's comments declare."""
        frames, by_name = vizier_facts(self._head.comments)
        return [
            column
            if column.frames
            else replace(
                column,
                ucd=by_name.get(column.name, (column.ucd, ()))[0],
                frames=by_name.get(column.name, ("", frames))[1],
            )
            for column in self._head.columns
        ]

    def types(self, names: Sequence[str]) -> Mapping[str, pa.DataType]:
        """Read the whole file, and return what each column can be read as without a loss."""
        if missing := [name for name in names if name not in self._types]:
            try:
                self._types |= self._find_types(missing)
            except pa.ArrowInvalid as error:
                if "UTF8" not in str(error) or self._encoding != "utf8":
                    raise
                # Then it is Latin-1, in which every byte is a character.
                self._encoding = "latin1"
                self._types |= self._find_types(missing)
        return {name: self._types[name] for name in names}

    def _find_types(self, names: Sequence[str]) -> dict[str, pa.DataType]:
        kinds = {name: _Kind() for name in names}
        for piece in self._texts(names):
            for name, kind in kinds.items():
                kind.add(piece[name])
        types = {name: kind.type for name, kind in kinds.items()}
        if pa.types.is_floating(types.get(self._id, pa.null())):
            # 1E5 as an id is a name, not a number.
            types[self._id] = pa.string()
        return types

    def pieces(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows in the types that the whole file allows."""
        types = self.types(names)
        for piece in self._texts(names):
            yield pa.table({name: _typed(piece[name], types[name]) for name in names})

    def _texts(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows as text without blanks around it."""
        from pyarrow import csv as arrow_csv

        known = {name: f"c{self._head.names.index(name)}" for name in names}
        with open_decompressed(self.path) as file:
            file.seek(max(0, self._head.start - 1))
            rows = _Rows(file, self.path, self._head, must_end=self._integrity)
            if rows.are_none():
                return
            reader = arrow_csv.open_csv(
                pa.PythonFile(rows, mode="r"),
                read_options=arrow_csv.ReadOptions(
                    block_size=_BLOCK_BYTES,
                    column_names=[f"c{number}" for number in range(len(self._head.names))],
                    encoding=self._encoding,
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._head.delimiter, newlines_in_values=True
                ),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=list(known.values()),
                    column_types=dict.fromkeys(known.values(), pa.string()),
                    null_values=list(NULL_WORDS),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            for table in self._without_end(reader):
                for start in range(0, table.num_rows, PIECE_ROWS):
                    piece = table.rename_columns(list(known)).slice(start, PIECE_ROWS)
                    yield pa.table({name: _trimmed(piece[name]) for name in names})

    def _without_end(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        """Yield the rows up to the one that `_Rows` adds.

        Raises
        ------
        CatalogError
            That row is not there: a quote before it was not closed.
        """
        held: pa.Table | None = None
        for batch in batches:
            if batch.num_rows:
                if held is not None:
                    yield held
                held = pa.Table.from_batches([batch])
        last = {} if held is None else held.slice(held.num_rows - 1).to_pylist()[0]
        if held is None or set(last.values()) != {_END}:
            raise CatalogError(
                f"{self.path}: a value begins with a quote that is not closed: the file is cut "
                "short within it, or the quote is part of the value. Fetch it again, or put such a "
                'value in quotes, with "" for each quote in it'
            )
        yield held.slice(0, held.num_rows - 1)


def _trimmed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text without blanks around it; null where it is missing (VizieR pads with blanks)."""
    trimmed = pc.utf8_trim(values, " \t\r\x00")
    padded = pc.and_(pc.not_equal(trimmed, values), pc.is_in(trimmed, pa.array(NULL_WORDS)))
    missing = pc.or_kleene(padded, pc.equal(trimmed, ""))
    return pc.if_else(missing, pa.scalar(None, pa.string()), trimmed)


class _Kind:
    """What the values of a column can be read as, after each piece of it."""

    def __init__(self) -> None:
        self._some = False
        self._integers = self._numbers = True
        self._long = self._negative = False
        self._low, self._high = 0, 0

    def add(self, values: pa.ChunkedArray) -> None:
        """Take in a piece of the column."""
        if not self._numbers and not self._integers:
            self._some = True
            return
        values = values.drop_null()
        values = values.filter(pc.invert(pc.is_in(values, pa.array(NULL_WORDS))))
        if not len(values):
            return
        self._some = True
        self._integers = self._integers and _all_match(values, _INTEGER)
        self._numbers = self._numbers and _all_match(values, _NUMBER)
        self._negative = self._negative or bool(pc.any(pc.starts_with(values, "-")).as_py())
        long = values.filter(pc.match_substring_regex(values, _LONG_INTEGER))
        self._long = self._long or len(long) > 0
        if self._integers and len(long):
            numbers = [int(text) for text in pc.unique(long).to_pylist()]
            self._low, self._high = min(self._low, *numbers), max(self._high, *numbers)

    @property
    def type(self) -> pa.DataType:
        """The type in which no digit of what was taken in is lost."""
        if not self._some:
            return pa.null()
        if self._integers and self._low >= -(2**63) and self._high < 2**63:
            return pa.int64()
        if self._integers and not self._negative and self._high < 2**64:
            return pa.uint64()
        return pa.float64() if self._numbers and not self._long else pa.string()


def _all_match(values: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def _typed(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_string(kind):
        return values
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(values))])
    missing = pc.is_in(values, pa.array(NULL_WORDS))
    return pc.if_else(missing, pa.scalar(None, pa.string()), values).cast(kind)


class _Rows(io.RawIOBase):
    """The bytes of the rows, without the comments that VizieR puts after or among them.

    Only a file that begins with comments may have more of them: elsewhere a line that begins with #
    is a row.

    Parameters
    ----------
    must_end
        refuse a last line that has no end: a file that was cut short within its last value looks
        so, and like nothing else that tells
    """

    def __init__(self, file: BinaryIO, path: Path, head: Head, *, must_end: bool) -> None:
        self._file = file
        self._path = path
        self._head = head
        self._must_end = must_end
        # The last byte of the head: a file may be cut short there.
        self._last = file.read(1) if head.start else b"\n"
        self._ready = b""
        self._rest = b""
        self._ended = False

    def are_none(self) -> bool:
        """Whether nothing comes but blank lines, which pyarrow refuses. Before anything is read."""
        while not self._ready.strip() and not self._ended and self._fill():
            pass
        return self._ended

    def readable(self) -> bool:
        return True

    def _fill(self) -> bool:
        """Read on; False at the end."""
        block = self._file.read(1024 * 1024)
        if not block:
            self._check_end()
        if not block and not self._rest:
            return self._add_end()
        self._last = block[-1:] or self._last
        self._ready += self._rows_of(block) if self._head.comments else block
        return True

    def _add_end(self) -> bool:
        """Add the row that shows that all rows before it were read; False if it was added."""
        if self._ended:
            return False
        self._ended = True
        line_end = b"" if self._last in b"\r\n" else b"\n"
        row = self._head.delimiter.join([_END] * len(self._head.names))
        self._ready += line_end + row.encode() + b"\n"
        return True

    def _check_end(self) -> None:
        if self._must_end and self._last not in b"\r\n":
            raise CatalogError(
                f"{self._path}: its last line has no end: it may be cut short within its last "
                "value. Fetch it again; if it is whole, append a line feed, or set "
                'checks.integrity = "ignore"'
            )

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if not self._fill():
                return 0
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _rows_of(self, block: bytes) -> bytes:
        lines = self._rest + block
        end = lines.rfind(b"\n") + 1 if block else len(lines)
        self._rest, lines = lines[end:], lines[:end]
        if b"\n#" not in lines and not lines.startswith(b"#"):
            return lines
        return b"".join(line for line in lines.splitlines(keepends=True) if self._is_row(line))

    def _is_row(self, line: bytes) -> bool:
        if not line.startswith(b"#"):
            return True
        text = decode_line(line)
        check_status(self._path, text)
        if len(split_cells(text, self._head.delimiter)) == len(self._head.names):
            raise CatalogError(
                f"{self._path}: the line {text.strip()[:60]!r} may be a comment or a row: take the "
                "comment out, or put its first value in quotes"
            )
        return False
