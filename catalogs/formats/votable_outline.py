"""Read the outline of a VOTable: what its elements declare, without the values.

astropy's reader is lenient: it accepts a binary stream that ends too early, and leaves it to the
caller to look for a status or a second table. So this module reads the document first, as a stream.
The XML parser raises if closing tags are missing.
"""

import base64
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Final
from xml.parsers import expat

from catalogs.formats.table_file import Column
from catalogs.formats.votable_frames import Frames
from finkray.errors import CatalogError

_BYTES: Final = {
    "boolean": 1, "unsignedByte": 1, "short": 2, "int": 4, "long": 8, "char": 1, "unicodeChar": 2,
    "float": 4, "double": 8, "floatComplex": 8, "doubleComplex": 16,
}  # fmt: skip
"""Bytes of a value in the binary formats (VOTable 1.5, section 6)."""


_STATUS_NAME: Final = re.compile("STATUS|WARN|OVERFLOW|TRUNCAT")
_CUT: Final = re.compile(r"\btruncated\b|\boverflow(ed)?\b", re.IGNORECASE)
"""What an INFO of such a name says of an answer that is not whole."""

_VALUES: Final = ("TR", "TD")
"""Elements of which there are as many as values."""


@dataclass
class Field:
    """A FIELD: its column, datatype and array size, and the ids of frames that it refers to."""

    column: Column
    datatype: str
    arraysize: str
    references: list[str] = field(default_factory=list)


@dataclass
class OutlinedTable:
    """A TABLE.

    Attributes
    ----------
    label
        name or ID of the table, else empty
    announced_rows
        attribute `nrows`; None without one
    rows
        number of rows; of a binary stream it is known at its end
    binary
        the serialization: 0 none, 1 BINARY, 2 BINARY2
    stream
        the bytes of the binary stream, until its rows are counted
    flags
        the null flags of each row of BINARY2, one after the other
    external
        address of the values if they are not in the document
    reference
        ID of the table that has the FIELDs of this one; empty if they are its own
    """

    label: str
    announced_rows: int | None
    fields: list[Field] = field(default_factory=list)
    rows: int = 0
    binary: int = 0
    stream: bytearray = field(default_factory=bytearray)
    flags: bytearray = field(default_factory=bytearray)
    encoding: str = ""
    external: str = ""
    reference: str = ""

    @property
    def columns(self) -> list[Column]:
        """The columns that the FIELDs declare."""
        return [field.column for field in self.fields]

    @property
    def flag_bytes(self) -> int:
        """Number of bytes of null flags in a row."""
        return (len(self.fields) + 7) // 8 if self.binary == 2 else 0

    def stream_rows(self) -> int:
        """Count the rows of the binary stream, and keep their null flags.

        Raises
        ------
        CatalogError
            The stream ends within a row.
        """
        sizes = [_size(entry) for entry in self.fields]
        flags = self.flag_bytes
        if not flags and all(size > 0 for size in sizes):
            rows, rest = divmod(len(self.stream), sum(sizes))
            if rest:
                raise CatalogError("its binary stream ends within a row")
            return rows
        rows = at = 0
        while at < len(self.stream):
            self.flags += self.stream[at : at + flags]
            at += flags
            for size in sizes:
                if size < 0:
                    count = int.from_bytes(self.stream[at : at + 4], "big")
                    at += 4 + count * -size
                else:
                    at += size
            rows += 1
        if at != len(self.stream):
            raise CatalogError("its binary stream ends within a row")
        return rows


def _size(entry: Field) -> int:
    """Return the bytes of a value; for an array of any length those of an item, as a negative."""
    item = _BYTES.get(entry.datatype, 0)
    shape = entry.arraysize.strip()
    counts = [int(number) for number in re.findall(r"\d+", shape)]
    if entry.datatype == "bit":
        if "*" in shape:
            raise CatalogError("bit arrays of any length are not read")
        return (_product(counts) + 7) // 8
    if not item:
        raise CatalogError(f"the datatype {entry.datatype!r} is not known")
    if shape.endswith("*"):
        # The number before the star is the longest that the last dimension becomes.
        fixed = counts[:-1] if shape[:-1].endswith(tuple("0123456789")) else counts
        return -item * _product(fixed)
    return item * _product(counts)


def _product(counts: list[int]) -> int:
    product = 1
    for count in counts:
        product *= count
    return product


@dataclass
class Outline:
    """What a document declares.

    Attributes
    ----------
    statuses
        value and text of each INFO with the status of a query, at any level of the document
    """

    tables: list[OutlinedTable] = field(default_factory=list)
    statuses: list[tuple[str, str]] = field(default_factory=list)


def outline_of(file: BinaryIO) -> Outline:
    """Return the outline of a document.

    Raises
    ------
    CatalogError
        It is no VOTable, or it ends before its closing tags.
    """
    reader = _Reader()
    try:
        while block := file.read(1024 * 1024):
            reader.parser.Parse(block, False)  # noqa: FBT003 - expat's own signature
        reader.parser.Parse(b"", True)  # noqa: FBT003 - the same
    except expat.ExpatError as error:
        raise CatalogError(
            f"is no whole VOTable ({error}): it is cut short or something else; fetch it again"
        ) from error
    return reader.finish()


