"""VOTable: its status, its tables, its rows and what is masked in them."""

import base64
import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io.votable import from_table, writeto
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.made_catalogs import refusal, rows_of, values_of
from tests.support.votables import FIELDS, OK, document, rows, table, write


@pytest.mark.parametrize("value", ["OVERFLOW", "ERROR", "overflow", "TRUNCATED"])
@pytest.mark.parametrize("where", ["before", "after", "in the table", "beside", "upper case"])
def test_a_status_that_is_not_ok_is_refused_wherever_it_stands(
    tmp_path: Path, value: str, where: str
) -> None:
    name = "query_status" if where == "upper case" else "QUERY_STATUS"
    info = f'<INFO name="{name}" value="{value}">the limit of 3 rows</INFO>'
    text = {
        "before": document(table(), before=info),
        "after": document(table(), OK, info),
        "in the table": document(table().replace("</TABLE>", f"{info}</TABLE>")),
        "beside": document(table()).replace("</VOTABLE>", f"{info}</VOTABLE>"),
        "upper case": document(table(), f"<RESOURCE>{info}</RESOURCE>"),
    }[where]
    message = refusal(write(tmp_path, text))
    assert f"QUERY_STATUS {value} (the limit of 3 rows)" in message


def test_an_error_of_a_cone_search_is_refused(tmp_path: Path) -> None:
    error = '<INFO ID="Error" name="Error" value="RA is missing"/>'
    assert "RA is missing" in refusal(write(tmp_path, document(before=error)))


@pytest.mark.parametrize("cut", [1, 12, 60, 400])
def test_a_document_that_is_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    text = document(table())
    assert "is no whole VOTable" in refusal(write(tmp_path, text[:-cut]))
    packed = gzip.compress(text.encode())
    assert len(rows_of(write(tmp_path, packed, "rows.vot.gz"))) == 3
    refusal(write(tmp_path, packed[: -min(cut, 60)], "rows.vot.gz"))


def test_something_else_is_no_votable(tmp_path: Path) -> None:
    page = "<html><head><title>503</title></head><body>later</body></html>"
    assert "the document is html" in refusal(write(tmp_path, page))
    refusal(write(tmp_path, "Service unavailable"))
    refusal(write(tmp_path, ""))
    assert "no table" in refusal(write(tmp_path, document()))


def test_another_number_of_rows_than_announced_is_refused(tmp_path: Path) -> None:
    text = document(table(attributes='nrows="4"'))
    assert "has 3 rows, its nrows says 4" in refusal(write(tmp_path, text))
    assert len(rows_of(write(tmp_path, document(table(attributes='nrows="3"'))))) == 3


def test_several_tables_with_sources_are_refused_unless_one_is_named(tmp_path: Path) -> None:
    other = table(
        '<FIELD name="t" datatype="double"/>', "<TABLEDATA><TR><TD>1</TD></TR></TABLEDATA>"
    )
    south = table(data=f"<TABLEDATA>{rows(2, 7)}</TABLEDATA>", attributes='name="south"')
    path = write(tmp_path, document(other, table(attributes='ID="north"'), south))
    assert "table 2 'north' (3 rows), table 3 'south' (2 rows)" in refusal(path)
    for name in ("south", "3"):
        assert [row["id"] for row in rows_of(path, files={"table": name})] == [7, 8]
    nested = document(table(), f"<RESOURCE>{south}</RESOURCE>")
    assert "several tables" in refusal(write(tmp_path, nested))
    beside = document(table()).replace("</VOTABLE>", f"<RESOURCE>{south}</RESOURCE></VOTABLE>")
    assert "several tables" in refusal(write(tmp_path, beside))
    described = document(other, table())
    assert len(rows_of(write(tmp_path, described))) == 3


def test_values_that_are_elsewhere_are_not_fetched(tmp_path: Path) -> None:
    for data in (
        '<BINARY><STREAM href="http://127.0.0.1:9/x"/></BINARY>',
        '<FITS extnum="1"><STREAM href="file:///etc/passwd"/></FITS>',
        '<PARQUET type="VOTable-remote-file"><STREAM href="file:rows.parquet"/></PARQUET>',
    ):
        assert "not in the document" in refusal(write(tmp_path, document(table(data=data))))


