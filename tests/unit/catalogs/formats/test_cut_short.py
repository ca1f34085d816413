"""A file that ends at any byte is refused, or nothing of its rows is missing."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io.votable import from_table, writeto
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finkray.errors import CatalogError
from tests.support.examples import examples
from tests.support.made_catalogs import refusal, rows_of

COUNT = 40


def table() -> Table:
    return Table(
        {
            "id": np.arange(COUNT),
            "ra": np.linspace(10, 20, COUNT),
            "dec": np.linspace(-5, 5, COUNT),
            "name": [f"star {number % 7}" for number in range(COUNT)],
        }
    )


def parquet(path: Path) -> None:
    pq.write_table(pa.Table.from_pandas(table().to_pandas()), path, row_group_size=9)


def fits(path: Path) -> None:
    table().write(path, format="fits")


def votable(form: str) -> Callable[[Path], None]:
    return lambda path: writeto(from_table(table()), str(path), tabledata_format=form)


def packed(pack: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(pack(as_csv().encode())) and None


def as_csv() -> str:
    lines = [",".join(str(value) for value in row) for row in table()]
    return "\n".join(["id,ra,dec,name", *lines, ""])


WRITERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "parquet": ("rows.parquet", parquet),
    "fits": ("rows.fits", fits),
    "tabledata": ("rows.vot", votable("tabledata")),
    "binary": ("rows.vot", votable("binary")),
    "binary2": ("rows.vot", votable("binary2")),
    "gzip": ("rows.csv.gz", packed(gzip.compress)),
    "bzip2": ("rows.csv", packed(bz2.compress)),
    "xz": ("rows.csv", packed(lzma.compress)),
}


@pytest.mark.parametrize("form", WRITERS)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=examples(30),
)
@given(at=st.floats(0, 1, exclude_max=True))
def test_a_file_that_ends_at_any_byte_is_refused_or_has_all_rows(
    tmp_path_factory: pytest.TempPathFactory, form: str, at: float
) -> None:
    name, write = WRITERS[form]
    path = tmp_path_factory.mktemp("cut") / name
    write(path)
    columns = ("id", "name")
    whole = rows_of(path, columns)
    assert len(whole) == COUNT
    data = path.read_bytes()
    path.write_bytes(data[: int(at * len(data))])
    try:
        read = rows_of(path, columns)
    except CatalogError:
        return
    # What misses are blanks: those that fill the last block of FITS, or the line's end of XML.
    assert read == whole


@given(at=st.integers(0, len(as_csv()) - 1))
def test_plain_csv_that_ends_within_a_row_is_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int
) -> None:
    """What ends behind a whole row cannot be told from a file that has no more."""
    path = tmp_path_factory.mktemp("cut") / "rows.csv"
    text = as_csv()[:at]
    path.write_text(text)
    try:
        read = rows_of(path, ("id", "name"))
    except CatalogError:
        return
    assert text.endswith("\n")
    assert len(read) == text.count("\n") - 1


def test_csv_without_a_last_line_end_is_read_if_the_description_says_so(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,ra,dec\n1,10,5\n2,11,5")
    assert "its last line has no end" in refusal(path)
    assert len(rows_of(path, checks={"integrity": "ignore"})) == 2
    path.write_text("id,ra,dec")
    assert "its last line has no end" in refusal(path)


def test_a_quote_that_is_not_closed_is_refused(tmp_path: Path) -> None:
    """It may be the end of a cut file, or take the rows behind it into one value."""
    path = tmp_path / "rows.csv"
    for rows in ('1,10,5,"ab\n', '1,10,5,"ab\n2,11,5,c\n', '1,10,"5,ab\n2,11,5,c\n'):
        path.write_text(f"id,ra,dec,name\n{rows}")
        assert str(path) in refusal(path, ("id", "name"))
    path.write_text('id,ra,dec,name\n1,10,5,"a\nb"\n2,11,5,5" near\n')
    assert [row["name"] for row in rows_of(path, ("name",))] == ["a\nb", '5" near']
