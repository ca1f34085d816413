"""FITS: one binary or ASCII table of a file.

astropy gives the headers and the stored values; scales and missing values are applied here, because
astropy is wrong there or does not tell:

- TNULL names the stored integer, before TSCAL and TZERO (FITS 4.0, section 7.3.2); astropy's
  tables compare it with the scaled value.
- The byte 0 of a logical is null; astropy gives False, and the bytes only on request and since
  version 8 (astropy issue 18815).
- In an ASCII table blanks and the text of TNULL are null, for floating-point columns too; astropy
  fails on some of those that VizieR writes (astropy issues 5134, 7346).

Text is read as bytes, since astropy takes it for ASCII.

DATASUM and CHECKSUM are compared, where a table has them. Not every difference is damage: some
programs change a table and leave its checksums as they were, as those of 4LAC-DR3 are. So
`checks.integrity` of the description can ignore them.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from catalogs.columns import json_text
from catalogs.formats.astropy_header import (
    comment_lines,
    declared_columns,
    frames_of_keywords,
    read_header,
)
from catalogs.formats.choice import Candidate, choose
from catalogs.formats.compressed import decompressed_copy
from catalogs.formats.table_file import PIECE_ROWS, Column, Frame, TableRequest
from finkray.errors import CatalogError

_BINARY_FORMAT: Final = re.compile(r"(\d*)([LXBIJKAEDCMPQ])")

_BLANKS: Final = b" \x00\t"

_OTHER_AXES: Final = ("GL", "EL", "SL", "HL", "TL")
"""First letters of coordinates that are not equatorial, such as GLON (FITS 4.0, section 8.3)."""


class FitsFile:
    """One table of a FITS file.

    Raises
    ------
    CatalogError
        The file is shorter than its headers say, or has several tables with sources.
    """

    hint = ""

    def __init__(self, path: Path, wanted: TableRequest) -> None:
        self.path = path
        with self._opened() as hdus:
            candidates = [
                Candidate(number, hdu.name, hdu.columns.names, hdu.header["NAXIS2"])
                for number, hdu in enumerate(hdus)
                if _is_table(hdu)
            ]
            self._number = choose(path, candidates, wanted, "HDU").number
            hdu = hdus[self._number]
            if wanted.integrity:
                self._check_sums(hdu)
            self._columns = _declared(hdu, hdus[0].header)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        from astropy.io import fits

        with warnings.catch_warnings(), decompressed_copy(self.path) as plain:
            # Of keywords that are not as the standard has them, and of a file that is too short.
            warnings.simplefilter("ignore")
            with fits.open(plain, memmap=True, character_as_bytes=True) as hdus:
                self._check_size(hdus, plain.stat().st_size)
                yield hdus

    def _check_size(self, hdus: Any, size: int) -> None:
        """Refuse a file that ends before its tables do; the padding of the last block may miss."""
        for number, hdu in enumerate(hdus):
            header = hdu.header
            if not _is_table(hdu):
                continue
            data = header["NAXIS1"] * header["NAXIS2"] + header.get("PCOUNT", 0)
            end = hdu.fileinfo()["datLoc"] + data
            if end > size:
                raise CatalogError(
                    f"{self.path}: is cut short: HDU {number} ends at byte {end:,}, the file at "
                    f"{size:,}: fetch it again"
                )

    def _check_sums(self, hdu: Any) -> None:
        """Refuse a table whose DATASUM or CHECKSUM differs from what is there."""
        sums = {"DATASUM": hdu.verify_datasum, "CHECKSUM": hdu.verify_checksum}
        for keyword, verify in sums.items():
            if verify() == 0:
                raise CatalogError(
                    f"{self.path}: {keyword} of HDU {self._number} differs from that of its "
                    "content: the file is damaged, or a program changed it without its checksums. "
                    'Fetch it again; if it is right, checks.integrity = "ignore"'
                )

    def columns(self) -> Sequence[Column]:
        """All columns in order, with TUNIT, TUCD and the frame of RADESYS, EQUINOX and EPOCH."""
        return self._columns

    def types(self, names: Sequence[str]) -> Mapping[str, pa.DataType]:
        """Return the types that the columns have as Arrow."""
        with self._opened() as hdus:
            hdu = hdus[self._number]
            return {name: self._column(hdu, name, 0, 1).type for name in names}

    def pieces(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows from the mapped file."""
        with self._opened() as hdus:
            hdu = hdus[self._number]
            for start in range(0, hdu.header["NAXIS2"], PIECE_ROWS):
                end = start + PIECE_ROWS
                yield pa.table({name: self._column(hdu, name, start, end) for name in names})

    def _column(self, hdu: Any, name: str, start: int, end: int) -> pa.Array:
        from astropy.io import fits

        number = [column.name for column in self._columns].index(name)
        rows = hdu.data[start:end]
        stored = rows.view(np.ndarray)
        stored = stored[stored.dtype.names[number]]
        cards = _Cards.of(hdu, number)
        try:
            if isinstance(hdu, fits.TableHDU):
                return _of_ascii(cards, stored)
            return _of_binary(cards, stored, lambda: rows.field(number))
        except (ValueError, TypeError, OverflowError) as error:
            raise CatalogError(
                f"{self.path}: column {name}: cannot be read ({error}): leave it out, or make it "
                "plain numbers or text"
            ) from error