@pytest.mark.parametrize("kind", ["BINARY", "BINARY2"])
def test_a_binary_stream_is_read_to_its_end_or_refused(tmp_path: Path, kind: str) -> None:
    fields = FIELDS + '<FIELD name="s" datatype="char" arraysize="*"/>'
    flags = b"\0" if kind == "BINARY2" else b""
    packed = [
        flags + struct.pack(">qdd", n, 10 + n, 5) + struct.pack(">i", n % 5) + b"x" * (n % 5)
        for n in range(20)
    ]

    def path(stream: bytes, fields: str = fields) -> Path:
        text = base64.encodebytes(stream).decode()
        data = f'<{kind}><STREAM encoding="base64">{text}</STREAM></{kind}>'
        return write(tmp_path, document(table(fields, data)))

    read = rows_of(path(b"".join(packed)), ("id", "s"))
    assert [row["id"] for row in read] == list(range(20))
    assert [row["s"] for row in read[:3]] == [None, "x", "xx"]
    for cut in (1, 5, 17):
        assert "ends within a row" in refusal(path(b"".join(packed)[:-cut]))
    # An id that is read from the bytes of another column is no id.
    bounded = fields.replace('arraysize="*"', 'arraysize="9*"')
    again = path(b"".join(packed), bounded)
    assert [row["id"] for row in rows_of(again)] == list(range(20))


def test_null_flags_of_binary2_hold_for_every_type(tmp_path: Path) -> None:
    fields = """<FIELD name="ra" datatype="double"/><FIELD name="dec" datatype="double"/>
    <FIELD name="q" datatype="long"/><FIELD name="h" datatype="short"/>
    <FIELD name="y" datatype="unsignedByte"/><FIELD name="f" datatype="float"/>
    <FIELD name="b" datatype="boolean"/><FIELD name="s" datatype="char" arraysize="3"/>
    <FIELD name="v" datatype="char" arraysize="*"/>
    <FIELD name="u" datatype="unicodeChar" arraysize="2"/>
    <FIELD name="a" datatype="int" arraysize="2"/>"""

    def row(flags: int) -> bytes:
        values = struct.pack(">ddqhBf", 10.0, 5.0, 2**62 + 1, -7, 200, 1.5) + b"T" + b"abc"
        values += struct.pack(">i", 2) + b"xy" + "Hï".encode("utf-16-be")
        return flags.to_bytes(2, "big") + values + struct.pack(">ii", 3, 4)

    stream = base64.b64encode(row(0) + row(0b0011111111100000)).decode()
    data = f'<BINARY2><STREAM encoding="base64">{stream}</STREAM></BINARY2>'
    names = ("q", "h", "y", "f", "b", "s", "v", "u", "a")
    one, two = rows_of(write(tmp_path, document(table(fields, data))), names)
    assert [one[name] for name in names] == [
        2**62 + 1, -7, 200, 1.5, True, "abc", "xy", "Hï", "[3, 4]",
    ]  # fmt: skip
    assert [two[name] for name in names] == [None] * 9


NULLS = """<FIELD name="id" datatype="long"/>
<FIELD name="ra" datatype="double"/><FIELD name="dec" datatype="double"/>
<FIELD name="i" datatype="int"><VALUES null="-99"/></FIELD>
<FIELD name="h" datatype="short"/>
<FIELD name="f" datatype="float"/>
<FIELD name="b" datatype="boolean"/>
<FIELD name="s" datatype="char" arraysize="5"/>
<FIELD name="u" datatype="unicodeChar" arraysize="*"/>
<FIELD name="a" datatype="float" arraysize="2"/>
<FIELD name="v" datatype="int" arraysize="*"/>"""


def test_what_is_missing_in_a_text_is_null(tmp_path: Path) -> None:
    full = "".join(
        f"<TD>{text}</TD>" for text in (1, 10, 5, 7, 8, 1.5, "true", "ab", "Hï", "1 2", "3 4 5")
    )
    marked = "".join(
        f"<TD>{text}</TD>" for text in (2, 11, 5, -99, "", "NaN", "?", "", "", "1 NaN", "")
    )
    empty = "<TD>3</TD><TD>12</TD><TD>5</TD>" + "<TD/>" * 8
    data = (
        "<TABLEDATA>" + "".join(f"<TR>{row}</TR>" for row in (full, marked, empty)) + "</TABLEDATA>"
    )
    path = write(tmp_path, document(table(NULLS, data)))
    names = ("i", "h", "f", "b", "s", "u", "a", "v")
    one, two, three = rows_of(path, names)
    assert {name: one[name] for name in names} == {
        "i": 7, "h": 8, "f": 1.5, "b": True, "s": "ab", "u": "Hï", "a": "[1.0, 2.0]",
        "v": "[3, 4, 5]",
    }  # fmt: skip
    assert {two[name] for name in names if name not in "av"} == {None}
    assert two["a"] == "[1.0, null]"
    assert {three[name] for name in names} == {None}
    assert two["v"] is None


