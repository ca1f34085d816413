"""The head of a text with a delimiter: where the rows begin, and what stands before them.

Understood are a title above the names of the columns (TNS), comments, the units and dashes of
VizieR's TSV, and the header of ECSV.
"""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from catalogs.formats.astropy_header import declared_columns, read_header
from catalogs.formats.compressed import open_decompressed
from catalogs.formats.table_file import Column, Frame, TableRequest
from finkray.errors import CatalogError

_HEAD_BYTES: Final = 4 * 1024 * 1024
"""The line with the names of the columns is looked for so far into the file."""

_HEAD_LINES: Final = 50
"""Number of lines without a comment in which the head is searched."""

_OTHER_DELIMITERS: Final = ",;\t|"

_DASHES: Final = re.compile(r"-+")

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
class Head:
    """What stands before the first row.

    Attributes
    ----------
    columns
        in order, with what a line of units or an ECSV header declares
    comments
        lines that begin with #
    start
        byte at which the rows begin
    hint
        what may be wrong if a wanted column is not among the names
    """

    columns: tuple[Column, ...]
    comments: tuple[str, ...]
    start: int
    delimiter: str
    hint: str = ""

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return [column.name for column in self.columns]


def read_head(path: Path, wanted: TableRequest) -> Head:
    """Read what stands before the rows of a file.

    Raises
    ------
    CatalogError
        The file is empty, not in UTF-8 or Latin-1, has rows before the names of the columns, or
        says that it is not whole.
    """
    with open_decompressed(path) as file:
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
            check_status(path, line.text)
            comments.append(line.text)
        elif line.text.strip():
            cells = split_cells(line.text, delimiter)
            if set(wanted.columns) <= set(cells):
                _check_preamble(path, seen, cells)
                return _with_units(cells, lines[number:], comments, delimiter)
            seen.append(cells)
    names = next((cells for cells in seen if len(cells) > 1), seen[0] if seen else [])
    hint = _hint(lines, wanted)
    return Head(tuple(map(Column, names)), tuple(comments), 0, delimiter, hint)


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
        yield _Line(decode_line(line).rstrip("\r\n"), end)


def decode_line(line: bytes) -> str:
    """Return a line as text: in UTF-8, else in Latin-1, in which every byte is a character."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def split_cells(line: str, delimiter: str) -> list[str]:
    """Return the values of a line without blanks around them."""
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
) -> Head:
    """Return the head that ends with the line of names, or with the units and dashes of VizieR."""
    below = [split_cells(line.text, delimiter) for line in lines[1:3]]
    units, last = [""] * len(names), 0
    if below and _are_dashes(below[0]):
        last = 1
    elif len(below) > 1 and _are_dashes(below[1]) and len(below[0]) <= len(names):
        units, last = below[0] + [""] * (len(names) - len(below[0])), 2
    columns = tuple(Column(name, unit) for name, unit in zip(names, units, strict=True))
    return Head(columns, tuple(comments), lines[last].end, delimiter)


def _are_dashes(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and all(_DASHES.fullmatch(cell) for cell in cells)


def _ecsv_head(path: Path, lines: Sequence[_Line]) -> Head:
    comments = [line.text for line in lines if line.text.startswith("#")]
    rest = [line for line in lines if line.text.strip() and not line.text.startswith("#")]
    if not rest:
        raise CatalogError(f"{path}: has no line with the names of the columns")
    lines_of_yaml = [text[1:].removeprefix(" ") for text in comments[1:]]
    header = read_header(lines_of_yaml, f"{path}: its ECSV header")
    delimiter = header.get("delimiter", " ")
    declared = declared_columns(header)
    names = tuple(split_cells(rest[0].text, delimiter))
    columns = tuple(declared.get(name, Column(name)) for name in names)
    return Head(columns, (), rest[0].end, delimiter)


def _hint(lines: Sequence[_Line], wanted: TableRequest) -> str:
    columns = set(wanted.columns)
    for line in lines:
        bare = line.text.lstrip("# ")
        if bare != line.text and columns <= set(split_cells(bare, wanted.delimiter)):
            return "the line with the names begins with #: take the # away"
        for other in _OTHER_DELIMITERS:
            if columns <= set(split_cells(bare, other)):
                return f"set source.delimiter = {json.dumps(other)}"
    return ""


def check_status(path: Path, comment: str) -> None:
    """Refuse a file with a comment that says that the answer is not whole."""
    if found := _STATUS.search(comment):
        what = found["status"] or "truncated"
        raise CatalogError(
            f"{path}: says that it is not whole ({what.upper()}: {comment.strip()[:80]!r}): ask "
            "for all rows (VizieR: -out.max=unlimited), or in parts"
        )


def vizier_facts(
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