class _Cards(NamedTuple):
    """The keywords of a column: TTYPE, TFORM, TNULL, TSCAL and TZERO."""

    name: str
    form: str
    null: Any
    scale: Any
    zero: Any

    @classmethod
    def of(cls, hdu: Any, number: int) -> "_Cards":
        """Read the keywords of a column from the header, where astropy drops some."""
        card = {key: hdu.header.get(f"{key}{number + 1}") for key in ("TNULL", "TSCAL", "TZERO")}
        column = hdu.columns[number]
        scale, zero = card["TSCAL"], card["TZERO"]
        return cls(
            column.name,
            str(hdu.header[f"TFORM{number + 1}"]).strip(),
            _whole(card["TNULL"]),
            1 if scale is None else scale,
            0 if zero is None else zero,
        )

    @property
    def scaled(self) -> bool:
        """Whether the values must be computed from the stored numbers."""
        return (self.scale, self.zero) != (1, 0)


def _whole(null: Any) -> Any:
    """Return TNULL as an integer, also of a writer that makes it a text or a fraction."""
    try:
        return int(null) if float(null) == int(float(null)) else null
    except (TypeError, ValueError, OverflowError):
        return null


def _declared(hdu: Any, primary: Mapping[str, Any]) -> list[Column]:
    """Return the columns with what the headers of table and file declare of them."""
    frames = frames_of_keywords(hdu.header, primary)
    comments = [str(comment) for comment in hdu.header.get("COMMENT", ())]
    lines = comment_lines(comments)
    serialized = declared_columns(read_header(lines, "its COMMENT cards")) if lines else {}
    columns = []
    for number, column in enumerate(hdu.columns):
        ucd = str(hdu.header.get(f"TUCD{number + 1}", ""))
        known = serialized.get(column.name, Column(column.name))
        axis = str(hdu.header.get(f"TCTYP{number + 1}", "")).strip().upper()
        # As a coordinate of an image the column may have a frame of its own.
        own = (Frame(f"TCTYP{number + 1}", axis),) if axis.startswith(_OTHER_AXES) else known.frames
        columns.append(Column(column.name, str(column.unit or ""), ucd or known.ucd, own or frames))
    return columns


def _is_table(hdu: Any) -> bool:
    from astropy.io import fits

    # A compressed image is a binary table too.
    return isinstance(hdu, fits.BinTableHDU | fits.TableHDU) and not hdu.header.get("ZIMAGE")


def _of_binary(cards: _Cards, stored: np.ndarray, decoded: Callable[[], Any]) -> pa.Array:
    found = _BINARY_FORMAT.match(cards.form)
    code = found[2] if found else ""
    if code == "A":
        return _of_texts(cards.name, stored)
    if code == "L":
        return _of_logicals(cards.name, stored)
    if code in "PQ":
        return _of_any_length(cards, decoded())
    if code == "X":
        return _json(cards.name, [row.tolist() for row in decoded()])
    return _of_numbers(cards, stored)