@pytest.mark.parametrize(
    ("field", "cell"),
    [
        ('datatype="long"', str(2**63)),
        ('datatype="short"', "70000"),
        ('datatype="unsignedByte"', "-1"),
        ('datatype="char" arraysize="2"', "abcd"),
        ('datatype="unicodeChar" arraysize="2"', "abcd"),
        ('datatype="double"', "1.2.3"),
        ('datatype="int" arraysize="3"', "1 2"),
        ('datatype="float" arraysize="2"', "1 2 3"),
    ],
)
def test_a_value_that_astropy_would_cut_or_change_is_refused(
    tmp_path: Path, field: str, cell: str
) -> None:
    data = f"<TABLEDATA><TR><TD>1</TD><TD>1</TD><TD>1</TD><TD>{cell}</TD></TR></TABLEDATA>"
    path = write(tmp_path, document(table(f'{FIELDS}<FIELD name="x" {field}/>', data)))
    assert "does not fit the datatype of its column" in refusal(path, ("id", "x"))
    assert len(rows_of(path)) == 1, "a column that is not wanted plays no part"


def test_a_dash_for_a_number_is_missing(tmp_path: Path) -> None:
    data = "<TABLEDATA><TR><TD>1</TD><TD>1</TD><TD>1</TD><TD>-</TD></TR></TABLEDATA>"
    path = write(tmp_path, document(table(f'{FIELDS}<FIELD name="x" datatype="double"/>', data)))
    assert values_of(path, "x") == [None]


def test_a_table_with_the_columns_of_another_is_refused(tmp_path: Path) -> None:
    first = f'<TABLE ID="a">{FIELDS}</TABLE>'
    second = f'<TABLE ref="a"><DATA><TABLEDATA>{rows()}</TABLEDATA></DATA></TABLE>'
    assert "are those of another one (a)" in refusal(write(tmp_path, document(first, second)))


@pytest.mark.parametrize(
    "info",
    [
        '<INFO name="Warning" value="truncated result (maxtup=50)"/>',
        '<INFO name="status" value="Overflow: 50 rows"/>',
        '<INFO ID="Error" value="no such table"/>',
    ],
)
def test_an_info_that_says_that_rows_are_missing_is_refused(tmp_path: Path, info: str) -> None:
    assert "says that it is not whole" in refusal(write(tmp_path, document(table(), info)))


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    fields = FIELDS + '<FIELD name="Ra" datatype="double"/>'
    data = "<TABLEDATA><TR><TD>1</TD><TD>1</TD><TD>1</TD><TD>9</TD></TR></TABLEDATA>"
    assert "2 columns of the name ra" in refusal(write(tmp_path, document(table(fields, data))))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["tabledata", "binary", "binary2"]),
    st.integers(1, 5),
    st.data(),
)
def test_what_astropy_writes_comes_back_with_its_masks(
    tmp_path: Path, form: str, count: int, data: st.DataObject
) -> None:
    # astropy writes booleans as bits, and neither these nor integers as null, to BINARY.
    whole = form == "binary"

    def drawn(values: Any, *, always: bool = False) -> list[Any]:
        values = values if always else st.one_of(st.none(), values)
        return data.draw(st.lists(values, min_size=count, max_size=count))

    letters = st.characters(min_codepoint=33, max_codepoint=126)
    columns = {
        "i": (drawn(st.integers(-(2**63), 2**63 - 1), always=whole), "i8", 0),
        "f": (drawn(st.floats(allow_nan=False, width=32)), "f4", 0.0),
        "b": (drawn(st.booleans(), always=whole), "?", False),
        "s": (drawn(st.text(letters, min_size=1, max_size=6)), "U6", ""),
    }
    written = Table({"ra": np.linspace(10, 20, count), "dec": np.full(count, 5.0)})
    for name, (values, kind, filler) in columns.items():
        plain = np.array([filler if value is None else value for value in values], kind)
        written[name] = MaskedColumn(plain, mask=[value is None for value in values])
    path = tmp_path / "rows.vot"
    writeto(from_table(written), str(path), tabledata_format=form)
    read = rows_of(path, tuple(columns))
    for name, (values, _, _) in columns.items():
        assert [row[name] for row in read] == values, (name, form)


def test_values_of_latin_documents_are_read(tmp_path: Path) -> None:
    fields = FIELDS + '<FIELD name="s" datatype="char" arraysize="*"/>'
    data = "<TABLEDATA><TR><TD>1</TD><TD>1</TD><TD>1</TD><TD>Hï</TD></TR></TABLEDATA>"
    text = document(table(fields, data)).replace("?>", ' encoding="ISO-8859-1"?>', 1)
    assert values_of(write(tmp_path, text.encode("latin-1")), "s") == ["Hï"]
