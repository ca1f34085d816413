"""Tables as files."""

import csv
import io
import json
import warnings
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from astropy.io.votable import parse
from astropy.io.votable.exceptions import W03

from ui.formats import FORMATS

TABLE = pa.table(
    {
        "id": pa.array([1, None], pa.int64()),
        "flux": [1.5, float("nan")],
        "name": ["=1+1", None],
        "good": [True, False],
        "more": [[1], None],
    }
)


def written(name: str) -> bytes:
    return FORMATS[name][0](TABLE)


def test_json_has_nulls_for_what_is_not_finite() -> None:
    assert json.loads(written("json"))[1] == dict.fromkeys(("id", "flux", "name", "more")) | {
        "good": False
    }


def test_no_spreadsheet_takes_a_text_of_a_csv_file_for_a_formula() -> None:
    read = pacsv.read_csv(io.BytesIO(written("csv")))
    assert read["name"].to_pylist()[0] == "'=1+1"
    assert read["more"].to_pylist()[0] == "[1]"


HOSTILE = pa.table(
    [
        pa.array(["=1", "\x1b[31m\x00"]),
        pa.array(["\n=1", "\ufffe"], pa.large_string()),
        pa.array([1, 2]),
    ],
    names=["=1+1", "<x>\x07", "'=1+1"],
)
"""Texts and names as a stream or a query may bring them."""


def test_neither_a_name_nor_any_sort_of_text_of_a_csv_file_is_a_formula() -> None:
    rows = list(csv.reader(io.StringIO(FORMATS["csv"][0](HOSTILE).decode(), newline="")))
    assert rows == [
        ["'=1+1", "<x>\x07", "'=1+1"],
        ["'=1", "'\n=1", "1"],
        ["\x1b[31m\x00", "\ufffe", "2"],
    ]


def test_each_reader_of_xml_opens_a_votable_with_control_characters() -> None:
    data = FORMATS["votable"][0](HOSTILE)
    ET.fromstring(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", W03)
        found = parse(io.BytesIO(data)).get_first_table()
    assert [field.name for field in found.fields] == ["=1+1", "<x>\ufffd", "'=1+1"]
    assert str(found.to_table().columns[0][1]) == "\ufffd[31m\ufffd"


def test_parquet_is_the_table_itself() -> None:
    assert pq.read_table(io.BytesIO(written("parquet"))).schema == TABLE.schema


def test_a_votable_masks_what_is_missing() -> None:
    table = parse(io.BytesIO(written("votable"))).get_first_table().to_table()
    assert table["flux"][0] == 1.5
    assert table["id"].mask.tolist() == [False, True]
    assert str(table["name"][0]) == "=1+1"
