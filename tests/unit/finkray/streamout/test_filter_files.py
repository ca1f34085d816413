"""What the file of a filter may say, and which columns it reads."""

from pathlib import Path

import pyarrow as pa
import pytest

from finkray.errors import FilterError
from finkray.streamout.filter_columns import find_columns, refuse_unknown
from finkray.streamout.filter_file import filter_of_text, read_filter
from tests.support.filters import BRIGHT, python

BAD_FILES = {
    "a name": ("Bright.py", BRIGHT, "with lower-case letters"),
    "a suffix": ("bright.txt", BRIGHT, r"ends with \.py, \.toml, \.csv or \.moc"),
    "a list": (
        "x.csv",
        "name\na\n",
        "expected a first line with objectId or object_id, or with ra",
    ),
    "no objects": ("x.csv", "objectId\n", "names no object"),
    "a position": ("x.csv", "ra,dec,radius_arcsec\n1,2,x\n", "line 2: expected three numbers"),
    "a radius": ("x.csv", "ra,dec,radius_arcsec\n1,2,9999\n", "a radius up to 3600 arcsec"),
    "a quote": ("x.csv", 'objectId,note\nZTF18a,"x\nZTF18b,\n', "x.csv is no CSV: unexpected end"),
    "a rounded id": ("x.csv", "diaObjectId\n1.70028E+17\n", "that a spreadsheet has rounded"),
    "two surveys": ("x.csv", "objectId\nZTF18a\n17\n", "write a list for each survey"),
    "an area": ("x.moc", "5/x", "is no MOC in its text form"),
    "syntax": ("bright.py", "def bright(", "not valid Python"),
    "two functions": ("x.py", "def a(m): ...\ndef b(m): ...", "expected one function.*found: a, b"),
    "no function": ("x.py", "a = 1", "found: none"),
    "no argument": ("x.py", "def x(): ...", "has no argument"),
    "a default": ("x.py", "def x(a=1): ...", "no default"),
    "a computed constant": ("x.py", "NEEDS = f()\ndef x(a): ...", "NEEDS is computed"),
    "a form": ("x.py", "COLUMNS_AS = 'dask'\ndef x(a): ...", "expected one of numpy, pandas"),
    "columns": ("x.py", "COLUMNS = {'b': 'c'}\ndef x(a): ...", "b, which is no argument"),
    "needs": ("x.py", "NEEDS = 'classify'\ndef x(a): ...", r"expected a list, as \['classify'\]"),
    "a survey": ("x.py", "SURVEY = 'atlas'\ndef x(a): ...", "expected ztf or lsst"),
    "surveys": ("x.py", "SURVEY = ['ztf']\ndef x(a): ...", r"\['ztf'\]; expected ztf or lsst"),
    "a key of a list": ("x.py", "NEEDS = {[]: 1}\ndef x(a): ...", "NEEDS is computed"),
    "depth": ("x.py", f"a = {'-' * 100_000}1\ndef x(a): ...", "not valid Python"),
    "surveys in TOML": ("x.toml", "sql = 'a < 1'\nsurvey = ['ztf']", "expected ztf or lsst"),
    "arguments of Fink": (
        "x.toml",
        "fink = 'fink_filters.ztf.livestream.a.b'\narguments = [['a']]",
        "leave them out",
    ),
    "TOML": ("x.toml", "sql = ", "not valid TOML"),
    "a key": ("x.toml", "where = 'a < 1'", "where is not known; expected about, needs"),
    "both": ("x.toml", "sql = 'a < 1'\npolars = '1'", "either sql or polars"),
    "SQL": ("x.toml", "sql = 'a <'", "sql is no expression"),
    "a number": ("x.toml", "sql = 3", "expected a text"),
    "no column": ("x.toml", "sql = '1 < 2'", "reads no column"),
    "polars": ("x.toml", "polars = 'pl.col(names) < 1'", "expected one name"),
}