def _of_any_length(cards: _Cards, rows: Any) -> pa.Array:
    """Return arrays of any length, of which only the plain ones are read right.

    astropy applies TZERO to the first row alone (issue 8194), and has False for a null logical
    (issue 18755).
    """
    if cards.scaled or "L" in cards.form:
        raise ValueError("an array of any length with TSCAL, TZERO or logicals")
    if "A" in cards.form:
        texts = [bytes(np.asarray(row).astype("S1").tobytes()) for row in rows]
        return pa.array([_text(text) for text in texts], pa.string())
    lists = [np.asarray(row).tolist() for row in rows]
    null = cards.null
    if isinstance(null, int):
        lists = [[None if number == null else number for number in row] for row in lists]
    return _json(cards.name, lists)


def _of_numbers(cards: _Cards, stored: np.ndarray) -> pa.Array:
    integers = stored.dtype.kind in "iu"
    null = cards.null if integers and isinstance(cards.null, int) else None
    missing = stored == null if null is not None else np.zeros(stored.shape, bool)
    native = np.ascontiguousarray(stored, dtype=stored.dtype.newbyteorder("="))
    if cards.scaled:
        whole = integers and cards.scale == 1 and cards.zero == int(cards.zero)
        native = (
            _shifted(native, int(cards.zero), missing)
            if whole
            else native * cards.scale + cards.zero
        )
    if native.ndim > 1 or native.dtype.kind == "c":
        return _json(cards.name, np.ma.array(native, mask=missing).tolist())
    return pa.array(native, mask=missing)


def _shifted(stored: np.ndarray, zero: int, missing: np.ndarray) -> np.ndarray:
    """Return integers with a TZERO: exact, where astropy makes doubles of some.

    astropy has unsigned integers right. Of 64-bit integers with any other TZERO it makes doubles,
    or raises an UnboundLocalError.
    """
    if stored.dtype.itemsize < 8:
        return stored.astype(np.int64) + zero
    if zero == 2**63:
        unsigned: np.ndarray = stored.view(np.uint64) ^ np.uint64(2**63)
        return unsigned
    there = stored[~missing]
    if len(there) and not -(2**63) <= int(there.min()) + zero <= int(there.max()) + zero < 2**63:
        raise OverflowError(f"with TZERO = {zero} the integers exceed 64 bits")
    with np.errstate(over="ignore"):
        return stored + np.int64(zero)


def _of_texts(name: str, stored: np.ndarray) -> pa.Array:
    if stored.ndim == 1:
        return pa.array([_text(item) for item in stored.tolist()], pa.string())
    return _json(name, [[_text(item) for item in np.ravel(row).tolist()] for row in stored])


def _of_logicals(name: str, stored: np.ndarray) -> pa.Array:
    letters = np.asarray(stored).view(np.uint8)
    true, false = letters == ord("T"), letters == ord("F")
    masked = np.ma.array(true, mask=~(true | false))
    if stored.ndim == 1:
        return pa.array(true, mask=masked.mask)
    return _json(name, [row.tolist() for row in masked])


def _of_ascii(cards: _Cards, stored: np.ndarray) -> pa.Array:
    """Return a column of an ASCII table, read from its text."""
    null = str(cards.null).strip() if cards.null is not None else ""
    cells = (_text(item).strip() for item in stored.tolist())
    texts = [text if text not in ("", null) else None for text in cells]
    if cards.form.startswith("A"):
        return pa.array(texts, pa.string())
    if cards.form.startswith("I") and not cards.scaled:
        return pa.array([None if text is None else int(text) for text in texts], pa.int64())
    numbers = [
        None if text is None else float(text.upper().replace("D", "E")) * cards.scale + cards.zero
        for text in texts
    ]
    return pa.array(numbers, pa.float64())


def _text(item: bytes) -> str:
    """Return text up to its first zero byte, which ends it (FITS 4.0, section 7.3.3.1)."""
    item = item.split(b"\x00", 1)[0].rstrip(_BLANKS)
    try:
        return item.decode()
    except UnicodeDecodeError:
        return item.decode("latin-1")


def _json(name: str, rows: Sequence[Any]) -> pa.Array:
    return pa.array([json_text(name, row) for row in rows], pa.string())
