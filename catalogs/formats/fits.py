"""FITS: one binary or ASCII table of a file.

astropy gives the values, scaled and in the machine's byte order. Missing values are found in the
stored bytes, because astropy is wrong there or does not tell:

- TNULL names the stored integer, before TSCAL and TZERO (FITS 4.0, section 7.3.2); astropy's
  tables compare it with the scaled value.
- The byte 0 of a logical is null; astropy gives False, and the bytes only on request and since
  version 8 (astropy issue 18815).
- In an ASCII table blanks and the text of TNULL are null, for floating-point columns too; astropy
  fails on some of those that VizieR writes (astropy issues 5134, 7346).

Text is read as bytes, since astropy takes it for ASCII.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from catalogs.columns import json_text
from catalogs.formats.choice import Candidate, choose
from catalogs.formats.compressed import decompressed
from catalogs.formats.table_file import PIECE_ROWS, Column, Frame, Wanted
from finkray.errors import CatalogError

_BINARY_FORMAT: Final = re.compile(r"(\d*)([LXBIJKAEDCMPQ])")

_BLANKS: Final = b" \x00\t"


class FitsFile:
    """One table of a FITS file.

    Raises
    ------
    CatalogError
        The file is shorter than its headers say, or has several tables with sources.
    """

    hint = ""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.path = path
        with self._opened() as hdus:
            candidates = [
                Candidate(number, hdu.name, hdu.columns.names, hdu.header["NAXIS2"])
                for number, hdu in enumerate(hdus)
                if _is_table(hdu)
            ]
            self._number = choose(path, candidates, wanted, "HDU").number
            hdu = hdus[self._number]
            frames = _frames(hdu.header, hdus[0].header)
            self._columns = [
                Column(
                    column.name,
                    str(column.unit or ""),
                    str(hdu.header.get(f"TUCD{number + 1}", "")),
                    frames,
                )
                for number, column in enumerate(hdu.columns)
            ]

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        from astropy.io import fits

        with warnings.catch_warnings(), decompressed(self.path) as plain:
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
        try:
            if isinstance(hdu, fits.TableHDU):
                return _of_ascii(hdu.columns[number], stored)
            return _of_binary(hdu.columns[number], stored, rows, number)
        except (ValueError, TypeError, OverflowError) as error:
            raise CatalogError(
                f"{self.path}: column {name}: cannot be read ({error}): leave it out, or make it "
                "plain numbers or text"
            ) from error


def _is_table(hdu: Any) -> bool:
    from astropy.io import fits

    # A compressed image is a binary table too.
    return isinstance(hdu, fits.BinTableHDU | fits.TableHDU) and not hdu.header.get("ZIMAGE")


def _frames(header: Any, primary: Any) -> tuple[Frame, ...]:
    """Return the frame of a table: as its own header says, else the file's first."""
    for source in (header, primary):
        system = source.get("RADESYS", source.get("RADECSYS", ""))
        equinox, epoch = source.get("EQUINOX", ""), source.get("EPOCH", "")
        if epoch == equinox or (equinox == "" and epoch in (1950.0, 2000.0)):
            # EPOCH is the old name of EQUINOX (FITS 4.0, section 8.3).
            equinox, epoch = epoch, ""
        if system or equinox != "" or epoch != "":
            keys = [key for key in ("RADESYS", "RADECSYS", "EQUINOX", "EPOCH") if key in source]
            return (Frame(", ".join(keys), str(system), str(equinox), str(epoch)),)
    return ()


def _of_binary(column: Any, stored: np.ndarray, rows: Any, number: int) -> pa.Array:
    found = _BINARY_FORMAT.match(str(column.format))
    code = found[2] if found else ""
    if code == "A" and stored.ndim == 1:
        return pa.array([_text(item) for item in stored.tolist()], pa.string())
    if code == "L":
        return _of_logicals(column.name, stored)
    if code == "A":
        texts = [[_text(item) for item in np.ravel(row).tolist()] for row in stored]
        return _json(column.name, texts)
    if code in "PQ":
        return _json(column.name, [_with_nulls(column, row) for row in rows.field(number)])
    return _of_numbers(column, code, stored, rows.field(number))


def _of_numbers(column: Any, code: str, stored: np.ndarray, values: np.ndarray) -> pa.Array:
    null = column.null if code in "BIJK" else None
    missing = stored == null if isinstance(null, int) else np.zeros(stored.shape, bool)
    if values.ndim > 1 or code in "XCM":
        masked = np.ma.array(np.asarray(values), mask=_mask_like(missing, values))
        return _json(column.name, [row.tolist() for row in masked])
    native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    if code == "K" and native.dtype.kind == "f" and column.bscale in (None, "", 1):
        return _shifted(stored, int(column.bzero), missing)
    return pa.array(native, mask=missing)


def _mask_like(missing: np.ndarray, values: np.ndarray) -> np.ndarray:
    return missing if missing.shape == values.shape else np.zeros(values.shape, bool)


def _shifted(stored: np.ndarray, zero: int, missing: np.ndarray) -> pa.Array:
    """Return 64-bit integers with a TZERO of their own, which astropy turns into doubles."""
    numbers = [
        None if gone else number + zero
        for number, gone in zip(stored.tolist(), missing.tolist(), strict=True)
    ]
    return pa.array(numbers, pa.int64())


def _with_nulls(column: Any, row: Any) -> list[Any]:
    if isinstance(row, bytes | str):
        return [row if isinstance(row, str) else row.decode("latin-1")]
    if isinstance(column.null, int) and (column.bscale or column.bzero):
        raise ValueError("an array of any length with TNULL, TSCAL and TZERO")
    values = np.asarray(row).tolist()
    return [None if isinstance(column.null, int) and one == column.null else one for one in values]


def _of_logicals(name: str, stored: np.ndarray) -> pa.Array:
    letters = np.asarray(stored).view(np.uint8)
    true, false = letters == ord("T"), letters == ord("F")
    masked = np.ma.array(true, mask=~(true | false))
    if stored.ndim == 1:
        return pa.array(true, mask=masked.mask)
    return _json(name, [row.tolist() for row in masked])


def _of_ascii(column: Any, stored: np.ndarray) -> pa.Array:
    """Return a column of an ASCII table, read from its text."""
    null = str(column.null).strip() if column.null is not None else ""
    texts = [text if text not in ("", null) else None for text in map(_text, stored.tolist())]
    if str(column.format).startswith("A"):
        return pa.array(texts, pa.string())
    zero, scale = column.bzero or 0, column.bscale or 1
    if str(column.format).startswith("I") and (zero, scale) == (0, 1):
        return pa.array([None if text is None else int(text) for text in texts], pa.int64())
    numbers = [
        None if text is None else float(text.upper().replace("D", "E")) * scale + zero
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