@pytest.mark.parametrize("what", BAD_FILES)
def test_a_file_that_is_no_filter_is_refused_with_what_to_write(what: str) -> None:
    name, text, message = BAD_FILES[what]
    with pytest.raises(FilterError, match=message):
        filter_of_text(name, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FilterError, match=r"none\.py cannot be read"):
        read_filter(tmp_path / "none.py")


ALERTS = pa.schema(
    [
        ("objectId", pa.string()),
        ("candidate", pa.struct([("magpsf", pa.float32()), ("ra", pa.float64())])),
        ("other", pa.struct([("score", pa.float64())])),
        ("another", pa.struct([("score", pa.float64())])),
        ("prv_candidates", pa.list_(pa.struct([("magpsf", pa.float32())]))),
    ]
)
SERVICES = {"classify": pa.schema([("class", pa.string())])}


def test_names_are_found_in_the_packet_the_detection_and_the_services() -> None:
    definition = python(
        "...", "objectId, magpsf, other__score, classify__class, classify__status, gone"
    )
    found = find_columns(definition, ALERTS, SERVICES)
    assert found.packet == {
        "objectId": "objectId",
        "magpsf": "candidate.magpsf",
        "other__score": "other.score",
    }
    assert found.services == {
        "classify__class": ("classify", "class"),
        "classify__status": ("classify", "status"),
    }
    assert found.missing == ("gone",)


@pytest.mark.parametrize(
    ("arguments", "head", "message"),
    [
        ("magpf", "", r"reads magpf, which no alert has; there is .*magpsf"),
        ("score", "", "score may be other.score or another.score: name one"),
        ("magpsf", "NEEDS = ['sorter']", "needs 'sorter', and there are no results .*: classify"),
        ("classify__clas", "", r"reads classify\.clas, which no alert has; there is .*class"),
    ],
)
def test_a_column_that_is_not_there_is_named(arguments: str, head: str, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        refuse_unknown(python("...", arguments, head), [ALERTS], SERVICES)


BLAZAR = 'fink = "fink_filters.ztf.livestream.filter_blazar.filter.blazar"\n'
BAD_FINK = {
    "another module": ('fink = "os.system"', "expected module and function, as"),
    "no package": (BLAZAR, "needs the package fink-filters, which is not installed"),
    "another key": (BLAZAR + 'sql = "true"', "sql is not known beside fink"),
    "a plain column": (
        f'arguments = ["cdsxmatch"]\n{BLAZAR}[columns]\ncdsxmatch = "magpsf"',
        "gives columns of services for arguments",
    ),
    "another argument": (
        f'arguments = ["cdsxmatch"]\n{BLAZAR}[columns]\nroid = "x.roid"',
        "names roid, which is no argument; there are: cdsxmatch",
    ),
}


@pytest.mark.parametrize("what", BAD_FINK)
def test_a_file_with_a_filter_of_fink_that_cannot_work_says_why(what: str) -> None:
    text, message = BAD_FINK[what]
    with pytest.raises(FilterError, match=message):
        filter_of_text("odd.toml", text)


def test_a_stored_filter_of_fink_is_read_without_the_package_and_needs_its_services() -> None:
    text = f'arguments = ["cdsxmatch", "cjdc"]\n{BLAZAR}[columns]\ncdsxmatch = "match.type"'
    found = filter_of_text("odd.toml", text)
    assert (found.needs, found.survey, found.source) == (("match",), "ztf", text)
    alerts = pa.schema(
        [
            ("candidate", pa.struct([("jd", pa.float64())])),
            ("prv_candidates", pa.list_(pa.struct([("jd", pa.float64())]))),
        ]
    )
    columns = find_columns(found, alerts, {"match": pa.schema([("type", pa.string())])})
    assert columns.packet == {"cjdc/before": "prv_candidates.jd", "cjdc/now": "candidate.jd"}
    assert columns.services == {"cdsxmatch": ("match", "type")}
