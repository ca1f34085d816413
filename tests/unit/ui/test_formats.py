"""Tables as files."""

import io
import json

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from astropy.io.votable import parse

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


def test_parquet_is_the_table_itself() -> None:
    assert pq.read_table(io.BytesIO(written("parquet"))).schema == TABLE.schema


def test_a_votable_masks_what_is_missing() -> None:
    table = parse(io.BytesIO(written("votable"))).get_first_table().to_table()
    assert table["flux"][0] == 1.5
    assert table["id"].mask.tolist() == [False, True]
    assert str(table["name"][0]) == "=1+1"
