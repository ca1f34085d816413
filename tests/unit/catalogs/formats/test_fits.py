"""FITS: what is missing is null, what the file declares is heard, what is cut short is refused."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.made_catalogs import refusal, rows_of, values_of

PLACES = [
    fits.Column("id", "J", array=np.array([1, 2, 3])),
    fits.Column("ra", "D", unit="deg", array=np.array([10.0, 11.0, 12.0])),
    fits.Column("dec", "D", unit="deg", array=np.array([5.0, 5.0, 5.0])),
]


def write(path: Path, *columns: fits.Column, more: dict[str, Any] | None = None) -> Path:
    """A file with one table; `more` are keywords that astropy must not act upon itself."""
    hdu = fits.BinTableHDU.from_columns([*PLACES, *columns])
    return save(path, hdu, more)


def save(path: Path, hdu: Any, more: dict[str, Any] | None = None) -> Path:
    for number, value in enumerate((more or {}).values()):
        hdu.header[f"ZZ{number}"] = value
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, overwrite=True)
    data = path.read_bytes()
    for number, key in enumerate(more or {}):
        data = data.replace(f"{f'ZZ{number}':8}=".encode(), f"{key:8}=".encode())
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("code", "zero", "stored", "null", "read"),
    [
        ("B", None, [0, 7, 255], 7, [0, None, 255]),
        ("B", -128, [-128, 0, 127], 0, [None, 0, 127]),
        ("I", 32768, [0, 7, 40000], -32768, [None, 7, 40000]),
        ("J", 2**31, [0, 7, 2**32 - 1], -(2**31), [None, 7, 2**32 - 1]),
        ("K", 2**63, [0, 7, 2**64 - 1], -(2**63), [None, 7, 2**64 - 1]),
        ("K", None, [0, -99, 2**63 - 1], -99, [0, None, 2**63 - 1]),
    ],
)
def test_tnull_is_the_stored_integer(
    tmp_path: Path, code: str, zero: int | None, stored: list[int], null: int, read: list[Any]
) -> None:
    kinds = {"B": "u1" if zero is None else "i1", "I": "u2", "J": "u4", "K": "u8"}
    kind = kinds[code] if zero is not None or code == "B" else "i8"
    column = fits.Column("n", code, bzero=zero, array=np.array(stored, kind))
    path = write(tmp_path / "n.fits", column, more={"TNULL4": null})
    assert values_of(path, "n") == read


def test_tnull_comes_before_scale_and_zero(tmp_path: Path) -> None:
    column = fits.Column("m", "J", array=np.array([1500, -99, 3500]))
    scaled = {"TSCAL4": 0.001, "TZERO4": 10.0, "TNULL4": -99}
    path = write(tmp_path / "m.fits", column, more=scaled)
    assert values_of(path, "m") == [11.5, None, 13.5]


def test_a_zero_of_long_integers_loses_no_digit(tmp_path: Path) -> None:
    column = fits.Column("m", "K", array=np.array([2**60 + 1, 2**60 + 2, 5]))
    path = write(tmp_path / "m.fits", column, more={"TZERO4": 100, "TNULL4": 5})
    assert values_of(path, "m") == [2**60 + 101, 2**60 + 102, None]


def test_positions_that_are_scaled_with_tnull_are_missing(tmp_path: Path) -> None:
    columns = [fits.Column(name, "J", array=np.array([1000, -1, 3000])) for name in ("x", "y")]
    scaled = {"TSCAL4": 0.01, "TNULL4": -1, "TSCAL5": 0.01, "TNULL5": -1}
    path = write(tmp_path / "m.fits", *columns, more=scaled)
    rows = rows_of(path, position={"ra": "x", "dec": "y"})
    assert [row["x"] for row in rows] == [10.0, None, 30.0]


def test_logicals_are_true_false_or_missing(tmp_path: Path) -> None:
    column = fits.Column("f", "L", array=np.array([True, False, True]))
    path = write(tmp_path / "f.fits", column)
    data = path.read_bytes()
    at = data.rindex(b"T", 0, data.rindex(b"T"))
    assert data[at : at + 1] == b"T"
    path.write_bytes(data.replace(b"\x40\x14\x00\x00\x00\x00\x00\x00F", b"\x40\x14" + bytes(7)))
    assert values_of(path, "f") == [True, None, True]


def test_floats_that_are_nan_are_missing(tmp_path: Path) -> None:
    column = fits.Column("x", "E", array=np.array([1.5, np.nan, -2.5]))
    assert values_of(write(tmp_path / "x.fits", column), "x") == [1.5, None, -2.5]


def test_texts_end_at_a_zero_byte_and_may_be_latin(tmp_path: Path) -> None:
    texts = np.array(["H\xef".encode("latin-1"), b"ab\x00cd", b"     "], "S5")
    path = write(tmp_path / "s.fits", fits.Column("s", "5A", array=texts))
    assert values_of(path, "s") == ["H\xef", "ab", None]
    texts = np.array(["Hï".encode(), b"", b"x"], "S5")
    path = write(tmp_path / "u.fits", fits.Column("s", "5A", array=texts))
    assert values_of(path, "s") == ["Hï", None, "x"]


def test_arrays_are_carried_as_text(tmp_path: Path) -> None:
    ragged = np.empty(3, object)
    ragged[:] = [np.array([1, 2]), np.array([], int), np.array([3])]
    columns = [
        fits.Column("e", "2E", array=np.array([[1, np.nan], [3, 4], [5, 6]], "f4")),
        fits.Column("j", "2J", null=4, array=np.array([[1, 2], [3, 4], [5, 6]])),
        fits.Column("x", "3X", array=np.array([[1, 0, 1]] * 3, bool)),
        fits.Column("p", "PJ()", array=ragged),
        fits.Column("t", "4A", dim="(2,2)", array=np.array([["ab", "c"]] * 3)),
        fits.Column("l", "2L", array=np.array([[True, False]] * 3)),
    ]
    rows = rows_of(write(tmp_path / "a.fits", *columns), ("e", "j", "x", "p", "t", "l"))
    assert [row["e"] for row in rows] == ["[1.0, null]", "[3.0, 4.0]", "[5.0, 6.0]"]
    assert [row["j"] for row in rows] == ["[1, 2]", "[3, null]", "[5, 6]"]
    assert rows[0]["x"] == "[true, false, true]"
    assert [row["p"] for row in rows] == ["[1, 2]", "[]", "[3]"]
    assert (rows[0]["t"], rows[0]["l"]) == ('["ab", "c"]', "[true, false]")


def test_complex_numbers_are_carried_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / "c.fits", fits.Column("c", "C", array=np.array([1 + 2j] * 3)))
    assert values_of(path, "c") == ['"(1+2j)"'] * 3


def ascii_table(path: Path, cells: list[list[str]], more: dict[str, Any]) -> Path:
    """An ASCII table with the columns id, ra, dec, n (integer), x (float), s (text)."""
    header = fits.Header()
    widths = [4, 10, 10, 6, 8, 5]
    forms = ["I4", "F10.4", "D10.4", "I6", "F8.3", "A5"]
    header["XTENSION"], header["BITPIX"], header["NAXIS"] = "TABLE", 8, 2
    header["NAXIS1"], header["NAXIS2"] = sum(widths), len(cells)
    header["PCOUNT"], header["GCOUNT"], header["TFIELDS"] = 0, 1, len(widths)
    start = 1
    names = ["id", "ra", "dec", "n", "x", "s"]
    for number, (name, form, width) in enumerate(zip(names, forms, widths, strict=True), 1):
        header[f"TTYPE{number}"], header[f"TFORM{number}"] = name, form
        header[f"TBCOL{number}"] = start
        start += width
    header.update(more)
    rows = [
        "".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells
    ]
    data = "".join(rows).encode("latin-1")
    primary = fits.PrimaryHDU().header.tostring().encode()
    filled = data + b" " * (-len(data) % 2880)
    path.write_bytes(primary + header.tostring().encode() + filled)
    return path


def test_blanks_and_tnull_of_an_ascii_table_are_missing(tmp_path: Path) -> None:
    cells = [
        ["1", "10.5", "1.25D+01", "7", "1.5", "a"],
        ["2", "11.5", "-2.5D+00", "", "", ""],
        ["3", "12.5", "5.0", "-99", "NaN", "é"],
    ]
    path = ascii_table(tmp_path / "a.fits", cells, {"TNULL4": "-99", "TNULL5": "NaN"})
    rows = rows_of(path, ("n", "x", "s"))
    assert [row["dec"] for row in rows] == [12.5, -2.5, 5.0]
    assert [row["n"] for row in rows] == [7, None, None]
    assert [row["x"] for row in rows] == [1.5, None, None]
    assert [row["s"] for row in rows] == ["a", None, "é"]


def test_an_ascii_table_is_scaled(tmp_path: Path) -> None:
    cells = [["1", "10.5", "2.0", "7", "1.5", "a"]]
    path = ascii_table(tmp_path / "a.fits", cells, {"TSCAL4": 0.5, "TZERO4": 100.0})
    assert values_of(path, "n") == [103.5]


def test_an_array_of_any_length_that_astropy_reads_wrong_is_refused(tmp_path: Path) -> None:
    ragged = np.empty(3, object)
    ragged[:] = [np.array([1, 2]), np.array([3]), np.array([4])]
    path = write(
        tmp_path / "p.fits", fits.Column("p", "PI()", array=ragged), more={"TZERO4": 32768}
    )
    assert "column p: cannot be read" in refusal(path, ("p",))
    assert len(rows_of(path)) == 3


@pytest.mark.parametrize("missing", [1, 2881, 5760])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, missing: int) -> None:
    count = 1000
    columns = [
        fits.Column("id", "K", array=np.arange(count)),
        fits.Column("ra", "D", array=np.linspace(0, 359, count)),
        fits.Column("dec", "D", array=np.linspace(-80, 80, count)),
    ]
    path = tmp_path / "rows.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    data = path.read_bytes()
    padding = -24 * count % 2880
    path.write_bytes(data[: -padding - missing])
    assert "is cut short" in refusal(path)
    # The blanks that fill the last block may miss.
    path.write_bytes(data[:-padding])
    assert len(rows_of(path)) == count
    packed = tmp_path / "rows.fits.gz"
    packed.write_bytes(gzip.compress(data))
    assert len(rows_of(packed)) == count
    packed.write_bytes(gzip.compress(data)[:-missing])
    assert "cut short or damaged" in refusal(packed)
    packed.write_bytes(gzip.compress(data[: -padding - missing]))
    assert "is cut short" in refusal(packed)


def test_several_tables_with_sources_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    tables = [
        fits.BinTableHDU.from_columns(PLACES, name="NORTH"),
        fits.BinTableHDU.from_columns([column.copy() for column in PLACES], name="SOUTH"),
        fits.BinTableHDU.from_columns([fits.Column("t0", "D", array=[1.0])], name="GTI"),
    ]
    path = tmp_path / "rows.fits"
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)
    message = refusal(path)
    assert "HDU 1 'NORTH' (3 rows), HDU 2 'SOUTH' (3 rows)" in message
    assert "source.table" in message
    for name in ("SOUTH", "2"):
        assert len(rows_of(path, files={"table": name})) == 3
    assert "names 0 of its tables" in refusal(path, files={"table": "EAST"})


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.fits", fits.Column("RA", "D", array=np.zeros(3)))
    assert "2 columns of the name ra" in refusal(path)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"RADESYS": "FK4"}, "the file says FK4 (RADESYS"),
        ({"RADECSYS": "FK4", "EQUINOX": 1950.0}, "the file says FK4"),
        ({"EQUINOX": 1950.0}, "equinox 1950.0"),
        ({"EPOCH": 1950.0}, "equinox 1950.0"),
        ({"RADESYS": "GAPPT"}, "the file says GAPPT"),
        ({"RADESYS": "ICRS", "EPOCH": 2016.0}, "epoch 2016.0"),
        ({"TUCD2": "pos.galactic.lon"}, "pos.galactic.lon"),
        ({"TUCD2": "pos.eq.dec"}, "pos.eq.dec"),
        ({"TCTYP2": "GLON-CAR"}, "the file says GLON-CAR (TCTYP2"),
        ({"COORDSYS": "G"}, "the file says galactic (COORDSYS"),
        ({"COORDSYS": "ECLIPTIC"}, "the file says ECLIPTIC (COORDSYS"),
    ],
)
def test_frames_that_contradict_the_description_are_refused(
    tmp_path: Path, header: dict[str, Any], told: str
) -> None:
    path = write(tmp_path / "x.fits", more=header)
    assert told in refusal(path)
    assert len(rows_of(path, checks={"declarations": "ignore"})) == 3


@pytest.mark.parametrize(
    "header",
    [
        {"RADESYS": "ICRS"},
        {"TCTYP2": "RA---TAN", "COORDSYS": "C"},
        {"RADECSYS": "FK5", "EQUINOX": 2000.0},
        {"EQUINOX": 2000.0, "EPOCH": 2000.0},
        {"EPOCH": 2000.0},
    ],
)
def test_frames_that_agree_are_accepted(tmp_path: Path, header: dict[str, Any]) -> None:
    assert len(rows_of(write(tmp_path / "x.fits", more=header))) == 3


@pytest.mark.parametrize("null", ["-99", -99.0])
def test_a_tnull_of_another_type_is_that_integer(tmp_path: Path, null: Any) -> None:
    column = fits.Column("n", "J", array=np.array([1, -99, 3]))
    path = write(tmp_path / "n.fits", column, more={"TNULL4": null})
    assert values_of(path, "n") == [1, None, 3]


NUMBERS = st.sampled_from(["B", "I", "J", "K"])
_KINDS = {"B": "u1", "I": "i2", "J": "i4", "K": "i8"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NUMBERS, st.data())
def test_integers_with_any_null_come_back(tmp_path: Path, code: str, data: st.DataObject) -> None:
    """With and without a scale: exact, and null exactly where the stored value is TNULL."""
    info = np.iinfo(_KINDS[code])
    whole = st.integers(int(info.min), int(info.max))
    stored = data.draw(st.lists(whole, min_size=3, max_size=3))
    null = data.draw(st.sampled_from([*stored, int(info.max)]))
    scaled = data.draw(st.booleans())
    more: dict[str, Any] = {"TNULL4": null} | ({"TSCAL4": 0.5, "TZERO4": 3.0} if scaled else {})
    column = fits.Column("n", code, array=np.array(stored, _KINDS[code]))
    path = write(tmp_path / "n.fits", column, more=more)
    expected = [
        None if number == null else number * 0.5 + 3.0 if scaled else number for number in stored
    ]
    assert values_of(path, "n") == expected


def summed(path: Path) -> Path:
    """Write three rows with DATASUM and CHECKSUM."""
    position = [fits.Column(name, "D", array=np.arange(3.0)) for name in ("ra", "dec")]
    columns = [fits.Column("id", "K", array=np.arange(3)), *position]
    hdu = fits.BinTableHDU.from_columns(columns)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path, checksum=True)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_changed_bit_is_refused_where_the_table_has_checksums(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = summed(tmp_path / "x.fits")
    whole = path.read_bytes()
    path.write_bytes(pack(whole))
    assert len(rows_of(path)) == 3
    changes = {"DATASUM": whole.rindex(struct.pack(">d", 2.0))}
    changes["CHECKSUM"] = whole.index(b"NAXIS1  =", 2880) + 60
    for keyword, place in changes.items():
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(pack(bytes(damaged)))
        assert f"{keyword} of HDU 1 differs" in refusal(path)
        assert len(rows_of(path, checks={"integrity": "ignore"})) == 3