def outline_of_text(text: bytes) -> Outline:
    """Return the outline of a document in memory."""
    return outline_of(io.BytesIO(text))


class _Reader:
    """Builds an outline from the events of the XML parser."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self._outline = Outline()
        self._frames = Frames()
        self._path: list[str] = []
        self._table: OutlinedTable | None = None
        self._ids: dict[str, list[Field]] = {}
        self._fields_of: dict[str, list[Field]] = {}
        self._base64 = ""
        self._status_text: list[str] | None = None

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        tag = name.rsplit(" ", 1)[-1].upper()
        if not self._path and tag != "VOTABLE":
            raise CatalogError(f"is no VOTable: the document is {name.rsplit(' ', 1)[-1]}")
        self._path.append(tag)
        if tag not in _VALUES:
            self._frames.start(self._path, attributes)
        if tag in ("INFO", "PARAM"):
            self._info(tag, attributes)
        elif tag == "TABLE":
            rows = attributes.get("nrows", "")
            label = attributes.get("name") or attributes.get("ID") or ""
            self._table = OutlinedTable(label, int(rows) if rows.isdigit() else None)
            self._table.reference = attributes.get("ref", "")
            self._table.fields += self._fields_of.get(self._table.reference, [])
            if attributes.get("ID"):
                self._fields_of[attributes["ID"]] = self._table.fields
            self._ids = {}
            self._outline.tables.append(self._table)
        elif self._table is not None:
            self._in_table(self._table, tag, attributes)

    def _info(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = (attributes.get("name") or attributes.get("ID") or "").upper()
        value = attributes.get("value", "")
        if name == "QUERY_STATUS" and value.strip().upper() != "OK":
            self._outline.statuses.append((value, ""))
            self._status_text = []
        elif name == "ERROR" and (tag == "INFO" or self._table is None):
            # A cone search reports a failure this way (SCS 1.03, section 2.3).
            self._outline.statuses.append(("ERROR", value))
        elif tag == "INFO" and _STATUS_NAME.search(name) and _CUT.search(value):
            # VizieR: `truncated result (maxtup=50)`.
            self._outline.statuses.append((name, value))

    def _in_table(self, table: OutlinedTable, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "FIELD":
            column = Column(
                attributes.get("name") or attributes.get("ID") or "",
                attributes.get("unit", ""),
                attributes.get("ucd", ""),
            )
            datatype, size = attributes.get("datatype", ""), attributes.get("arraysize", "")
            entry = Field(column, datatype, size, [attributes.get("ref", "")])
            table.fields.append(entry)
            self._ids.setdefault(attributes.get("ID", ""), []).append(entry)
        elif tag == "STREAM":
            table.external = attributes.get("href", "") or table.external
            table.encoding = attributes.get("encoding", "")
        elif tag in ("FITS", "PARQUET"):
            table.external = table.external or f"a {tag} stream"
        elif tag in ("BINARY", "BINARY2"):
            table.binary = 2 if tag == "BINARY2" else 1
        elif tag == "TR":
            table.rows += 1

    def _characters(self, text: str) -> None:
        tag = self._path[-1] if self._path else ""
        if self._status_text is not None:
            self._status_text.append(text)
        elif tag == "STREAM" and self._table is not None and self._table.binary:
            self._base64 += "".join(text.split())
            decodable = len(self._base64) // 4 * 4
            self._decode(self._table, self._base64[:decodable])
            self._base64 = self._base64[decodable:]
        elif tag and tag not in _VALUES:
            self._frames.text(self._path, text)

    def _decode(self, table: OutlinedTable, text: str) -> None:
        try:
            table.stream += base64.b64decode(text, validate=True)
        except ValueError as error:
            raise CatalogError(f"its binary stream is no base64 ({error})") from error

    def _end(self, _: str) -> None:
        tag = self._path.pop()
        if tag not in _VALUES:
            self._frames.end(tag)
        if tag == "INFO" and self._status_text is not None:
            value, _ = self._outline.statuses[-1]
            self._outline.statuses[-1] = (value, "".join(self._status_text).strip())
            self._status_text = None
        elif tag == "STREAM" and self._table is not None:
            if self._base64:
                raise CatalogError("its binary stream ends within a group of base64")
            if self._table.binary and not self._table.external:
                self._table.rows = self._table.stream_rows()
                self._table.stream = bytearray()
        elif tag == "TABLE" and self._table is not None:
            for column, references in self._frames.of_columns.items():
                for entry in self._ids.get(column, []):
                    entry.references += references
            self._frames.of_columns.clear()
            self._table = None

    def finish(self) -> Outline:
        """Return the outline with the frames of the columns, as COOSYS may follow the table."""
        for table in self._outline.tables:
            for entry in table.fields:
                frames = self._frames.resolve(entry.references)
                entry.column = replace(entry.column, frames=frames)
        return self._outline


def statuses(outline: Outline) -> Iterator[str]:
    """Yield a text for each status that reports a failed or incomplete query."""
    for value, text in outline.statuses:
        yield f"QUERY_STATUS {value}{f' ({text[:200]})' if text else ''}"
