"""Text with a delimiter: CSV, TSV, the TSV of VizieR, the CSV of TNS, ECSV.

The head of the file is looked through for the line that names the columns; what stands before it
(comments, a title) and what VizieR puts between it and the data (units, dashes) is understood. All
values are read as text: no digit is lost to a guess. The whole file then decides what a column is:
integers if every value is one as Python writes it, doubles if every value is a number and none is
a long integer, else text.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from catalogs.columns import NULL_WORDS
from catalogs.formats.compressed import opened
from catalogs.formats.table_file import PIECE_ROWS, Column, Frame, Wanted
from finkray.errors import CatalogError

_HEAD_BYTES: Final = 4 * 1024 * 1024
"""The line with the names of the columns is looked for so far into the file."""

_HEAD_LINES: Final = 50
"""It is looked for in so many lines that are not comments."""

_BLOCK_BYTES: Final = 16 * 1024 * 1024

_OTHER_DELIMITERS: Final = ",;\t|"

_DASHES: Final = re.compile(r"-+")
_INTEGER: Final = r"^(?:0|-?[1-9][0-9]*)$"
_NUMBER: Final = r"^[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_LONG_INTEGER: Final = r"^[+-]?[0-9]{16,}$"

_STATUS: Final = re.compile(
    r"QUERY_STATUS\W+(?P<status>OVERFLOW|ERROR)|(?P<truncated>truncated\s+result)", re.IGNORECASE
)
"""What a comment of VizieR or of a TAP service says of an answer that is not whole."""

_COOSYS: Final = re.compile(
    r"#\s*COOSYS\s+(?P<id>[^\s:]+):?\s+(?P<system>\S+)(?:\s+(?P<equinox>[JB]?\d{4}\S*))?", re.I
)
_VIZIER_COLUMN: Final = re.compile(r"#Column\s+(?P<name>\S+)\s+(?P<text>.*)")
_IN_TEXT: Final = {
    "ucd": re.compile(r"\[ucd=([^\]]*)\]"),
    "system": re.compile(r"\b(FK4|galactic|ecliptic|supergalactic)\b", re.I),
    "epoch": re.compile(r"\bepoch\s*=?\s*([JB]?\d{4}(?:\.\d+)?)", re.I),
    "equinox": re.compile(r"equinox\s*=?\s*([JB]?\d{4}(?:\.\d+)?)", re.I),
}


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands before the first row.

    Attributes
    ----------
    names, units
        of the columns, in order
    comments
        lines that begin with #
    start
        byte at which the rows begin
    hint
        what may be wrong if a wanted column is not among the names
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    comments: tuple[str, ...]
    start: int
    delimiter: str
    hint: str = ""


class DelimitedFile:
    """One file of text with a delimiter.

    Raises
    ------
    CatalogError
        It has no line with names, or says itself that it is not whole.
    """

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.path = path
        self._head = _read_head(path, wanted)
        self.hint = self._head.hint
        self._encoding = "utf8"
        self._types: dict[str, pa.DataType] = {}

    def columns(self) -> Sequence[Column]:
        """All columns in order, with what a units line, ECSV or VizieR's comments declare."""
        frames, by_name = _vizier_facts(self._head.comments)
        return [
            Column(name, unit, by_name.get(name, ("", ()))[0], by_name.get(name, ("", frames))[1])
            for name, unit in zip(self._head.names, self._head.units, strict=True)
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
        return {name: kind.type for name, kind in kinds.items()}

    def pieces(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows in the types that the whole file allows."""
        types = self.types(names)
        for piece in self._texts(names):
            yield pa.table({name: _typed(piece[name], types[name]) for name in names})

    def _texts(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows as text without blanks around it."""
        from pyarrow import csv as arrow_csv

        known = {name: f"c{self._head.names.index(name)}" for name in names}
        with opened(self.path) as file:
            file.seek(self._head.start)
            rows = _Rows(file, self.path, self._head)
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
            for batch in reader:
                table = pa.Table.from_batches([batch]).rename_columns(list(known))
                for start in range(0, table.num_rows, PIECE_ROWS):
                    piece = table.slice(start, PIECE_ROWS)
                    yield pa.table({name: _trimmed(piece[name]) for name in names})


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
    """

    def __init__(self, file: BinaryIO, path: Path, head: _Head) -> None:
        self._file = file
        self._path = path
        self._head = head
        self._ready = b""
        self._rest = b""

    def are_none(self) -> bool:
        """Whether nothing comes but blank lines, which pyarrow refuses. Before anything is read."""
        while not self._ready.strip() and self._fill():
            pass
        return not self._ready.strip()

    def readable(self) -> bool:
        return True

    def _fill(self) -> bool:
        """Read on; False at the end."""
        block = self._file.read(1024 * 1024)
        if not block and not self._rest:
            return False
        self._ready += self._rows_of(block) if self._head.comments else block
        return True

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
        text = _decoded(line)
        _check_status(self._path, text)
        if len(_cells(text, self._head.delimiter)) == len(self._head.names):
            raise CatalogError(
                f"{self._path}: the line {text.strip()[:60]!r} may be a comment or a row: take the "
                "comment out, or put its first value in quotes"
            )
        return False


def _read_head(path: Path, wanted: Wanted) -> _Head:
    with opened(path) as file:
        lines = list(_lines(path, file))
    if not lines:
        raise CatalogError(f"{path}: is empty")
    if lines[0].text.startswith("# %ECSV"):
        return _ecsv_head(path, lines)
    delimiter = wanted.delimiter
    comments: list[str] = []
    seen: list[list[str]] = []
    for number, line in enumerate(lines):
        if line.text.startswith("#"):
            _check_status(path, line.text)
            comments.append(line.text)
        elif line.text.strip():
            cells = _cells(line.text, delimiter)
            if set(wanted.columns) <= set(cells):
                _check_preamble(path, seen, cells)
                return _with_units(cells, lines[number:], comments, delimiter)
            seen.append(cells)
    names = next((cells for cells in seen if len(cells) > 1), seen[0] if seen else [])
    hint = _hint(lines, wanted)
    return _Head(tuple(names), ("",) * len(names), tuple(comments), 0, delimiter, hint)


class _Line(NamedTuple):
    """One of the first lines, and the byte after it."""

    text: str
    end: int


def _lines(path: Path, file: BinaryIO) -> Iterator[_Line]:
    """Yield the first lines: as far as the names of the columns may come."""
    head = file.read(4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in head:
        raise CatalogError(f"{path}: is text in UTF-16 or UTF-32, or no text: make it UTF-8")
    end = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    file.seek(end)
    others = 0
    while end < _HEAD_BYTES and others < _HEAD_LINES:
        line = file.readline(_HEAD_BYTES)
        if not line:
            return
        end += len(line)
        others += not line.startswith(b"#")
        yield _Line(_decoded(line).rstrip("\r\n"), end)


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _check_preamble(path: Path, seen: Sequence[list[str]], names: list[str]) -> None:
    """Refuse rows before the line with the names; a title, as TNS has, is none."""
    if any(len(cells) >= len(names) for cells in seen):
        raise CatalogError(
            f"{path}: a line before the line with the names of the columns ({', '.join(names)}) "
            "has as many values as it has: the names must come first"
        )


def _with_units(
    names: Sequence[str], lines: Sequence[_Line], comments: Sequence[str], delimiter: str
) -> _Head:
    """Return the head that ends with the line of names, or with the units and dashes of VizieR."""
    below = [_cells(line.text, delimiter) for line in lines[1:3]]
    units, last = ("",) * len(names), 0
    if below and _are_dashes(below[0]):
        last = 1
    elif len(below) > 1 and _are_dashes(below[1]) and len(below[0]) <= len(names):
        units, last = tuple(below[0] + [""] * (len(names) - len(below[0]))), 2
    return _Head(tuple(names), units, tuple(comments), lines[last].end, delimiter)


def _are_dashes(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and all(_DASHES.fullmatch(cell) for cell in cells)


def _ecsv_head(path: Path, lines: Sequence[_Line]) -> _Head:
    from astropy.table.meta import YamlParseError, get_header_from_yaml

    comments = [line.text for line in lines if line.text.startswith("#")]
    rest = [line for line in lines if line.text.strip() and not line.text.startswith("#")]
    if not rest:
        raise CatalogError(f"{path}: has no line with the names of the columns")
    try:
        header = get_header_from_yaml([text[1:].removeprefix(" ") for text in comments[1:]])
    except YamlParseError as error:
        raise CatalogError(f"{path}: its ECSV header cannot be read: {error}") from error
    delimiter = header.get("delimiter", " ")
    units = {entry["name"]: str(entry.get("unit") or "") for entry in header["datatype"]}
    names = tuple(_cells(rest[0].text, delimiter))
    return _Head(names, tuple(units.get(name, "") for name in names), (), rest[0].end, delimiter)


def _hint(lines: Sequence[_Line], wanted: Wanted) -> str:
    columns = set(wanted.columns)
    for line in lines:
        bare = line.text.lstrip("# ")
        if bare != line.text and columns <= set(_cells(bare, wanted.delimiter)):
            return "the line with the names begins with #: take the # away"
        for other in _OTHER_DELIMITERS:
            if columns <= set(_cells(bare, other)):
                return f"set source.delimiter = {json.dumps(other)}"
    return ""


def _check_status(path: Path, comment: str) -> None:
    if found := _STATUS.search(comment):
        what = found["status"] or "truncated"
        raise CatalogError(
            f"{path}: says that it is not whole ({what.upper()}: {comment.strip()[:80]!r}): ask "
            "for all rows (VizieR: -out.max=unlimited), or in parts"
        )


def _vizier_facts(
    comments: Sequence[str],
) -> tuple[tuple[Frame, ...], dict[str, tuple[str, tuple[Frame, ...]]]]:
    """Return the frames of the file, and the UCD and frames of columns that have a line."""
    systems = [found for text in comments if (found := _COOSYS.match(text))]
    shared = tuple(
        Frame(f"#Coosys {found['id']}", found["system"], found["equinox"] or "")
        for found in systems
    )
    columns: dict[str, tuple[str, tuple[Frame, ...]]] = {}
    for text in comments:
        if line := _VIZIER_COLUMN.match(text):
            facts = {
                name: (found[1] if (found := pattern.search(line["text"])) else "")
                for name, pattern in _IN_TEXT.items()
            }
            ucd = facts.pop("ucd")
            own = (Frame(f"#Column {line['name']}", **facts),)
            columns[line["name"]] = (ucd, own if any(facts.values()) else shared)
    return shared, columns
